"""Chat Completions: nothing is kept, everything is in the request. Speaks as OpenAI, or as a compatible server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from openai.types import CompletionUsage
from openai.types.completion_usage import CompletionTokensDetails, PromptTokensDetails

from tests.support.provider_server.journal import Journal, Violation
from tests.support.provider_server.json_types import JsonObject, objects, string

from . import context
from .answers import build_usage
from .api_errors import ApiError
from .context import ModelView
from .replies import Reply
from .responses_api import ResponsesApi


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatManners:
    """In what a compatible server differs from OpenAI.

    Args:
        reports_usage: Whether it heeds `stream_options.include_usage`.
        refuses: Fields it answers with 400 ``unsupported_parameter``.
        numbers_calls: Whether parallel tool calls have indices of their own; otherwise all have 0.
        names_call_ids: Whether tool calls have ids.
        reasoning_field: The field of its own that carries reasoning; None refuses it in requests.
    """

    reports_usage: bool = True
    refuses: frozenset[str] = frozenset()
    numbers_calls: bool = True
    names_call_ids: bool = True
    reasoning_field: str | None = None


@dataclass(frozen=True, slots=True)
class MadeCompletion:
    """What is to be streamed.

    Args:
        view: What the model saw; its `response_id` is the completion's.
        reply: What it says.
        usage: The tokens, None when they are not told.
    """

    view: ModelView
    reply: Reply
    usage: CompletionUsage | None


class ChatApi:
    """Answers chat requests with the replies scripted for the server.

    Args:
        api: Where replies, ids and prompt caches are shared.
        journal: Where contexts and violations are written down.
    """

    def __init__(self, api: ResponsesApi, journal: Journal[ModelView]) -> None:
        self.manners = ChatManners()
        self.ids = api.ids
        self._api = api
        self._journal = journal

    def known(self, body: JsonObject) -> JsonObject:
        """Return a body without the fields a compatible server adds to the API's own."""
        name = self.manners.reasoning_field
        messages = objects(body.get("messages"))
        if name is None or not any(name in message for message in messages):
            return body
        return {**body, "messages": [{key: message[key] for key in message if key != name} for message in messages]}

    def create(self, body: JsonObject) -> MadeCompletion:
        """Answer a judged body.

        Raises:
            ApiError: The body or its model is refused.
        """
        self._api.check_model(body)
        for name in sorted(self.manners.refuses & set(body)):
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise ApiError(400, message, code="unsupported_parameter", param=name)
        if body.get("stream") is not True:
            raise ApiError(400, "This server answers chat in streams only.", param="stream")
        view = context.fit_context(self._view(body), limit=self._api.context_length, may_truncate=False)
        reply = self._api.replies.next(view)
        for call in reply.tool_calls:
            if call.name not in view.tool_names:
                self._journal.violated(Violation(f"the scripted tool '{call.name}' was not offered", body))
        self._journal.saw(view)
        options = body.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        return MadeCompletion(view, reply, self._usage(view, reply) if asked and self.manners.reports_usage else None)

    def _view(self, body: JsonObject) -> ModelView:
        messages = objects(body.get("messages"))
        told = context.text_of(messages[0]) if string(messages[0], "role") == "system" else None
        items = [item for message in messages[told is not None :] for item in _items(message)]
        return ModelView(
            response_id=self.ids.issue("chatcmpl"),
            model=string(body, "model"),
            instructions=told,
            tool_names=tuple(_tool_name(tool) for tool in objects(body.get("tools"))),
            previous_response_id=None,
            items=tuple(items),
        )

    def _usage(self, view: ModelView, reply: Reply) -> CompletionUsage:
        counted = build_usage(view, reply, cached_tokens=self._api.cached_tokens(view))
        return CompletionUsage(
            prompt_tokens=counted.input_tokens,
            completion_tokens=counted.output_tokens,
            total_tokens=counted.total_tokens,
            prompt_tokens_details=PromptTokensDetails(cached_tokens=counted.input_tokens_details.cached_tokens),
            completion_tokens_details=CompletionTokensDetails(
                reasoning_tokens=counted.output_tokens_details.reasoning_tokens
            ),
        )


def _tool_name(tool: JsonObject) -> str:
    function = tool.get("function")
    return string(function, "name") if isinstance(function, dict) else string(tool, "type")


def _items(message: JsonObject) -> Iterator[JsonObject]:
    """Yield a chat message as the items of the Responses API that say the same."""
    role = string(message, "role")
    if role == "tool":
        yield {
            "type": "function_call_output",
            "call_id": message["tool_call_id"],
            "output": context.text_of({"content": message.get("content")}),
        }
        return
    if message.get("content"):
        yield {"type": "message", "role": role, "content": message["content"]}
    for call in objects(message.get("tool_calls")):
        function = call.get("function")
        if isinstance(function, dict):
            yield {"type": "function_call", "call_id": call["id"], **function}
