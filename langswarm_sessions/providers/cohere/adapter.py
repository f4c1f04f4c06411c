"""The live Cohere session: one streamed request at a time, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import ModelLimits, ProviderEvent, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import ImagePart, Role
from langswarm_sessions.providers.cohere.answers import StreamedAnswer, parse_event
from langswarm_sessions.providers.cohere.client import CohereConnection, connect_cohere
from langswarm_sessions.providers.cohere.credential import wrapper_of
from langswarm_sessions.providers.cohere.errors import (
    COHERE_FAILURES,
    failure_of,
    foreign_errors,
    request_id_of,
    translate,
)
from langswarm_sessions.providers.cohere.profile import COHERE_PROFILE
from langswarm_sessions.providers.cohere.request import request_body, senses_of
from langswarm_sessions.providers.counting import request_text
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.remote import RemoteProviderSession

if TYPE_CHECKING:
    import httpx
    from cohere import AsyncClientV2
    from cohere.core.request_options import RequestOptions

__all__ = ["CohereProviderSession"]

_DRAIN_SECONDS = 1.0
_LONGEST_COUNTED = 65_536
"""Characters the tokenizer takes."""


class CohereProviderSession(RemoteProviderSession[CohereConnection]):
    """A conversation with a Cohere model over the v2 Chat API; settings are in docs/providers/cohere.md."""

    __slots__ = ()

    name = "cohere"
    profile = COHERE_PROFILE

    @classmethod
    def connect(cls, credential: object) -> CohereConnection:
        """Return a connection of a credential."""
        return connect_cohere(credential)

    async def model_limits(self) -> ModelLimits | None:
        """Ask for the model's limits."""
        client = await self._connection.client(self._config)
        model = await self._told(client.models.get(self.model, request_options=self._aside()))
        return ModelLimits(context_tokens=int(model.context_length)) if model.context_length else None

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count the newest of the text; what is longer than it takes is counted in proportion."""
        text = request_text(request)
        if not text:
            return None
        newest = text[-_LONGEST_COUNTED:]
        client = await self._connection.client(self._config)
        asked = client.tokenize(text=newest, model=self.model, offline=False, request_options=self._aside())
        return len((await self._told(asked)).tokens) * len(text) // len(newest)

    def _aside(self) -> RequestOptions:
        """Return how a request about a model is sent."""
        headers: Mapping[str, str] | None = self._connection.credential.default_headers
        options: dict[str, Any] = {"max_retries": 0, **({"additional_headers": dict(headers)} if headers else {})}
        return cast("RequestOptions", options)

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        return translate(error, streaming=streaming)

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        async with AsyncExitStack() as stack:
            response = await self._opened(stack, request)
            answer = StreamedAnswer(model=self.model, request_id=request_id_of(response.headers))
            events = await stack.enter_async_context(aclosing(_data_of(response)))
            async for data in events:
                event = parse_event(data)
                if text := answer.read(event):
                    yield TextDelta(text)
                elif event["type"] == "message-start":
                    yield Started(request_id=request_id_of(response.headers))
                if answer.completed is not None:
                    await _drain(events)
                    yield answer.completed
                    return
        raise COHERE_FAILURES.cut_stream()

    async def _opened(self, stack: AsyncExitStack, request: ProviderRequest) -> httpx.Response:
        """Send the request; where the model turns out to take no images, once more without those of earlier turns."""
        from cohere.core.api_error import ApiError

        client = await self._connection.client(self._config)
        here = (self._connection.credential.address(self._config.get("base_url")), self.model)
        while True:
            sees = here not in self._connection.sightless
            senses = senses_of(self._config, sees=sees)
            body = request_body(request, model=self.model, config=self._config, senses=senses)
            try:
                answer = await stack.enter_async_context(
                    client.with_raw_response.chat_stream(**body, request_options=self._request_options(request, client))
                )
            except ApiError as error:
                if not (sees and _shows_images(request) and _takes_no_images(failure_of(error))):
                    raise
                self._connection.sightless.add(here)
            else:
                return cast("httpx.Response", getattr(answer, "_response"))  # noqa: B009 - public from SDK 7.1 on

    def _request_options(self, request: ProviderRequest, client: AsyncClientV2) -> RequestOptions:
        options: dict[str, Any] = {"max_retries": 0}
        if (seconds := self._seconds(request, client=wrapper_of(client).get_timeout())) is not None:
            options["timeout_in_seconds"] = seconds
        headers: Mapping[str, str] | None = self._connection.credential.default_headers
        if headers:
            options["additional_headers"] = dict(headers)
        return cast("RequestOptions", options)


async def _data_of(response: httpx.Response) -> AsyncGenerator[str, None]:
    """Yield the data of the events of a stream, up to its end mark."""
    from cohere.core.http_sse import EventSource

    async with aclosing(EventSource(response).aiter_sse()) as events:
        async for event in events:
            if event.data == "[DONE]":
                return
            if event.data:
                yield event.data


async def _drain(events: AsyncIterator[str]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in events:
                pass


def _shows_images(request: ProviderRequest) -> bool:
    users = (message for message in request.messages if message.role is Role.USER)
    return any(isinstance(part, ImagePart) for message in users for part in message.parts)


def _takes_no_images(failure: Failure) -> bool:
    """Whether a model refused images as such, not one that is too large or cannot be read."""
    if failure.status not in {400, 422}:
        return False
    return failure.mentions("image", "vision", "multimodal") and failure.mentions("support", "does not accept")
