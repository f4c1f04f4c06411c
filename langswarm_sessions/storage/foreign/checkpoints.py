"""Tables of LangGraph's SQLite and PostgreSQL checkpointers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from sqlalchemy import ColumnClause, Connection, Select, column, func, select, table

__all__ = [
    "StoredChannel",
    "StoredCheckpoint",
    "Typed",
    "checkpoint",
    "count_threads",
    "newest_checkpoint",
    "thread_ids",
    "writes_to",
]

Typed = tuple[str, bytes]
"""What a serializer wrote: its form, and the bytes."""

_PAGE = 200
_thread: ColumnClause[str] = column("thread_id")
_namespace: ColumnClause[str] = column("checkpoint_ns")
_id: ColumnClause[str] = column("checkpoint_id")
_CHECKPOINTS, _BLOBS = table("checkpoints"), table("checkpoint_blobs")
_of_graph = _namespace == ""  # a subgraph's checkpoints are within its graph's thread


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """What a checkpoint says of one channel.

    Args:
        whole: The checkpoint with all its channels; None where each channel has a row of its own.
        own: The channel's row, or None when it has none.
        inline: The channel's value within the checkpoint, of a plain type.
    """

    whole: Typed | None = None
    own: Typed | None = None
    inline: Any = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """One checkpoint of a thread.

    Args:
        checkpoint_id: Its id.
        parent_id: Of the checkpoint before; None at the beginning.
        ts: When it was made, if that stands beside it.
        channel: What it says of the channel that is read.
    """

    checkpoint_id: str
    parent_id: str | None
    ts: str | None
    channel: StoredChannel


def count_threads(connection: Connection) -> int:
    """Return how many threads there are."""
    inner = select(_thread).select_from(_CHECKPOINTS).where(_of_graph).distinct().subquery()
    return connection.execute(select(func.count()).select_from(inner)).scalar_one()


def thread_ids(connection: Connection, after: str | None) -> Sequence[str]:
    """Return a page of thread ids, in order: those after another one (None: the first)."""
    query = select(_thread).select_from(_CHECKPOINTS).where(_of_graph).distinct().order_by(_thread).limit(_PAGE)
    return list(connection.execute(query if after is None else query.where(_thread > after)).scalars())


def newest_checkpoint(
    connection: Connection, thread_id: str, channel: str, *, is_split: bool
) -> StoredCheckpoint | None:
    """Return the newest checkpoint of a thread.

    Args:
        connection: To the database.
        thread_id: The thread.
        channel: The channel to read.
        is_split: Whether each channel has a row of its own, as in PostgreSQL.
    """
    query = _of_thread(thread_id, is_split=is_split).order_by(_id.desc()).limit(1)
    row = connection.execute(query).first()
    return None if row is None else _checkpoint_of(connection, thread_id, channel, row, is_split=is_split)


def checkpoint(
    connection: Connection, thread_id: str, checkpoint_id: str, channel: str, *, is_split: bool
) -> StoredCheckpoint | None:
    """Return a checkpoint of a thread; the arguments are those of `newest_checkpoint`."""
    row = connection.execute(_of_thread(thread_id, is_split=is_split).where(_id == checkpoint_id)).first()
    return None if row is None else _checkpoint_of(connection, thread_id, channel, row, is_split=is_split)


def writes_to(
    connection: Connection, thread_id: str, checkpoint_id: str, channel: str, *, is_split: bool
) -> list[Typed]:
    """Return what was written to a channel after a checkpoint, in the order it is applied in."""
    name, value = ("checkpoint_writes", "blob") if is_split else ("writes", "value")
    query = (
        _values("type", value)
        .select_from(table(name))
        .where(_thread == thread_id, _of_graph, _id == checkpoint_id, column("channel") == channel)
        .order_by(column("task_path"), column("task_id"), column("idx"))
    )
    return [_typed(row) for row in connection.execute(query)]


def _values(*names: str) -> Select[Any]:
    columns: list[ColumnClause[Any]] = [column(name) for name in names]
    return select(*columns)


def _of_thread(thread_id: str, *, is_split: bool) -> Select[Any]:
    names = ("checkpoint_id", "parent_checkpoint_id", "checkpoint", "type")
    return _values(*names[: 3 if is_split else 4]).select_from(_CHECKPOINTS).where(_thread == thread_id, _of_graph)


def _checkpoint_of(
    connection: Connection, thread_id: str, channel: str, row: Sequence[Any], *, is_split: bool
) -> StoredCheckpoint:
    if not is_split:
        checkpoint_id, parent_id, data, kind = row
        return StoredCheckpoint(checkpoint_id, parent_id, None, StoredChannel(whole=(kind, bytes(data))))
    checkpoint_id, parent_id, data = row
    told = cast("Mapping[str, Any]", data)
    values: Mapping[str, Any] = told.get("channel_values") or {}
    versions: Mapping[str, Any] = told.get("channel_versions") or {}
    inline, version = values.get(channel), versions.get(channel)
    own = None if version is None else _blob(connection, thread_id, channel, str(version))
    return StoredCheckpoint(checkpoint_id, parent_id, told.get("ts"), StoredChannel(own=own, inline=inline))


def _blob(connection: Connection, thread_id: str, channel: str, version: str) -> Typed | None:
    query = (
        _values("type", "blob")
        .select_from(_BLOBS)
        .where(_thread == thread_id, _of_graph, column("channel") == channel, column("version") == version)
    )
    row = connection.execute(query).first()
    return None if row is None else _typed(row)


def _typed(row: Sequence[Any]) -> Typed:
    kind, value = row
    return str(kind), b"" if value is None else bytes(value)
