"""The live OpenAI session: one streamed request at a time, native operations, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any

from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderProfile, ProviderRequest, Started, TextDelta
from langswarm_sessions.providers.base import BuiltInProviderSession
from langswarm_sessions.providers.openai.answers import completed_answer
from langswarm_sessions.providers.openai.client import OpenAIConnection, connect_openai
from langswarm_sessions.providers.openai.errors import (
    Failure,
    classify,
    cut_stream,
    failure_of,
    foreign_errors,
    translate,
)
from langswarm_sessions.providers.openai.profile import profile_of
from langswarm_sessions.providers.openai.request import Dialect, is_kept, request_body
from langswarm_sessions.records import NativeState

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent

__all__ = ["OpenAIProviderSession"]

_DRAIN_SECONDS = 1.0


class OpenAIProviderSession(BuiltInProviderSession[OpenAIConnection]):
    """A conversation with an OpenAI model over the Responses API.

    Args:
        session_id: The session it belongs to.
        model: The model's name, as OpenAI writes it.
        config: provider_config; see docs/providers/openai.md.
        connection: What it shares with the manager's other OpenAI sessions.
        credential: Without a connection: a key, a dict (api_key, base_url, ...), a ready-made client, or None for
            the environment.

    Raises:
        ConfigurationError: Built by hand: there is no key, or a setting is unknown.
        MissingDependencyError: Built by hand: the SDK is not installed.
    """

    __slots__ = ()

    name = "openai"

    def __init__(
        self,
        session_id: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        connection: OpenAIConnection | None = None,
        credential: object = None,
    ) -> None:
        super().__init__(
            session_id,
            model,
            config,
            connection=connection or connect_openai(credential),
            owns_connection=connection is None,
        )

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What OpenAI can do for this session; it depends on the setting `store`."""
        return profile_of(self._config)

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return host and port requests go to."""
        return self._connection.endpoint(self._config.get("base_url"))

    def translate(self, error: Exception) -> Exception:
        """Return this library's error for one of the SDK's; any other unchanged."""
        return translate(error)

    async def delete_native(self, native: NativeState) -> None:
        """Delete the newest response; one that is gone already is a success."""
        client = await self._connection.client(self._config)
        try:
            await client.responses.delete(native.id)
            return
        except foreign_errors() as error:
            if getattr(error, "status_code", None) == 404:
                return
            failure = translate(error)
        raise failure

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Send one request and yield its events as they come, ending with `Completed`."""
        client = await self._connection.client(self._config)
        is_streaming = False
        try:
            stream = await self._create(client, request)
            async with stream, aclosing(self._events(stream, request)) as events:
                async for event in events:
                    is_streaming = True
                    yield event
            return
        except foreign_errors() as error:
            failure = translate(error, continued=request.native is not None, streaming=is_streaming)
        raise failure

    async def _create(self, client: AsyncOpenAI, request: ProviderRequest) -> AsyncStream[ResponseStreamEvent]:
        """Send the request; where the model refuses a field it does not know, once more without it."""
        from openai import BadRequestError

        here = (str(client.base_url), self.model)
        dialect = Dialect(encrypts=here not in self._connection.unencrypted)
        while True:
            body = request_body(
                request, session_id=self.session_id, model=self.model, config=self._config, dialect=dialect
            )
            try:
                return await client.responses.create(**body, timeout=self._timeout(client, request))
            except BadRequestError as error:
                simpler = dialect.without(failure_of(error))
                if simpler is None:
                    raise
                if not simpler.encrypts:
                    self._connection.unencrypted.add(here)
                dialect = simpler

    def _timeout(self, client: AsyncOpenAI, request: ProviderRequest) -> Any:
        limits = [limit for limit in (request.timeout, self._config.get("timeout")) if limit is not None]
        return min(limits) if limits else client.timeout

    async def _events(
        self, stream: AsyncStream[ResponseStreamEvent], request: ProviderRequest
    ) -> AsyncGenerator[ProviderEvent, None]:
        kept = is_kept(request, self._config)
        request_id = stream.response.headers.get("x-request-id")
        items: list[ResponseOutputItem] = []
        async for event in stream:
            match event.type:
                case "response.created":
                    yield Started(native_id=event.response.id if kept else None, request_id=request_id)
                case "response.output_text.delta" | "response.refusal.delta":
                    yield TextDelta(event.delta)
                case "response.output_item.done":
                    items.append(event.item)
                case "response.completed" | "response.incomplete":
                    answer = completed_answer(
                        event.response, model=self.model, items=items, kept=kept, request_id=request_id
                    )
                    await _drain(stream)
                    yield answer
                    return
                case "response.failed":
                    raise classify(_failure_in(event.response, request, request_id))
                case "error":
                    raise classify(
                        Failure(
                            code=event.code,
                            param=event.param,
                            message=event.message,
                            request_id=request_id,
                            continued=request.native is not None,
                        )
                    )
                case _:
                    pass
        raise cut_stream()


def _failure_in(response: Response, request: ProviderRequest, request_id: str | None) -> Failure:
    error = response.error
    return Failure(
        code=error.code if error is not None else None,
        param=error.param if error is not None else None,
        type=error.type if error is not None else None,
        message=error.message if error is not None else "",
        request_id=request_id,
        continued=request.native is not None,
    )


async def _drain(stream: AsyncStream[ResponseStreamEvent]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in stream:
                pass
