"""The server a test talks to."""

from __future__ import annotations

from collections.abc import Callable, Collection
from http.server import BaseHTTPRequestHandler

from openai import AsyncOpenAI, OpenAI

from tests.support.provider_server.exchange import Exchange
from tests.support.provider_server.journal import RequestRecord
from tests.support.provider_server.json_types import JsonObject, encode, string
from tests.support.provider_server.listener import Request
from tests.support.provider_server.server import ProviderServer
from tests.support.provider_server.wire import Wire

from .api_errors import ApiError
from .body_rules import check_body, check_metadata
from .chat_api import ChatApi
from .chat_exchange import ChatAnswer
from .chat_rules import check_chat_body
from .context import ModelView, default_reply, text_of
from .exchange import ResponseAnswer, WholeAnswer
from .replies import Reply
from .request_judge import Endpoint, find_type_errors
from .responses_api import ResponsesApi
from .routes import stored_request

_ENDPOINTS: dict[tuple[str, str], Endpoint] = {
    ("POST", "/v1/responses"): "responses",
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/conversations"): "conversations",
}
_RULES: dict[Endpoint, Callable[[JsonObject], None]] = {
    "responses": check_body,
    "chat": check_chat_body,
    "conversations": check_metadata,
}


class OpenAIServer(ProviderServer[ModelView, Reply]):
    """A stateful counterparty for OpenAI's Responses, Conversations and Chat Completions on a loopback port.

    It takes what the SDK's own request types allow, keeps responses and conversations like the provider, and answers
    with the SDK's own models. Its faults befall `create`, `chat`, and the operations of `routes`.

    Args:
        api_key: The one key that is let in.
        models: The models that exist; None means any.
        context_length: The window of every model in tokens; None means endless.

    Example:
        >>> with OpenAIServer() as server:
        ...     server.client().responses.create(model="gpt-5", input="hi").output_text
        '[1] You said: hi'
    """

    base_path = "/v1"
    main_operation = "create"
    variables = ("OPENAI_API_KEY", "OPENAI_BASE_URL")

    def __init__(
        self,
        *,
        api_key: str = "sk-loopback-0123456789abcdef",
        models: Collection[str] | None = None,
        context_length: int | None = None,
    ) -> None:
        super().__init__(api_key=api_key, make_reply=lambda text: Reply(text=text), rule=default_reply)
        self.api = ResponsesApi(self.journal, self.replies, ids=self.ids, models=models, context_length=context_length)
        self.chat = ChatApi(self.api, self.journal)

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire:
        """Return the connection of one exchange."""
        named = (self.id_header, self.ids.issue("req"))
        return Wire(handler, headers=(named, ("openai-version", "2020-10-01")))

    def wrong_key(self) -> ApiError:
        """Return the refusal of a request with another key."""
        return ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key."""
        endpoint = _ENDPOINTS.get((request.method, request.path))
        body = self._judged(request, endpoint) if endpoint is not None else {}
        match endpoint:
            case "responses":
                kind = ResponseAnswer if body.get("stream") is True else WholeAnswer
                exchange.run(lambda: kind(self.api, self.api.create(body)), self.take_fault())
            case "chat":
                exchange.run(lambda: ChatAnswer(self.chat, self.chat.create(body)), self.take_fault("chat"))
            case _:
                operation, find = stored_request(
                    self.api, method=request.method, path=request.path, query=request.query, body=body
                )
                with self.api.lock:
                    exchange.tell(find, self.take_fault(operation))

    def _judged(self, request: Request, endpoint: Endpoint) -> JsonObject:
        """Return the body if it is legal; else it is a violation, and refused."""
        body = request.body
        with self.judging(body):
            if body is None:
                message = "We could not parse the JSON body of your request."
                raise ApiError(400, message, problem="the body is no JSON object")
            known = self.chat.known(body) if endpoint == "chat" else body
            problems = find_type_errors(request.raw if known is body else encode(known), known, endpoint)
            if problems:
                raise _wrong_type(problems)
            _RULES[endpoint](body)
        return body

    @property
    def stored_ids(self) -> list[str]:
        """The ids of all responses kept now, oldest first."""
        return self.api.stored_ids()

    @property
    def conversation_ids(self) -> list[str]:
        """The ids of all conversations kept now, oldest first."""
        return self.api.conversations.ids()

    def held(self, conversation_id: str) -> list[JsonObject]:
        """Return the items a conversation holds, oldest first."""
        with self.api.lock:
            return list(self.api.conversations.get(conversation_id).items)

    def held_texts(self, conversation_id: str, role: str = "user") -> list[str]:
        """Return the texts a conversation holds of one role, oldest first."""
        return [text_of(item) for item in self.held(conversation_id) if string(item, "role") == role]

    def enter(self, conversation_id: str, *items: JsonObject) -> None:
        """Enter items into a conversation behind everybody's back."""
        with self.api.lock:
            self.api.conversations.append(conversation_id, *items)

    def client(self, *, timeout: float = 10.0) -> OpenAI:
        """Return a sync SDK client for this server, without retries; ``timeout`` in seconds."""
        return OpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=timeout)

    def async_client(self, *, timeout: float = 10.0) -> AsyncOpenAI:
        """Return an async SDK client for this server, without retries; ``timeout`` in seconds."""
        return AsyncOpenAI(api_key=self.api_key, base_url=self.base_url, max_retries=0, timeout=timeout)

    def forget(self, response_id: str | None = None) -> None:
        """Lose the native state of one response, or all of it (conversations too), as an expiry would."""
        self.api.forget(response_id)

    @property
    def posts(self) -> list[RequestRecord]:
        """Every request for an answer so far."""
        return [record for record in super().posts if record.path != "/v1/conversations"]

    @property
    def creates(self) -> list[RequestRecord]:
        """Every ``POST /v1/responses`` so far."""
        return [record for record in self.requests if (record.method, record.path) == ("POST", "/v1/responses")]

    @property
    def chats(self) -> list[RequestRecord]:
        """Every ``POST /v1/chat/completions`` so far."""
        return [record for record in self.requests if record.path == "/v1/chat/completions"]


def _wrong_type(problems: list[str]) -> ApiError:
    field, _, message = problems[0].partition(": ")
    told = "; ".join(problems)
    if message.startswith("Extra inputs"):
        return ApiError(400, f"Unknown parameter: '{field}'.", code="unknown_parameter", param=field, problem=told)
    text = f"Invalid value for '{field}': {message}."
    return ApiError(400, text, code="invalid_type", param=field, problem=told)
