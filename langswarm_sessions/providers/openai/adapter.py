"""The live OpenAI session: one streamed request at a time, native operations, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderProfile, ProviderRequest, Started, TextDelta
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.answers import completed_answer
from langswarm_sessions.providers.openai.client import OpenAIConnection, connect_openai
from langswarm_sessions.providers.openai.errors import (
    OPENAI_FAILURES,
    classify,
    failure_of,
    foreign_errors,
    translate,
)
from langswarm_sessions.providers.openai.profile import profile_of
from langswarm_sessions.providers.openai.request import Dialect, is_kept, request_body
from langswarm_sessions.providers.remote import RemoteProviderSession
from langswarm_sessions.records import NativeState

if TYPE_CHECKING:
    from openai import AsyncOpenAI, AsyncStream
    from openai.types.responses import Response, ResponseOutputItem, ResponseStreamEvent

__all__ = ["OpenAIProviderSession"]

_DRAIN_SECONDS = 1.0


class OpenAIProviderSession(RemoteProviderSession[OpenAIConnection]):
    """A conversation with an OpenAI model over the Responses API; settings are in docs/providers/openai.md."""

    __slots__ = ()

    name = "openai"

    @classmethod
    def connect(cls, credential: object) -> OpenAIConnection:
        """Return a connection of a credential."""
        return connect_openai(credential)

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What OpenAI can do for this session; it depends on the setting `store`."""
        return profile_of(self._config)

    async def delete_native(self, native: NativeState) -> None:
        """Delete the newest response; one that is gone already is a success."""
        client = await self._connection.client(self._config)
        await self._deleted(client.responses.delete(native.id))

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        return translate(error, continued=continued, streaming=streaming)

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        stream = await self._create(await self._connection.client(self._config), request)
        async with stream, aclosing(self._read(stream, request)) as events:
            async for event in events:
                yield event

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
                return await client.responses.create(**body, timeout=self._seconds(request) or client.timeout)
            except BadRequestError as error:
                simpler = dialect.without(failure_of(error))
                if simpler is None:
                    raise
                if not simpler.encrypts:
                    self._connection.unencrypted.add(here)
                dialect = simpler

    async def _read(
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
        raise OPENAI_FAILURES.cut_stream()


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
