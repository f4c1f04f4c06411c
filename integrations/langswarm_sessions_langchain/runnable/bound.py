"""A wrapped Runnable as the provider of one turn."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from langchain_core.exceptions import ContextOverflowError as LangChainContextOverflow
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import BaseOutputParser
from langchain_core.prompts import BasePromptTemplate
from langchain_core.runnables import Runnable, RunnableConfig, RunnableSequence
from langchain_core.runnables.base import RunnableBinding

from langswarm_sessions.errors import ContextOverflowError
from langswarm_sessions.interfaces import (
    Completed,
    EngineProvider,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    TextDelta,
)
from langswarm_sessions.records import NativeKind
from langswarm_sessions_langchain.runnable.caller_thread import CallerThread
from langswarm_sessions_langchain.runnable.homes import endpoint_of
from langswarm_sessions_langchain.runnable.inputs import GivenInput, MessageKeys, bound_input
from langswarm_sessions_langchain.runnable.inside import chat_models_in
from langswarm_sessions_langchain.runnable.nesting import inside_turn
from langswarm_sessions_langchain.runnable.outputs import add_output, completed_of, new_messages, text_of_chunk

__all__ = ["RUNNABLE_PROFILE", "RUNNABLE_PROVIDER", "BoundCall", "RunnableProvider"]

RUNNABLE_PROVIDER = "runnable"
RUNNABLE_PROFILE = ProviderProfile(
    native=NativeKind.NONE,
    client=True,
    config_keys=frozenset(),
    otel_name=RUNNABLE_PROVIDER,
    is_foreign=True,
    asks_several=True,
)

_END = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundCall:
    """How a wrapped Runnable is called for one turn.

    Args:
        bound: The Runnable.
        session_id: Whose turn it is.
        given: The caller's input.
        keys: Where messages are in dicts.
        config: The child config of the caller's run.
        kwargs: Passed on to the Runnable.
        stream: Whether its answer is streamed.
        thread: The waiting thread of a blocking caller, in which its synchronous methods are called.
    """

    bound: Runnable[Any, Any] = field(repr=False)
    session_id: str
    given: GivenInput
    keys: MessageKeys
    config: RunnableConfig = field(repr=False)
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    stream: bool = False
    thread: CallerThread[Any] | None = None


class RunnableProvider(EngineProvider):
    """Answers one turn with a Runnable.

    Args:
        call: How it is called.
        model: What the model is called until the answer says it.
    """

    name = RUNNABLE_PROVIDER
    profile: ClassVar[ProviderProfile] = RUNNABLE_PROFILE

    def __init__(self, call: BoundCall, *, model: str) -> None:
        self._call = call
        self.model = model

    async def stream_turn(self, request: ProviderRequest) -> AsyncIterator[ProviderEvent]:
        """Run the Runnable with the window, and yield its chunks and the answer."""
        call = self._call
        value, given = bound_input(call.given, request, call.keys)
        output: Any = None
        said = ""
        async with aclosing(self._outputs(value)) as chunks:
            async for chunk in chunks:
                output = add_output(output, chunk)
                text = text_of_chunk(chunk, call.keys.output) if call.stream else ""
                said += text
                if text or (call.stream and isinstance(chunk, AIMessageChunk)):
                    yield TextDelta(text, chunk)
        said_now = new_messages(output, given, output_key=call.keys.output)
        completed = completed_of(said_now, model=self.model, models=chat_models_in(call.bound))
        for event in _end(completed, said=said, stream=call.stream):
            yield event

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return where the Runnable's chat model sends its requests; (None, None) where it has none, or several."""
        models = chat_models_in(self._call.bound)
        return endpoint_of(models[0]) if len(models) == 1 else (None, None)

    def translate(self, error: Exception) -> Exception:
        """Leave the Runnable's errors as they are: who wraps it already handles them.

        One is ours: a plain model's context overflow, so that the turn is tried once more with a smaller window. A
        Runnable that may have acted (called tools) before it failed is never run again behind its caller's back.
        """
        if isinstance(error, LangChainContextOverflow) and _only_asks_a_model(self._call.bound):
            return ContextOverflowError(
                "The conversation is longer than the model's context window; set max_messages in session_config.",
                provider=self.name,
            )
        return error

    async def _outputs(self, value: Any) -> AsyncGenerator[Any]:
        with inside_turn(self._call.session_id) as turn:
            try:
                async with aclosing(self._opened(value)) as outputs:
                    async for output in outputs:
                        yield output
            except BaseException:
                await turn.leave_streams()
                raise

    async def _opened(self, value: Any) -> AsyncGenerator[Any]:
        call = self._call
        if call.thread is not None:
            outputs = _in_thread(call, value, call.thread)
        elif call.stream:
            outputs = call.bound.astream(value, call.config, **call.kwargs)
        else:
            outputs = _whole(call, value)
        try:
            async for output in outputs:
                yield output
        finally:
            # LangChain's own streams are generators; a Runnable of the user's may return any iterator.
            close = getattr(outputs, "aclose", None)
            if close is not None:
                await close()


async def _whole(call: BoundCall, value: Any) -> AsyncIterator[Any]:
    yield await call.bound.ainvoke(value, call.config, **call.kwargs)


async def _in_thread(call: BoundCall, value: Any, thread: CallerThread[Any]) -> AsyncIterator[Any]:
    context = copy_context()
    if not call.stream:
        yield await thread.run(lambda: call.bound.invoke(value, call.config, **call.kwargs), context)
        return

    def opened() -> Iterator[Any]:
        chunks = call.bound.stream(value, call.config, **call.kwargs)
        close: Callable[[], None] | None = getattr(chunks, "close", None)
        if close is not None:
            thread.at_end(lambda: context.run(close))
        return chunks

    chunks = await thread.run(opened, context)
    while (chunk := await thread.run(lambda: next(chunks, _END), context)) is not _END:
        yield chunk


def _end(completed: Completed, *, said: str, stream: bool) -> Iterator[ProviderEvent]:
    """Yield what of the answer's text was not streamed, then the end."""
    text = str(cast("Any", completed.raw).text)
    if stream and text != said and text.startswith(said):
        yield TextDelta(text[len(said) :])
    yield completed


def _only_asks_a_model(runnable: Runnable[Any, Any]) -> bool:
    """Whether a Runnable is a chat model with nothing but prompts and parsers around it."""
    if isinstance(runnable, RunnableBinding):
        return _only_asks_a_model(runnable.bound)
    if isinstance(runnable, RunnableSequence):
        return all(map(_only_asks_a_model, runnable.steps))
    return isinstance(runnable, BaseChatModel | BasePromptTemplate | BaseOutputParser)
