"""Spans of what is stored for graphs, outside any turn of ours."""

from __future__ import annotations

from opentelemetry import context as context_api
from opentelemetry import trace

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scope import Attributes, Recorder, SpanScope


class CheckpointScope(SpanScope):
    """The span of a storage operation of a graph, made by `Telemetry.checkpoints`.

    It belongs to whatever runs the graph: where nothing is traced there is no span, for a storage operation is never
    the root of a trace. Its metric is recorded all the same.
    """

    __slots__ = ("_metric",)

    def __init__(self, recorder: Recorder, operation: str, *, backend: str, db_system: str | None) -> None:
        self._metric: Attributes = {semconv.STORAGE_OPERATION: operation, semconv.STORAGE_BACKEND: backend}
        attributes: Attributes = {semconv.STORAGE_BACKEND: backend}
        if db_system is not None:
            attributes[semconv.DB_SYSTEM] = db_system
        super().__init__(recorder, semconv.STORAGE_SPAN + operation, attributes=attributes)

    @guarded("start")
    def _open(self) -> None:
        self._context = context_api.get_current()
        if trace.get_current_span().get_span_context().is_valid:
            super()._open()

    @guarded("done")
    def done(self, *, count: int, size: int | None = None) -> None:
        """Tell what the operation moved.

        Args:
            count: Checkpoints or writes, read or written.
            size: Their bytes.
        """
        self._ending[semconv.STORAGE_COUNT] = count
        if size is not None:
            self._ending[semconv.STORAGE_BYTES] = size

    def _record(self, elapsed: float) -> None:
        attributes = self._metric
        if self.error_type is not None:
            attributes[semconv.ERROR_TYPE] = self.error_type
        self._recorder.instruments.storage_duration.record(elapsed, attributes, self._context)
