"""The live Gemini session: one streamed request at a time, through the API the request calls for, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langswarm_sessions.interfaces.provider import (
    ModelLimits,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    Started,
    TextDelta,
)
from langswarm_sessions.messages.tokens import told_tokens
from langswarm_sessions.providers.gemini.answers import CandidateCollector, StepCollector
from langswarm_sessions.providers.gemini.client import GeminiConnection, connect_gemini, first_of
from langswarm_sessions.providers.gemini.errors import (
    GEMINI_FAILURES,
    IllegibleAnswerError,
    foreign_errors,
    translate,
)
from langswarm_sessions.providers.gemini.mapping import Item
from langswarm_sessions.providers.gemini.profile import profile_of
from langswarm_sessions.providers.gemini.request import content_arguments, interaction_body, is_kept
from langswarm_sessions.providers.remote import RemoteProviderSession
from langswarm_sessions.records import NativeState

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.types import GenerateContentResponse

__all__ = ["GeminiProviderSession"]

T = TypeVar("T")

_DRAIN_SECONDS = 1.0
_ILLEGIBLE = object()


class GeminiProviderSession(RemoteProviderSession[GeminiConnection]):
    """A conversation with a Gemini model; settings are in docs/providers/gemini.md.

    What the provider is to keep goes through its Interactions API, everything else through `generate_content`.
    """

    __slots__ = ()

    name = "gemini"

    @classmethod
    def connect(cls, credential: object) -> GeminiConnection:
        """Return a connection of a credential."""
        return connect_gemini(credential)

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What Gemini can do for this session; it depends on the settings `native` and `store`."""
        return profile_of(self._config)

    async def delete_native(self, native: NativeState) -> None:
        """Delete the newest interaction; one that is gone already is a success."""
        clients = await self._connection.loop_client()
        interactions: Any = clients.for_config(self._config).aio.interactions
        await self._deleted(interactions.delete(native.id, timeout=clients.seconds))

    async def model_limits(self) -> ModelLimits | None:
        """Ask for the model's limits."""
        clients = await self._connection.loop_client()
        models: Any = clients.for_config(self._config).aio.models
        model = await self._told(models.get(model=self.model))
        if not model.input_token_limit:
            return None
        return ModelLimits(context_tokens=model.input_token_limit, output_tokens=model.output_token_limit)

    async def count_tokens(self, request: ProviderRequest) -> int | None:
        """Let the provider count a whole conversation; what an interaction holds is not known here."""
        if request.native is not None:
            return None
        clients = await self._connection.loop_client()
        contents, _ = content_arguments(request, model=self.model, config=self._config, seconds=clients.seconds)
        models: Any = clients.for_config(self._config).aio.models
        counted = await self._told(models.count_tokens(model=self.model, contents=contents))
        # With a key the API counts contents alone.
        return (counted.total_tokens or 0) + told_tokens(request.instructions, request.options.tools)

    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        return foreign_errors()

    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        return translate(error, continued=continued, streaming=streaming)

    async def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        clients = await self._connection.loop_client()
        client = clients.for_config(self._config)
        seconds = self._seconds(request, client=clients.seconds) or clients.seconds
        is_native = request.native is not None or is_kept(request, self._config)
        read = self._interact if is_native else self._generate
        async with aclosing(read(client, request, seconds)) as events:
            async for event in events:
                yield event

    async def _interact(
        self, client: Client, request: ProviderRequest, seconds: float
    ) -> AsyncGenerator[ProviderEvent, None]:
        body = interaction_body(request, model=self.model, config=self._config)
        interactions: Any = client.aio.interactions
        stream = await interactions.create(**body, automatic_continuation=False, timeout=seconds)
        if not hasattr(stream, "response"):
            raise IllegibleAnswerError  # a whole answer, where a stream was asked for
        async with stream, aclosing(stream.generator):
            kept, request_id = is_kept(request, self._config), stream.response.headers.get("x-request-id")
            answer = StepCollector(
                model=self.model, kept=kept, continued=request.native is not None, request_id=request_id
            )
            async for sent in _legible(stream):
                event = GEMINI_FAILURES.read(_event, sent)
                match event.get("event_type"):
                    case "interaction.created":
                        native_id = _object(event, "interaction").get("id")
                        yield Started(native_id=native_id if kept else None, request_id=request_id)
                    case "step.start":
                        if text := GEMINI_FAILURES.read(answer.start, event):
                            yield TextDelta(text)
                    case "step.delta":
                        if text := GEMINI_FAILURES.read(answer.delta, event):
                            yield TextDelta(text)
                    case "interaction.completed":
                        completed = GEMINI_FAILURES.read(answer.complete, _object(event, "interaction"))
                        # Beneath the SDK: it stops reading at its own end mark, and so would lose the connection.
                        await _drain(aiter(stream.response.stream))
                        yield completed
                        return
                    case "error":
                        raise answer.failed(_object(event, "error"))
                    case _:
                        pass
        raise GEMINI_FAILURES.cut_stream()

    async def _generate(
        self, client: Client, request: ProviderRequest, seconds: float
    ) -> AsyncGenerator[ProviderEvent, None]:
        contents, config = content_arguments(request, model=self.model, config=self._config, seconds=seconds)
        answer = CandidateCollector(model=self.model, seed=_seed(request))
        models: Any = client.aio.models  # the type of what it takes names packages that need not be installed
        stream = await models.generate_content_stream(model=self.model, contents=contents, config=config)
        async with _closing(cast("AsyncGenerator[GenerateContentResponse, None]", stream)) as chunks:
            is_started = False
            async for chunk in _legible(chunks):
                text = GEMINI_FAILURES.read(answer.add, GEMINI_FAILURES.read(_chunk, chunk))
                if not is_started:
                    yield Started(request_id=answer.response_id)
                    is_started = True
                if text:
                    yield TextDelta(text)
                if answer.reason is not None:
                    break
            completed = GEMINI_FAILURES.read(answer.complete)
            await _drain(chunks)
        yield completed


