"""The server a test talks to."""

from __future__ import annotations

from collections.abc import Collection

from tests.support.provider_server.exchange import Exchange
from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.listener import Request
from tests.support.provider_server.server import ProviderServer

from .api_errors import ApiError
from .context import ModelView, default_reply
from .exchange import MessageAnswer
from .messages_api import MessagesApi
from .replies import Reply
from .request_judge import find_type_errors
from .rules import check_request

THREADS_BETA = "message-threads-2026-08-12"


class AnthropicServer(ProviderServer[ModelView, Reply]):
    """A stateful counterparty for the Anthropic Messages API on a loopback port.

    It takes what the SDK's own request types and the API's rules allow, keeps message threads like the provider, and
    answers with the SDK's own models. It streams only.

    Args:
        api_key: The one key that is let in.
        models: The models that exist; None means any.
        output_limit: The longest answer every model gives, in tokens.
        context_length: The window of every model in tokens; None means endless.
    """

    id_header = "request-id"
    variables = ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL")

    def __init__(
        self,
        *,
        api_key: str = "sk-ant-loopback-0123456789abcdef",
        models: Collection[str] | None = None,
        output_limit: int = 64_000,
        context_length: int | None = None,
    ) -> None:
        super().__init__(api_key=api_key, make_reply=lambda text: Reply(text=text), rule=default_reply)
        self.api = MessagesApi(
            self.journal, self.replies, models=models, output_limit=output_limit, context_length=context_length
        )

    def wrong_key(self) -> ApiError:
        """Return the refusal of a request with another key."""
        return ApiError(401, "invalid x-api-key")

    def serve(self, request: Request, exchange: Exchange) -> None:
        """Answer a request that had the right key."""
        if (request.method, request.path) != ("POST", "/v1/messages"):
            raise ApiError(404, "Not found")
        betas = request.header("anthropic-beta")
        body = self._judged(request, betas=betas)
        exchange.run(lambda: MessageAnswer(self.api, self.api.create(body, betas=betas)), self.take_fault())

    def _judged(self, request: Request, *, betas: str) -> JsonObject:
        """Return the body if it is legal; else it is a violation, and refused."""
        body = request.body
        with self.judging(body):
            if body is None:
                raise ApiError(400, "the body is no JSON object")
            if problems := find_type_errors(body, is_beta=bool(betas)):
                raise ApiError(400, problems[0], problem="; ".join(problems))
            check_request(body)
            if not request.header("anthropic-version"):
                raise ApiError(400, "anthropic-version: header is required")
            if "thread" in body and THREADS_BETA not in betas.split(","):
                raise ApiError(400, "thread: Extra inputs are not permitted")
        return body

    @property
    def kept_ids(self) -> list[str]:
        """The messages threads can be continued from, oldest first."""
        return self.api.kept_ids()

    def forget(self) -> None:
        """Lose every thread, as an expiry would."""
        self.api.forget()

    def refuse_system_messages(self, model: str) -> None:
        """Let a model refuse system messages within the conversation, as older ones do."""
        self.api.system_refused_by.add(model)

    def refuse_threads(self, feature: str = "hipaa") -> None:
        """Refuse to thread requests that use a feature; ``hipaa`` stands for the account's own settings."""
        self.api.unthreadable.add(feature)
