"""The server a test talks to."""

from __future__ import annotations

from mistralai.client import Mistral

from tests.support.provider_server.exchange import Answer, Exchange, Found
from tests.support.provider_server.listener import Request
from tests.support.provider_server.server import ProviderServer

from .api import Conversation, MadeAnswer, MistralApi
from .context import ModelView, default_reply
from .exchange import answer_of
from .judge import check_body
from .refusals import ApiError
from .replies import Reply

_KINDS = {"/v1/chat/completions": "chat", "/v1/agents/completions": "agents", "/v1/conversations": "start"}


class MistralServer(ProviderServer[ModelView, Reply]):
    """A stateful counterparty for Mistral's conversations and chat completions on a loopback port.

    It takes what the SDK's own request models allow and the published validator lets pass, and keeps conversations. Its
    faults befall `answer`, `history` and `delete`.

    Args:
        api_key: The one key that is let in.
    """

    variables = ("MISTRAL_API_KEY",)

    def __init__(self, *, api_key: str = "mistral-loopback-0123456789") -> None:
        super().__init__(api_key=api_key, make_reply=lambda text: Reply(text=text), rule=default_reply)
        self.api = MistralApi(self.journal, self.replies, self.ids)

    def wrong_key(self) -> ApiError:
        """Return the refusal of a request with another key."""
        return ApiError(401, "Unauthorized")

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key."""
        match request.method, request.path.strip("/").split("/"):
            case "POST", ["v1", "conversations", conversation_id]:
                self._answer(request, exchange, kind="append", conversation_id=conversation_id)
            case "POST", ["v1", "conversations", conversation_id, "restart"]:
                self._answer(request, exchange, kind="restart", conversation_id=conversation_id)
            case "POST", _ if kind := _KINDS.get(request.path):
                self._answer(request, exchange, kind=kind)
            case "DELETE", ["v1", "conversations", conversation_id]:
                exchange.tell(lambda: self._deleted(conversation_id), self.take_fault("delete"))
            case "GET", ["v1", "conversations", conversation_id, "history"]:
                exchange.tell(lambda: self._history(conversation_id), self.take_fault("history"))
            case _:
                raise ApiError(404, "no Route matched with those values")

    def _answer(self, request: Request, exchange: Exchange, *, kind: str, conversation_id: str = "") -> None:
        body = request.body or {}
        with self.judging(request.body):
            check_body(kind, request.raw, body)

        def made() -> MadeAnswer:
            if kind == "append":
                return self.api.append(conversation_id, body)
            if kind == "restart":
                return self.api.restart(conversation_id, body)
            return self.api.start(body) if kind == "start" else self.api.chat(body)

        def ask() -> Answer:
            if conversation_id:
                self.api.check_kept(conversation_id)
            with self.judging(request.body):
                return answer_of(self.api, made())

        exchange.run(ask, self.take_fault())

    def _history(self, conversation_id: str) -> Found:
        return Found(self.api.history(conversation_id), conversation_id)

    def _deleted(self, conversation_id: str) -> Found:
        self.api.delete(conversation_id)
        return Found(None, conversation_id, status=204)

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations kept now, oldest first."""
        return self.api.conversations()

    def client(self) -> Mistral:
        """Return an SDK client for this server."""
        return Mistral(api_key=self.api_key, server_url=self.base_url)

    def forget(self) -> None:
        """Lose every conversation, as an expiry would."""
        self.api.forget()
