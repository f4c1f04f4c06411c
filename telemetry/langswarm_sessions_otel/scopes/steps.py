"""Spans of a turn's steps beside the call of the model: storage, rebuild, summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.trace import SpanKind

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.propagation import links_of
from langswarm_sessions_otel.scopes.scope import Attributes, SpanScope
from langswarm_sessions_otel.scopes.storage_span import StorageSpan, storage_attributes

if TYPE_CHECKING:
    from langswarm_sessions_otel.scopes.turn import TurnScope


class StepScope(SpanScope):
    """A span inside a turn.

    Args:
        turn: The turn.
        name: Name of the span.
        attributes: Its attributes beside those of every span in the turn.
        metric: Attributes of its metrics.
        kind: Kind of the span.
    """

    __slots__ = ("_turn",)

    def __init__(
        self,
        turn: TurnScope,
        name: str,
        *,
        attributes: Attributes,
        metric: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        everywhere = turn.identity.correlation
        super().__init__(turn.recorder, name, attributes={**everywhere, **attributes}, metric=metric, kind=kind)
        self._turn = turn

    @guarded("fail")
    def failed(self, error: BaseException) -> None:
        """Mark the span as failed; one that was broken off together with its turn says why the turn was.

        Args:
            error: What went wrong.
        """
        cause = self._turn.causes.of(error)
        if isinstance(cause, str):
            self._fail(cause)
        else:
            super().failed(cause)

    def _parent(self) -> Context:
        return self._turn.child_context()


class StorageScope(StorageSpan, StepScope):
    """The span of a storage operation, made by `TurnScope.storage`.

    Its metric leaves out the time in which the turn waited, within it, for a session that another turn held.
    """

    __slots__ = ("_waited_before",)

    def __init__(self, turn: TurnScope, operation: str, *, backend: str, db_system: str | None) -> None:
        attributes, metric = storage_attributes(operation, backend, db_system)
        StepScope.__init__(self, turn, semconv.STORAGE_SPAN + operation, attributes=attributes, metric=metric)
        self._waited_before = turn.waited_for_others

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        worked = elapsed - (self._turn.waited_for_others - self._waited_before)
        self._recorder.instruments.storage_duration.measure(worked, attributes, self._context)


class RebuildScope(StepScope):
    """The span of a rebuild of the native thread, made by `TurnScope.rebuild`."""

    __slots__ = ("_tokens",)

    def __init__(self, turn: TurnScope, *, reason: str, provider: str, attempt: int) -> None:
        metric: Attributes = {semconv.REBUILD_REASON: reason, semconv.PROVIDER_NAME: semconv.provider_name(provider)}
        attributes: Attributes = {**metric, semconv.REBUILD_ATTEMPT: attempt}
        super().__init__(turn, semconv.REBUILD_SPAN, attributes=attributes, metric=metric)
        self._tokens: int | None = None

    @guarded("last_good_turn")
    def last_good_turn(self, traceparent: str | None) -> None:
        """Link to the turn that the lost thread was last good in.

        Args:
            traceparent: That turn's, None when it was not recorded.
        """
        turn, _ = links_of(traceparent)
        if turn is not None and self.recording:
            self._span.add_link(turn, {semconv.LINK_KIND: semconv.LINK_LAST_GOOD_TURN})

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

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        instruments = self._recorder.instruments
        if self._tokens is not None:
            instruments.rebuild_tokens.measure(self._tokens, self._metric, self._context)
        instruments.rebuilds.measure(1, attributes, self._context)


class SummaryScope(StepScope):
    """The span of summarising what fell out of the window, made by `TurnScope.summary`."""

    __slots__ = ("_messages",)

    def __init__(self, turn: TurnScope) -> None:
        super().__init__(turn, semconv.SUMMARY_SPAN, attributes={}, metric={})
        self._messages = 0

    @guarded("written")
    def written(self, *, messages: int, tokens: int) -> None:
        """Tell of a summary that was stored, also as an event of the turn. A long rest takes several.

        Args:
            messages: Messages that it covers, and the one before it did not.
            tokens: Tokens of its text, about.
        """
        self._messages += messages
        self._ending[semconv.SUMMARY_MESSAGES] = self._messages
        self._ending[semconv.SUMMARY_TOKENS] = tokens
        self._turn.event(semconv.SUMMARIZED_EVENT, {semconv.SUMMARY_MESSAGES: messages, semconv.SUMMARY_TOKENS: tokens})

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        if self.error_type is not None:
            self._turn.event(semconv.SUMMARY_FAILED_EVENT, {semconv.ERROR_TYPE: self.error_type})
        self._recorder.instruments.summaries.measure(1, attributes, self._context)
