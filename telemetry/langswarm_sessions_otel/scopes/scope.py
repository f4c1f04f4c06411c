"""A span that is current for the length of a ``with`` block."""

from __future__ import annotations

from contextvars import Token
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Self

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.content.capture import ContentRecorder, exception_type_of
from langswarm_sessions_otel.degradation import Degradation, falling_back, guarded
from langswarm_sessions_otel.events import EventLog
from langswarm_sessions_otel.instruments import Instruments
from langswarm_sessions_otel.propagation import detach_silently, error_type_of, traceparent_of
from langswarm_sessions_otel.settings import TelemetrySettings

Attributes = dict[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Recorder:
    """What every scope of one `Telemetry` shares."""

    tracer: trace.Tracer
    instruments: Instruments
    settings: TelemetrySettings
    degradation: Degradation
    content: ContentRecorder | None = None  # there is none where no content is captured
    events: EventLog | None = None


class SpanScope:
    """Opens a span, makes it current, and ends it exactly once with its metrics.

    The first outcome told (by `failed` or by an exception leaving the block) is the one that stays. The block's own
    exception always goes on untouched; nothing here raises.

    Args:
        recorder: What to record with.
        name: Name of the span.
        attributes: Attributes known at the start.
        metric: Attributes of its metrics, but for ``error.type``; it may be added to until the block ends.
        kind: Kind of the span.
    """

    __slots__ = (
        "_attributes",
        "_closed",
        "_context",
        "_ending",
        "_kind",
        "_metric",
        "_name",
        "_recorder",
        "_span",
        "_started",
        "_token",
        "_traced",
        "degradation",
        "error_type",
        "recording",
    )

    def __init__(
        self,
        recorder: Recorder,
        name: str,
        *,
        attributes: Attributes,
        metric: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        self._recorder = recorder
        self._name = name
        self._attributes = attributes
        self._metric = metric
        self._kind = kind
        self._span: trace.Span = trace.INVALID_SPAN
        self._context: Context | None = None
        self._token: Token[Context] | None = None
        self._ending: Attributes = {}
        self._closed = False
        self._traced = False
        self.degradation = recorder.degradation
        self.recording = False
        self.error_type: str | None = None

    def __enter__(self) -> Self:
        self._started = perf_counter()
        self._open()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.failed(error)
        self._close(perf_counter() - self._started)

    @guarded("fail")
    def failed(self, error: BaseException) -> None:
        """Mark the span as failed. Its status names the error's class; its text is kept only with content capture.

        Args:
            error: What went wrong.
        """
        if self._fail(error_type_of(error)):
            self._tell_error(error)

    def _tell_error(self, error: BaseException) -> None:
        """Tell more of the error that the span failed with than its type, as far as it may be told."""
        content = self._recorder.content
        if self.recording and content is not None and content.on_spans:
            told = content.exception(error)
            description = f"{type(error).__name__}: {told[semconv.EXCEPTION_MESSAGE]}"
            self._span.set_status(Status(StatusCode.ERROR, description))
            self._span.add_event(semconv.SPAN_EXCEPTION, {semconv.EXCEPTION_TYPE: exception_type_of(error), **told})

    def _fail(self, error_type: str) -> bool:
        if self._closed or self.error_type is not None:
            return False
        self.error_type = error_type
        self._ending[semconv.ERROR_TYPE] = error_type
        if self.recording:
            self._span.set_status(Status(StatusCode.ERROR, error_type.rpartition(".")[2]))
        return True

    @property
    def traceparent(self) -> str | None:
        """W3C traceparent of the span, None without an SDK or when it is not sampled."""
        return self._place() if self._traced else None

    @falling_back("traceparent", to=None)
    def _place(self) -> str | None:
        return traceparent_of(self._span)

    def _parent(self) -> Context:
        return context_api.get_current()

    def _bind(self, context: Context) -> Context:
        """Add to the context that the block runs in."""
        return context

    @guarded("start")
    def _open(self) -> None:
        parent = self._parent()
        span = self._recorder.tracer.start_span(self._name, parent, self._kind, self._attributes)
        self._span = span
        self._traced = self.recording = span.is_recording()
        self._context = trace.set_span_in_context(span, self._bind(parent))
        self._token = context_api.attach(self._context)

    @guarded("end")
    def _close(self, elapsed: float) -> None:
        if self._closed:
            return
        self._closed = True
        attributes = self._metric
        if self.error_type is not None:
            attributes = {**attributes, semconv.ERROR_TYPE: self.error_type}
        try:
            self._record(elapsed, attributes)
        finally:
            try:
                if self.recording and self._ending:
                    self._span.set_attributes(self._ending)
            finally:
                self.recording = False
                try:
                    self._span.end()
                finally:
                    if self._token is not None:
                        detach_silently(self._token)

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        """Record the metrics of the block.

        Args:
            elapsed: How long it took, in seconds.
            attributes: Those of the metric, and how it ended.
        """