@asynccontextmanager
async def _closing(stream: AsyncGenerator[T, None]) -> AsyncGenerator[AsyncGenerator[T, None], None]:
    """Close a stream of the SDK and with it, at once, the response it reads."""
    responses: list[Any] = []

    async def chunks() -> AsyncGenerator[T, None]:
        with suppress(StopAsyncIteration):
            yield await first_of(stream, responses)
            async for chunk in stream:
                yield chunk

    try:
        async with aclosing(stream), aclosing(chunks()) as noted:
            yield noted
    finally:
        for response in responses:
            await response.aclose()


def _seed(request: ProviderRequest) -> str:
    newest = request.messages[-1].message_id if request.messages else ""
    return f"{len(request.messages)}/{newest}"


def _event(sent: Any) -> Item:
    try:
        event: Item = sent.model_dump(mode="json", by_alias=True, warnings=False)
    except AttributeError:
        raise IllegibleAnswerError from None
    return event


def _chunk(sent: GenerateContentResponse) -> Item:
    """Return a chunk as JSON; one without a single field of this API is not of this API."""
    chunk: Item = sent.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"sdk_http_response"}, warnings=False
    )
    if not chunk:
        raise IllegibleAnswerError
    return chunk


def _object(event: Item, name: str) -> Item:
    value: object = event.get(name)
    return cast(Item, value) if isinstance(value, dict) else {}


async def _legible(stream: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """Yield what the SDK reads; what it stumbles over is an answer that is not of this API."""
    while True:
        try:
            sent = await anext(stream)
        except StopAsyncIteration:
            return
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            if isinstance(error, foreign_errors()):
                raise
            sent = _ILLEGIBLE
        if sent is _ILLEGIBLE:  # raised here: nothing of the request is kept as its context
            raise IllegibleAnswerError
        yield sent


async def _drain(stream: AsyncIterator[Any]) -> None:
    """Read what is left of a finished answer, so that the connection can serve the next request."""
    with suppress(TimeoutError, *foreign_errors()):
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for _ in _legible(stream):
                pass
