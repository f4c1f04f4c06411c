"""The server a test talks to."""

from __future__ import annotations

import re
from http.server import BaseHTTPRequestHandler

from tests.support.provider_server.exchange import Exchange, Found
from tests.support.provider_server.journal import RequestRecord
from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.listener import Request
from tests.support.provider_server.refusals import Refusal
from tests.support.provider_server.server import ProviderServer
from tests.support.provider_server.wire import Wire

from .api_errors import ApiError
from .exchange import ContentAnswer, InteractionAnswer
from .judge import find_type_errors
from .replies import Reply
from .state import GeminiState
from .views import ModelView, default_reply

_INTERACTIONS = re.compile(r"/v1(?:beta)?/interactions")
_INTERACTION = re.compile(r"/v1(?:beta)?/interactions/([^/]+)")
_GENERATE = re.compile(r"/v1(?:beta)?/models/([^/:]+):streamGenerateContent")


class GeminiServer(ProviderServer[ModelView, Reply]):
    """A stateful counterparty for Gemini's Interactions API and `:streamGenerateContent` on a loopback port.

    Args:
        api_key: The one key that is let in.
    """

    variables = ("GEMINI_API_KEY", "GOOGLE_GEMINI_BASE_URL")

    def __init__(self, *, api_key: str = "AIza-loopback-0123456789abcdef") -> None:
        super().__init__(api_key=api_key, make_reply=lambda text: Reply(text=text), rule=default_reply)
        self.state = GeminiState(self.journal, self.replies)

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire:
        """Return the connection of one exchange."""
        return Wire(handler, headers=((self.id_header, self.ids.issue("req")),), line_end=b"\r\n")

    def given_key(self, request: Request) -> str:
        """Return the key a request has."""
        return request.header("x-goog-api-key")

    def wrong_key(self) -> ApiError:
        """Return the refusal of a request with another key."""
        return ApiError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")

    def refusal_body(self, refusal: Refusal, request: Request) -> JsonObject:
        """Return what the client reads of a refusal; the two APIs write it differently."""
        if isinstance(refusal, ApiError) and _INTERACTIONS.match(request.path):
            return refusal.interaction_body()
        return refusal.body()

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key."""
        kept = _INTERACTION.fullmatch(request.path)
        generated = _GENERATE.fullmatch(request.path)
        if request.method == "DELETE" and kept:
            exchange.tell(lambda: self._deleted(kept[1]), self.take_fault("delete"))
        elif request.method == "POST" and generated:
            body, model = self._judged(request, is_interaction=False), generated[1]
            exchange.run(lambda: ContentAnswer(self.state, self.state.generate(model, body)), self.take_fault())
        elif request.method == "POST" and _INTERACTIONS.fullmatch(request.path):
            body = self._judged(request, is_interaction=True)
            exchange.run(lambda: InteractionAnswer(self.state, self.state.interact(body)), self.take_fault())
        else:
            raise ApiError(404, "NOT_FOUND", "")

    def _judged(self, request: Request, *, is_interaction: bool) -> JsonObject:
        """Return the body if it is legal; else it is a violation, and refused."""
        problems = find_type_errors(request.raw, is_interaction=is_interaction)
        body = request.body
        with self.judging(body):
            if problems or body is None:
                message = f"Invalid JSON payload received. {problems[:1]}"
                problem = "; ".join(problems) or "no JSON object"
                raise ApiError(400, "INVALID_ARGUMENT", message, problem=problem)
        return body

    def _deleted(self, interaction_id: str) -> Found:
        self.state.delete(interaction_id)
        return Found({}, interaction_id)

    def forget(self) -> None:
        """Lose all native state."""
        self.state.forget()

    @property
    def asked(self) -> list[RequestRecord]:
        """Every request for an answer so far."""
        return self.posts
