"""The tables of checkpoints.

A value of a channel is stored once per version and shared by all checkpoints that have it; a list is stored as what
each version added. A thread's rows hang on its row in `checkpoint_threads`, which alone names user and thread.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text
from sqlalchemy import UniqueConstraint as Unique

from langswarm_sessions.storage.sql.tables import TicketNumber, metadata
from langswarm_sessions.storage.sql.types import Payload, PlainJSON, UtcTime

__all__ = [
    "checkpoint_heads",
    "checkpoint_threads",
    "checkpoint_values",
    "checkpoint_writes",
    "checkpoints",
    "metadata",
]


# Short enough that MariaDB, too, can take all columns of a primary key together.
_LENGTHS = {"checkpoint_id": 64, "task_id": 64, "version": 128}


def _key(name: str) -> Column[str]:
    return Column(name, String(_LENGTHS.get(name, 255)), primary_key=True, nullable=False)


def _of_thread() -> tuple[Column[int], Column[str]]:
    thread = Column(
        "thread_key",
        BigInteger,
        ForeignKey("checkpoint_threads.thread_key", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
        nullable=False,
    )
    return thread, _key("namespace")


checkpoint_threads = Table(
    "checkpoint_threads",
    metadata,
    Column("thread_key", TicketNumber, primary_key=True, autoincrement=True),
    Column("user_id", String(255), nullable=False),
    Column("thread_id", String(255), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("last_activity", UtcTime, nullable=False),
    Unique("user_id", "thread_id"),
    sqlite_autoincrement=True,  # the key of a deleted thread is never given to another
)

checkpoint_heads = Table(
    "checkpoint_heads",
    metadata,
    *_of_thread(),
    Column("checkpoint_id", String(64), nullable=False),
    sqlite_with_rowid=False,
)

checkpoints = Table(
    "checkpoints",
    metadata,
    *_of_thread(),
    _key("checkpoint_id"),
    Column("parent_id", String(64)),
    Column("history_id", String(64)),
    Column("run_id", String(255)),
    Column("hidden", Integer, nullable=False, server_default=text("0")),
    Column("versions", PlainJSON, nullable=False),
    Column("renamed", PlainJSON),
    Column("body_type", String(64), nullable=False),
    Column("body", Payload, nullable=False),
    Column("metadata_type", String(64), nullable=False),
    Column("metadata", Payload, nullable=False),
    Index(
        None,
        "run_id",
        sqlite_where=text("run_id IS NOT NULL"),
        postgresql_where=text("run_id IS NOT NULL"),
    ),
)

checkpoint_values = Table(
    "checkpoint_values",
    metadata,
    *_of_thread(),
    _key("channel"),
    _key("version"),
    Column("owner", String(64), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("base", String(128)),
    Column("kept", BigInteger, nullable=False),
    Column("type", String(64), nullable=False),
    Column("value", Payload, nullable=False),
)

checkpoint_writes = Table(
    "checkpoint_writes",
    metadata,
    *_of_thread(),
    _key("checkpoint_id"),
    _key("task_id"),
    Column("idx", Integer, primary_key=True, autoincrement=False, nullable=False),
    Column("task_path", Text, nullable=False),
    Column("channel", String(255), nullable=False),
    Column("type", String(64), nullable=False),
    Column("value", Payload, nullable=False),
)
