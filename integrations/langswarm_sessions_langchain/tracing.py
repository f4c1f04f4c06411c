"""A turn among the spans of those who trace LangChain's runs: below the run it is taken in, above what it runs.

Instrumentors of LangChain hear of runs as callback handlers, and find the parent of a span by the run around it. A turn
is no run, so that its span is put in between here. Nothing is done unless one of them is at work.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from inspect import iscoroutinefunction
from typing import Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager, CallbackManager
from langchain_core.callbacks.manager import BaseRunManager
from langchain_core.runnables import RunnableConfig, ensure_config
from langchain_core.runnables.config import merge_configs
from opentelemetry import context as context_api
from opentelemetry import trace
from typing_extensions import override

from langswarm_sessions_otel import correlation_of, recorded_around

__all__ = ["NOTES_RUN", "below_turn", "in_current_run", "in_model_run", "noting_run"]

_OPENINFERENCE = "openinference.instrumentation.langchain"
_OFFICIAL = "opentelemetry.instrumentation.genai.langchain"
_TRACELOOP = "opentelemetry.instrumentation.langchain"

_logger = logging.getLogger("langswarm_sessions.telemetry")
_noted: ContextVar[UUID | None] = ContextVar("langswarm_sessions_model_run", default=None)


@contextmanager
def in_current_run(session_id: str) -> Generator[None]:
    """Let a turn that is begun in the block lie below the run that is current, for whoever traces runs.

    Args:
        session_id: The turn's session, which the run's span is told.
    """
    callbacks = ensure_config().get("callbacks")
    if not isinstance(callbacks, BaseCallbackManager) or callbacks.parent_run_id is None:
        yield
        return
    with _below(_tracers(callbacks.handlers), callbacks.parent_run_id, session_id):
        yield


@contextmanager
def in_model_run(run: BaseRunManager | None, session_id: str) -> Generator[None]:
    """Let a turn that answers a run of a chat model lie below it; who traces the run counts its tokens.

    Args:
        run: The run, None when LangChain gave none, as for streams: then it is that which `NOTES_RUN` heard of.
        session_id: The turn's session, which the run's span is told.
    """
    run_id = _noted.get() if run is None else run.run_id
    tracers = _tracers_at_work() if run is None else _tracers(run.handlers)
    if run_id is None or not tracers:
        yield
        return
    with _below(tracers, run_id, session_id) as recording:
        if not recording:  # the official one says so in the context, where it records the run
            yield
            return
        token = context_api.attach(recorded_around(context_api.get_current(), metrics=_TRACELOOP in recording))
        try:
            yield
        finally:
            context_api.detach(token)


class _NotesRun(BaseCallbackHandler):
    """Notes which run of a chat model has begun: LangChain does not say it to what streams the answer."""

    run_inline = True  # in the context of what is asked

    @override
    def on_chat_model_start(self, serialized: object, messages: object, *, run_id: UUID, **_: Any) -> None:
        _noted.set(run_id)


NOTES_RUN = _NotesRun()
"""What a chat model of ours gives LangChain as a callback for `in_model_run`."""


def noting_run(config: RunnableConfig) -> RunnableConfig:
    """Return a config for a run of a chat model of ours, in which `NOTES_RUN` hears of it if anybody traces runs.

    Args:
        config: The run's config.
    """
    if not _tracers_at_work():
        return config
    return merge_configs(config, RunnableConfig(callbacks=[NOTES_RUN]))


def below_turn(config: RunnableConfig) -> RunnableConfig:
    """Return a config whose runs lie below the turn they are made in, for whoever traces runs.

    For everybody else they are children of the same run as before.

    Args:
        config: With the callbacks of the run that the turn is taken in.
    """
    callbacks = config.get("callbacks")
    if not isinstance(callbacks, BaseCallbackManager) or callbacks.parent_run_id is None:
        return config
    if not _tracers(callbacks.handlers):
        return config
    run_id = callbacks.parent_run_id
    placed: dict[int, BaseCallbackHandler] = {}

    def place(handlers: Sequence[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
        for handler in handlers:
            if _family(_unwrapped(handler)) is not None:
                placed.setdefault(id(handler), cast("BaseCallbackHandler", _BelowTurn(handler, run_id)))
        return [placed.get(id(handler), handler) for handler in handlers]

    changed = callbacks.copy()
    changed.handlers, changed.inheritable_handlers = place(callbacks.handlers), place(callbacks.inheritable_handlers)
    return {**config, "callbacks": changed}


class _BelowTurn:
    """A handler that is told of a run's children as if the run were not there: their parent is the current span.

    Args:
        handler: The handler.
        run_id: The run.
    """

    def __init__(self, handler: BaseCallbackHandler, run_id: UUID) -> None:
        self.handler = handler
        self._run_id = run_id

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Say what the handler is: instrumentors look for one of their class, and add another if there is none."""
        return self.handler.__class__

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.handler, name)
        if not (name.startswith("on_") and name.endswith("_start")) or iscoroutinefunction(value):
            return value
        return functools.partial(self._told, value)

    def _told(self, event: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if kwargs.get("parent_run_id") == self._run_id:
            kwargs["parent_run_id"] = None
        return event(*args, **kwargs)


def _tracers_at_work() -> list[BaseCallbackHandler]:
    """Return the handlers that instrumentors put into every callback manager: all wrap the method that makes one."""
    if not hasattr(BaseCallbackManager.__init__, "__wrapped__"):
        return []
    return _tracers(CallbackManager(handlers=[]).handlers)


def _tracers(handlers: Sequence[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
    return [handler for handler in map(_unwrapped, handlers) if _family(handler) is not None]


def _unwrapped(handler: BaseCallbackHandler) -> BaseCallbackHandler:
    inner: BaseCallbackHandler | None = getattr(handler, "handler", None) if isinstance(handler, _BelowTurn) else None
    return handler if inner is None else _unwrapped(inner)


def _family(handler: object) -> str | None:
    module = type(handler).__module__
    for family in (_OPENINFERENCE, _OFFICIAL, _TRACELOOP):
        if module == family or module.startswith(family + "."):
            return family
    return None


@contextmanager
def _below(tracers: Sequence[object], run_id: UUID, session_id: str) -> Generator[Collection[str]]:
    """Make the span of a run current, and tell it the session; yield which families have one."""
    families, outer = _told_spans(tracers, run_id, session_id)
    if outer is None:
        yield families
        return
    token = context_api.attach(trace.set_span_in_context(outer))
    try:
        yield families
    finally:
        context_api.detach(token)


def _told_spans(tracers: Sequence[object], run_id: UUID, session_id: str) -> tuple[Collection[str], trace.Span | None]:
    """Tell the spans of a run the session; return whose they are, and the one that is to be current."""
    try:
        spans = {str(_family(tracer)): span for tracer in tracers if (span := _span_of(tracer, run_id)) is not None}
        for span in spans.values():
            span.set_attributes(correlation_of(session_id))
        return spans.keys(), next((span for span in spans.values() if not _is_within(span)), None)
    except Exception as error:  # noqa: BLE001 - the code of others; a turn does not fail for what traces it
        _logger.debug("the span of a run cannot be had from who traces it: %s", type(error).__name__)
        return (), None


def _span_of(tracer: object, run_id: UUID) -> trace.Span | None:
    """Return the span of a run, None if it has none here or is current already: the official one makes it so."""
    family = _family(tracer)
    found: object = None
    if family == _OPENINFERENCE:
        get: Callable[[UUID], object] | None = getattr(tracer, "get_span", None)
        found = None if get is None else get(run_id)
    elif family == _TRACELOOP:
        spans: object = getattr(tracer, "spans", None)
        holder = cast("Mapping[UUID, object]", spans).get(run_id) if isinstance(spans, Mapping) else None
        found = getattr(holder, "span", None)
    return found if isinstance(found, trace.Span) else None


def _is_within(span: trace.Span) -> bool:
    """Whether the current span lies below another already: of the same trace, and begun later."""
    current = trace.get_current_span()
    same = current.get_span_context().trace_id == span.get_span_context().trace_id
    begun: list[int] = [getattr(each, "start_time", None) or 0 for each in (current, span)]
    return same and current is not span and begun[0] > begun[1]
