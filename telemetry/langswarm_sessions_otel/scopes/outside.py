"""Spans of what is stored outside turns: what is said and set beside them, and the checkpoints of graphs."""

from __future__ import annotations

from opentelemetry import context as context_api
from opentelemetry import trace

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scopes.jobs import has_room
from langswarm_sessions_otel.scopes.lifecycle import session_attributes
from langswarm_sessions_otel.scopes.scope import Attributes, Recorder
from langswarm_sessions_otel.scopes.storage_span import StorageSpan, storage_attributes


class OutsideStorageScope(StorageSpan):
    """The span of a storage operation outside a turn's own steps, made by `Telemetry.storage`.

    It belongs to whatever asked for it: where nothing is traced there is no span, for a storage operation is never
    the root of a trace. Its metric is recorded all the same.
    """

    __slots__ = ()

    def __init__(
        self, recorder: Recorder, operation: str, *, backend: str, db_system: str | None, session_id: str | None
    ) -> None:
        attributes, metric = storage_attributes(operation, backend, db_system)
        if session_id is not None:
            attributes.update(session_attributes(session_id, always_grouped=recorder.settings.group_lifecycle))
        super().__init__(recorder, semconv.STORAGE_SPAN + operation, attributes=attributes, metric=metric)

    @guarded("start")
    def _open(self) -> None:
        self._context = context_api.get_current()
        if trace.get_current_span().get_span_context().is_valid and has_room(self._context):
            super()._open()

    def _record(self, elapsed: float, attributes: Attributes) -> None:
        self._recorder.instruments.storage_duration.measure(elapsed, attributes, self._context)
