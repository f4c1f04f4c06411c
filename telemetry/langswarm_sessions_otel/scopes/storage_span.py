"""What the spans of storage operations have in common, within a turn and outside of one."""

from __future__ import annotations

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.degradation import guarded
from langswarm_sessions_otel.scopes.scope import Attributes, SpanScope


class StorageSpan(SpanScope):
    """A span that is told what a storage moved."""

    __slots__ = ()

    @guarded("done")
    def done(self, *, count: int | None = None, size: int | None = None) -> None:
        """Tell what the operation moved.

        Args:
            count: Messages, checkpoints or writes, read or written.
            size: Their bytes.
        """
        if count is not None:
            self._ending[semconv.STORAGE_COUNT] = count
        if size is not None:
            self._ending[semconv.STORAGE_BYTES] = size


def storage_attributes(operation: str, backend: str, db_system: str | None) -> tuple[Attributes, Attributes]:
    """Return what the span and the metric of a storage operation say at its start.

    Args:
        operation: What is done.
        backend: Name of the storage backend.
        db_system: Its ``db.system.name``, None without a database.

    Returns:
        The attributes of the span, and those of the metric.
    """
    where: Attributes = {semconv.STORAGE_BACKEND: backend}
    metric: Attributes = {semconv.STORAGE_OPERATION: operation, **where}
    return (where if db_system is None else {**where, semconv.DB_SYSTEM: db_system}), metric
