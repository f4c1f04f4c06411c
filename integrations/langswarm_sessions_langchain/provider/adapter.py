"""The live session with a chat model: one streamed call at a time, classified errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage

from langswarm_sessions.errors import SessionError
from langswarm_sessions.interfaces.provider import (
    Completed,
    ModelLimits,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    Started,
    TextDelta,
)
from langswarm_sessions.messages import text_of
from langswarm_sessions.providers.base import BuiltInProviderSession
from langswarm_sessions_langchain.provider.answers import completed_answer, is_cut, says_something, summed
from langswarm_sessions_langchain.provider.errors import is_known, translate
from langswarm_sessions_langchain.provider.mapping import Speaker, given_messages
from langswarm_sessions_langchain.provider.profile import model_names, speaker_of
from langswarm_sessions_langchain.provider.request import ModelCall, configured, model_call, run_config
from langswarm_sessions_langchain.runnable.billed import billed_call
from langswarm_sessions_langchain.runnable.homes import endpoint_of

if TYPE_CHECKING:
    from langswarm_sessions_langchain.provider.client import LangChainProvider

__all__ = ["LangChainProviderSession"]

_END = object()


class LangChainProviderSession(BuiltInProviderSession["LangChainProvider"]):
    """A conversation with a LangChain chat model; settings are in docs/langchain.md."""

    __slots__ = ("_configured", "name")

    # Every chat model is given a name of its own.
    name: str  # type: ignore[misc]

    def __init__(
        self, session_id: str, model: str, config: Mapping[str, Any] | None = None, *, connection: LangChainProvider
    ) -> None:
        super().__init__(session_id, model, config, connection=connection)
        self.name = connection.name  # pyright: ignore[reportIncompatibleVariableOverride]
        self._configured: tuple[Mapping[str, Any], BaseChatModel] | None = None

    @property
    def profile(self) -> ProviderProfile:  # type: ignore[override]  # pyright: ignore[reportIncompatibleVariableOverride]
        """What the chat model can do."""
        return self._connection.profile

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Ask the chat model and yield its chunks, ending with `Completed`."""
        speaker = self._speaker()
        messages = given_messages(request.messages, instructions=request.instructions, speaker=speaker)
        is_streaming = False
        try:
            async with aclosing(self._events(request, messages, speaker)) as events:
                async for event in events:
                    is_streaming = True
                    yield event
            return
        except SessionError:
            raise
        except Exception as error:
            failure = self._translated(error, streaming=is_streaming)
            if not is_known(error):
                raise failure from error
        raise failure  # outside: an error kept as another's context still holds the request, and so the key

    async def model_limits(self) -> ModelLimits | None:
        """Return what the chat model's own profile says."""
        known: Mapping[str, Any] = self._connection.chat_model.profile or {}
        size = known.get("max_input_tokens")
        if not isinstance(size, int) or size <= 0:
            return None
        return ModelLimits(context_tokens=size, output_tokens=known.get("max_output_tokens"))

    def translate(self, error: Exception) -> Exception:
        """Return this library's error for whatever the chat model raised."""
        return self._translated(error, streaming=False)

    def _translated(self, error: Exception, *, streaming: bool) -> SessionError:
        kind = type(self._connection.chat_model).__name__
        return translate(error, failures=self._connection.failures, chat_model=kind, streaming=streaming)

    async def _events(
        self, request: ProviderRequest, messages: list[BaseMessage], speaker: Speaker
    ) -> AsyncGenerator[ProviderEvent, None]:
        call = model_call(
            self._model(),
            request,
            config=self._config,
            run=run_config(self.session_id, metadata=self._config.get("metadata")),
            provider=self.name,
        )
        chunks: list[BaseMessage] = []
        said = ""
        async with aclosing(self._chunks(call, messages, seconds=self._seconds(request))) as stream:
            async for chunk in stream:
                if not chunks:
                    yield Started()
                chunks.append(chunk)
                if (delta := _delta(chunk, request)) is not None:
                    said += delta.text
                    yield delta
        for event in self._end(chunks, speaker, said=said):
            yield event

    async def _chunks(
        self, call: ModelCall, messages: list[BaseMessage], *, seconds: float | None
    ) -> AsyncGenerator[BaseMessage, None]:
        """Yield the model's chunks; close its stream when the reader leaves, and give up when none comes in time."""
        chunks: AsyncIterator[BaseMessage] = aiter(call.model.astream(messages, call.config, **call.kwargs))
        try:
            while True:
                async with asyncio.timeout(seconds):
                    chunk = await anext(chunks, _END)
                if chunk is _END:
                    return
                if isinstance(chunk, BaseMessage):
                    yield chunk
        finally:
            # LangChain's own streams are generators; a model of the user's may return any iterator.
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    def _end(self, chunks: list[BaseMessage], speaker: Speaker, *, said: str) -> list[ProviderEvent]:
        if not chunks:
            raise self._connection.failures.cut_stream()
        answer = summed(chunks)
        if is_cut(chunks, answer):
            raise self._connection.failures.cut_stream()
        completed = completed_answer(answer, speaker=speaker, names=model_names(self._connection.chat_model))
        call = billed_call(answer, (), model=completed.model, asked=self._model())
        call = replace(call, usage=completed.usage)
        return [*_rest(completed, said), replace(completed, calls=(call,))]

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return host and port that the chat model's requests go to; (None, None) when it does not tell."""
        return endpoint_of(self._model())

    def _model(self) -> BaseChatModel:
        """Return the chat model with the settings in force."""
        if self._configured is None or self._configured[0] is not self._config:
            self._configured = self._config, configured(self._connection.chat_model, self._config)
        return self._configured[1]

    def _speaker(self) -> Speaker:
        return speaker_of(self._connection.chat_model, provider=self.name, model=self.model)

    def _seconds(self, request: ProviderRequest) -> float | None:
        """Return how long a chunk may take: the turn's time or the session's setting, whichever is less."""
        limits = [limit for limit in (request.timeout, self._config.get("timeout")) if limit is not None]
        return min(limits, default=None)


def _delta(chunk: BaseMessage, request: ProviderRequest) -> TextDelta | None:
    """Return a chunk as a piece of the answer; None for one that says nothing to whoever reads along."""
    text = str(chunk.text)
    if isinstance(chunk, AIMessageChunk) and request.streamed and says_something(chunk):
        return TextDelta(text, chunk)
    return TextDelta(text) if text else None


def _rest(completed: Completed, said: str) -> list[TextDelta]:
    """Return what of the answer's text came in no chunk (a refusal, for example)."""
    text = text_of(completed.parts)
    return [TextDelta(text[len(said) :])] if text != said and text.startswith(said) else []
