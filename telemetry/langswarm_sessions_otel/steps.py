"""Spans of a turn's steps beside the call of the model: storage and rebuild."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scope import Attributes, SpanScope

if TYPE_CHECKING:
    from langswarm_sessions_otel.turn import TurnScope


class StepScope(SpanScope):
    """A span inside a turn.

    Args:
        turn: The turn.
        name: Name of the span.
        attributes: Its attributes beside those of every span in the turn.
        kind: Kind of the span.
        links: Spans of other traces that it follows from.
    """

    __slots__ = ("_turn",)

    def __init__(
        self,
        turn: TurnScope,
        name: str,
        *,
        attributes: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> None:
        everywhere = turn.identity.correlation
        super().__init__(turn.recorder, name, attributes={**everywhere, **attributes}, kind=kind, links=links)
        self._turn = turn

    def _parent(self) -> Context:
        return self._turn.child_context()


class StorageScope(StepScope):
    """The span of a storage operation, made by `TurnScope.storage`."""

    __slots__ = ("_metric",)

    def __init__(self, turn: TurnScope, operation: str, *, backend: str, db_system: str | None) -> None:
        self._metric: Attributes = {semconv.STORAGE_OPERATION: operation, semconv.STORAGE_BACKEND: backend}
        attributes: Attributes = {semconv.STORAGE_BACKEND: backend}
        if db_system is not None:
            attributes[semconv.DB_SYSTEM] = db_system
        super().__init__(turn, semconv.STORAGE_SPAN + operation, attributes=attributes)

    @guarded("done")
    def done(self, *, count: int | None = None, size: int | None = None) -> None:
        """Tell what the operation moved.

        Args:
            count: Messages read or written.
            size: Their bytes.
        """
        if count is not None:
            self._ending[semconv.STORAGE_COUNT] = count
        if size is not None:
            self._ending[semconv.STORAGE_BYTES] = size

    def _record(self, elapsed: float) -> None:
        attributes = self._metric
        if self.error_type is not None:
            attributes[semconv.ERROR_TYPE] = self.error_type
        self._recorder.instruments.storage_duration.record(elapsed, attributes, self._context)


class RebuildScope(StepScope):
    """The span of a rebuild of the native thread, made by `TurnScope.rebuild`."""

    __slots__ = ("_metric", "_tokens")

    def __init__(
        self, turn: TurnScope, *, reason: str, provider: str, attempt: int, previous: SpanContext | None
    ) -> None:
        self._metric: Attributes = {semconv.REBUILD_REASON: reason, semconv.PROVIDER_NAME: provider}
        attributes: Attributes = {**self._metric, semconv.REBUILD_ATTEMPT: attempt}
        links = () if previous is None else (Link(previous, {semconv.LINK_KIND: semconv.LINK_LAST_GOOD_TURN}),)
        super().__init__(turn, semconv.REBUILD_SPAN, attributes=attributes, links=links)
        self._tokens: int | None = None

    @guarded("replayed")
    def replayed(self, *, messages: int, tokens: int | None = None) -> None:
        """Tell what the rebuild cost.

        Args:
            messages: Messages sent again.
            tokens: Their tokens, None when unknown.
        """
        self._tokens = tokens
        self._ending[semconv.REBUILD_MESSAGES] = messages
        if tokens is not None:
            self._ending[semconv.REBUILD_TOKENS] = tokens

    def _record(self, elapsed: float) -> None:
        instruments = self._recorder.instruments
        if self._tokens is not None:
            instruments.rebuild_tokens.record(self._tokens, self._metric, self._context)
        attributes = dict(self._metric)
        if self.error_type is not None:
            attributes[semconv.ERROR_TYPE] = self.error_type
        instruments.rebuilds.add(1, attributes, self._context)
