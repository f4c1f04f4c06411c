"""The state a provider keeps: responses, their chains, and which ids were ever issued."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import dataclass

from openai.types.responses import Response

from tests.support.provider_server.faults import Kept
from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.journal import Journal, Violation
from tests.support.provider_server.json_types import JsonObject, objects, string
from tests.support.provider_server.replies import Script

from . import context
from .answers import as_json, build_output, build_response, build_usage, failed, in_progress
from .api_errors import ApiError, previous_response_not_found, response_not_found
from .context import ModelView
from .conversations import Conversations
from .replies import Reply


@dataclass(slots=True)
class _Kept:
    """A stored response with the chain that led to it."""

    response: Response
    parent: _Kept | None
    inputs: list[JsonObject]
    outputs: list[JsonObject]

    def chain(self) -> list[JsonObject]:
        links: list[_Kept] = []
        link: _Kept | None = self
        while link is not None:
            links.append(link)
            link = link.parent
        return [item for kept in reversed(links) for item in (*kept.inputs, *kept.outputs)]


@dataclass(frozen=True, slots=True)
class MadeResponse:
    """A finished answer that may still have to be sent.

    Args:
        response: The response as it ends.
        reply: What it was made from.
    """

    response: Response
    reply: Reply


def conversation_of(body: JsonObject) -> str | None:
    """Return the id of the conversation a request is a turn of, None without any."""
    given = body.get("conversation")
    return string(given, "id") if isinstance(given, dict) else given if isinstance(given, str) else None


class ResponsesApi:
    """Answers create, retrieve and delete, and remembers. Thread-safe.

    Args:
        journal: Where contexts and violations are written down.
        replies: What the model says.
        ids: Where ids come from.
        models: The models that exist; None means any.
        context_length: The window of every model in tokens; None means endless.
    """

    def __init__(
        self,
        journal: Journal[ModelView],
        replies: Script[ModelView, Reply],
        *,
        ids: IdSource,
        models: Collection[str] | None,
        context_length: int | None,
    ) -> None:
        self.models = models
        self.context_length = context_length
        self.replies = replies
        self.ids = ids
        self.conversations = Conversations(self.ids)
        self.lock = threading.RLock()
        self._journal = journal
        self._kept: dict[str, _Kept] = {}
        self._items: dict[str, tuple[str, JsonObject]] = {}
        self._needed_reasoning: dict[str, str] = {}
        self._sealed: set[str] = set()
        self._prompt_cache: dict[str, int] = {}

    def create(self, body: JsonObject) -> MadeResponse:
        """Answer a judged body. The response is kept as in progress until `finish`.

        Raises:
            ApiError: The body, its model, its native state or its items are refused.
        """
        self.check_model(body)
        with self.lock:
            parent = self._parent(string(body, "previous_response_id"))
            conversation_id = conversation_of(body)
            before = parent.chain() if parent else self._turns_so_far(conversation_id)
            inputs = context.resolve_references(context.input_items(body.get("input")), self._find_item)
            context.check_new_items(inputs, is_kept=self._is_kept, is_sealed=self._sealed.__contains__)
            view = self._view(body, [*before, *inputs])
            answer = self._answer(body, view, self.replies.next(view))
            self._journal.saw(view)
            if body.get("store") is not False:
                self._keep(_Kept(answer.response, parent, inputs, [as_json(item) for item in answer.response.output]))
            if conversation_id is not None:
                self.conversations.begin(conversation_id, answer.response.id, inputs)
            return answer

    def finish(self, answer: MadeResponse, kept: Kept = "turn") -> None:
        """Let a response end as it was answered; from now on others can build on what is kept of it."""
        if kept == "nothing":
            self.forget(answer.response.id)
            self._leave(answer, outputs=None)
            return
        self._update(answer.response)
        outputs = [as_json(item) for item in answer.response.output] if kept == "turn" else []
        self._leave(answer, outputs=None if kept == "answer" else outputs)

    def fail(self, answer: MadeResponse, *, message: str) -> Response:
        """Let a response end as failed, and return it so."""
        broken = failed(answer.response, message=message)
        self._update(broken)
        self._leave(answer, outputs=None)
        return broken

    def _leave(self, answer: MadeResponse, *, outputs: list[JsonObject] | None) -> None:
        with self.lock:
            self.conversations.end(answer.response.id, outputs)

    def retrieve(self, response_id: str) -> Response:
        """Return a kept response.

        Raises:
            ApiError: 404, unless it is kept.
        """
        with self.lock:
            if response_id not in self._kept:
                raise response_not_found(response_id)
            return self._kept[response_id].response

    def delete(self, response_id: str) -> None:
        """Delete a kept response.

        Raises:
            ApiError: 404, unless it is kept.
        """
        self.retrieve(response_id)
        self.forget(response_id)

    def forget(self, response_id: str | None = None) -> None:
        """Lose one response, or all of them and every conversation, without a word."""
        with self.lock:
            if response_id is None:
                self.conversations.forget()
            for lost in [response_id] if response_id is not None else list(self._kept):
                self._kept.pop(lost, None)
                self._items = {key: owned for key, owned in self._items.items() if owned[0] != lost}

    def stored_ids(self) -> list[str]:
        """Return the ids of all kept responses, oldest first."""
        with self.lock:
            return list(self._kept)

    def check_model(self, body: JsonObject) -> None:
        """Refuse a model that does not exist.

        Raises:
            ApiError: 404 ``model_not_found``.
        """
        model = string(body, "model")
        if self.models is not None and model not in self.models:
            message = f"The model '{model}' does not exist or you do not have access to it."
            raise ApiError(404, message, code="model_not_found", param="model")

    def _parent(self, response_id: str) -> _Kept | None:
        if not response_id:
            return None
        kept = self._kept.get(response_id)
        if kept is None or kept.response.status not in {"completed", "incomplete"}:
            raise previous_response_not_found(response_id)
        return kept

    def _turns_so_far(self, conversation_id: str | None) -> list[JsonObject]:
        if conversation_id is None:
            return []
        self.conversations.check_free(conversation_id)
        return list(self.conversations.get(conversation_id).items)

    def _view(self, body: JsonObject, items: list[JsonObject]) -> ModelView:
        context.check_sequence(items, needed_reasoning=self._needed_reasoning.get)
        instructions = body.get("instructions")
        view = ModelView(
            response_id=self.ids.issue("resp"),
            model=string(body, "model"),
            instructions=instructions if isinstance(instructions, str) else None,
            tool_names=tuple(string(tool, "name") or string(tool, "type") for tool in objects(body.get("tools"))),
            previous_response_id=string(body, "previous_response_id") or None,
            items=tuple(items),
            conversation_id=conversation_of(body),
        )
        return context.fit_context(view, limit=self.context_length, may_truncate=body.get("truncation") == "auto")

    def _answer(self, body: JsonObject, view: ModelView, reply: Reply) -> MadeResponse:
        for call in reply.tool_calls:
            if call.name not in view.tool_names:
                self._journal.violated(Violation(f"the scripted tool '{call.name}' was not offered", body))
        include = body.get("include")
        asked = isinstance(include, list) and "reasoning.encrypted_content" in include
        output = build_output(reply, self.ids, is_sealed=asked or body.get("store") is False)
        usage = build_usage(view, reply, cached_tokens=self.cached_tokens(view))
        response = build_response(body, response_id=view.response_id, output=output, usage=usage, reply=reply)
        self._sealed.update(filter(None, (string(as_json(item), "encrypted_content") for item in output)))
        return MadeResponse(response, reply)

    def cached_tokens(self, view: ModelView) -> int:
        """Count the tokens of the longest prefix an earlier request had too, and remember this one's."""
        cached = 0
        total = context.count_tokens(view.instructions or "")
        for key, item in zip(context.prefix_keys(view), view.items, strict=True):
            total += context.item_tokens(item)
            if key in self._prompt_cache:
                cached = total
            self._prompt_cache[key] = total
        return cached

    def _keep(self, kept: _Kept) -> None:
        finished = kept.response
        kept.response = in_progress(finished)
        self._kept[finished.id] = kept
        reasoning: str | None = None
        for item in kept.outputs:
            item_id = string(item, "id")
            self._items[item_id] = (finished.id, item)
            if string(item, "type") == "reasoning":
                reasoning = item_id
            elif reasoning is not None:
                self._needed_reasoning[item_id] = reasoning
                reasoning = None

    def _update(self, response: Response) -> None:
        with self.lock:
            if response.id in self._kept:
                self._kept[response.id].response = response

    def _find_item(self, item_id: str) -> JsonObject | None:
        owned = self._items.get(item_id)
        return owned[1] if owned else None

    def _is_kept(self, item_id: str) -> bool:
        return item_id in self._items
