"""The server a test talks to."""

from __future__ import annotations

from tests.support.provider_server.exchange import Exchange
from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.listener import Request
from tests.support.provider_server.server import ProviderServer

from .api_errors import ApiError
from .exchange import ChatAnswer
from .replies import Reply
from .request_judge import find_type_errors
from .rules import find_broken_rule
from .views import ModelView, default_reply, view_of

_CHAT_PATH = "/v2/chat"


class CohereServer(ProviderServer[ModelView, Reply]):
    """A counterparty for Cohere's v2 Chat API on a loopback port.

    It takes what the SDK's own request types and the API's rules allow. It streams only, and keeps nothing.

    Args:
        api_key: The one key that is let in.

    Attributes:
        sees: Whether the models take images.
        window: The tokens the models take; None: endless.
    """

    variables = ("CO_API_KEY", "CO_API_URL")

    def __init__(self, *, api_key: str = "co-loopback-0123456789abcdef") -> None:
        super().__init__(api_key=api_key, make_reply=lambda text: Reply(text=text), rule=default_reply)
        self.sees = True
        self.window: int | None = None

    def wrong_key(self) -> ApiError:
        """Return the refusal of a request with another key."""
        return ApiError(401, "invalid api token")

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key."""
        if (request.method, request.path) != ("POST", _CHAT_PATH):
            raise ApiError(404, "page not found")
        body = self._judged(request)
        exchange.run(lambda: self._answered(body), self.take_fault())

    def _judged(self, request: Request) -> JsonObject:
        """Return the body if it is legal; what no real server would take is a violation."""
        body = request.body or {}
        with self.judging(request.body):
            if problems := find_type_errors(request.raw):
                raise ApiError(400, f"invalid request: {'; '.join(problems)}")
            if broken := find_broken_rule(body, sees=True, window=None):
                raise ApiError(400, broken)
        if beyond := find_broken_rule(body, sees=self.sees, window=self.window):
            raise ApiError(400, beyond)
        return body

    def _answered(self, body: JsonObject) -> ChatAnswer:
        view = view_of(body)
        self.journal.saw(view)
        return ChatAnswer(view, self.replies.next(view), ids=self.ids)
