"""The tables: the one description of the schema that statements are built from."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from langswarm_sessions.storage.sql.types import Dollars, PlainJSON, UtcTime

__all__ = [
    "COUNTER_NAMES",
    "TicketNumber",
    "messages",
    "metadata",
    "session_tags",
    "session_waiters",
    "sessions",
    "summaries",
    "turns",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

COUNTER_NAMES = (
    "messages",
    "user_messages",
    "assistant_messages",
    "system_messages",
    "content_bytes",
    "turns",
    "failed_turns",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "response_count",
    "response_ms",
    "retries",
    "rebuilds",
    "cost",
    "priced_turns",
    "unpriced_turns",
)

# SQLite numbers rows by itself only in a column of exactly this type.
TicketNumber = BigInteger().with_variant(Integer, "sqlite")


def _identifier(name: str, *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, String(255), primary_key=primary_key, nullable=nullable)


def _count(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default=text("0"))


def _counter(name: str) -> Column[Any]:
    if name == "response_ms":
        return Column(name, Float, nullable=False, server_default=text("0"))
    if name == "cost":
        return Column(name, Dollars, nullable=False, server_default=text("0"))
    return _count(name)


def _of_session(*, primary_key: bool = False) -> Column[str]:
    return Column(
        "session_id",
        String(255),
        ForeignKey("sessions.session_id", ondelete="CASCADE"),
        primary_key=primary_key,
        nullable=False,
    )


sessions = Table(
    "sessions",
    metadata,
    _identifier("session_id", primary_key=True),
    _identifier("user_id"),
    _identifier("provider"),
    _identifier("model"),
    Column("strategy", String(32), nullable=False),
    Column("status", String(32), nullable=False),
    Column("name", Text),
    Column("description", Text),
    Column("config", PlainJSON),
    Column("provider_config", PlainJSON),
    Column("context", PlainJSON),
    Column("created_at", UtcTime, nullable=False),
    Column("last_activity", UtcTime, nullable=False),
    Column("archived_at", UtcTime),
    Column("deleted_at", UtcTime),
    *map(_counter, COUNTER_NAMES),
    Column("native", PlainJSON),
    Column("next_seq", BigInteger, nullable=False, server_default=text("1")),
    _count("cleared_seq"),
    Column("version", BigInteger, nullable=False, server_default=text("1")),
    Column("traceparent", String(128)),
    _count("last_turn_index"),
    _identifier("last_message_id", nullable=True),
    Column("instructions", Text),
    _identifier("last_turn_id", nullable=True),
    _count("lease_fence"),
    _identifier("lease_turn_id", nullable=True),
    Column("lease_host", String(255)),
    Column("lease_pid", BigInteger),
    Column("lease_started", Float),
    Column("lease_expires_at", UtcTime),
    Index(None, "last_activity", "session_id"),
    Index(None, "user_id", "last_activity", "session_id"),
    Index(
        None,
        "deleted_at",
        sqlite_where=text("deleted_at IS NOT NULL"),
        postgresql_where=text("deleted_at IS NOT NULL"),
    ),
)

turns = Table(
    "turns",
    metadata,
    _of_session(primary_key=True),
    _identifier("turn_id", primary_key=True),
    Column("turn_index", BigInteger, nullable=False),
    Column("state", String(32), nullable=False),
    _identifier("idempotency_key", nullable=True),
    Column("input_digest", String(128), nullable=False),
    Column("options", PlainJSON),
    Column("first_seq", BigInteger, nullable=False),
    Column("last_input_seq", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("provider", String(255)),
    Column("model", String(255)),
    Column("mode", String(32)),
    _count("input_tokens"),
    _count("output_tokens"),
    _count("total_tokens"),
    _count("cached_tokens"),
    _count("reasoning_tokens"),
    Column("cost", Dollars),
    _count("unpriced"),
    Column("duration_ms", Float, nullable=False, server_default=text("0")),
    _count("retries"),
    _count("rebuilds"),
    Column("error_type", String(255)),
    Column("traceparent", String(128)),
    Index(
        "uq_turns_session_id_idempotency_key",
        "session_id",
        "idempotency_key",
        unique=True,
        sqlite_where=text("idempotency_key IS NOT NULL"),
        postgresql_where=text("idempotency_key IS NOT NULL"),
    ),
    sqlite_with_rowid=False,  # one tree instead of three: a turn writes as few pages as it can
)

messages = Table(
    "messages",
    metadata,
    _identifier("message_id", primary_key=True),
    _of_session(),
    Column("seq", BigInteger, nullable=False),
    _identifier("turn_id", nullable=True),
    _identifier("parent_id", nullable=True),
    _identifier("group_id", nullable=True),
    Column("role", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("content", Text, nullable=False),
    Column("parts", PlainJSON),
    Column("metadata", PlainJSON),
    Column("provider_metadata", PlainJSON),
    Column("provider_message_id", Text),
    Column("provider_payload", PlainJSON),
    Column("tokens", BigInteger, nullable=False),
    Column("timestamp", UtcTime, nullable=False),
    Column("schema_version", Integer, nullable=False),
    UniqueConstraint("session_id", "seq"),
    Index(
        "ix_messages_system",
        "session_id",
        "seq",
        sqlite_where=text("role = 'system' AND kind != 'instructions'"),
        postgresql_where=text("role = 'system' AND kind != 'instructions'"),
    ),
)

summaries = Table(
    "summaries",
    metadata,
    _of_session(primary_key=True),
    Column("up_to_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    _identifier("provider", nullable=True),
    _identifier("model", nullable=True),
    Column("created_at", UtcTime, nullable=False),
)

session_tags = Table(
    "session_tags",
    metadata,
    _of_session(primary_key=True),
    _identifier("tag", primary_key=True),
    Index(None, "tag", "session_id"),
)

session_waiters = Table(
    "session_waiters",
    metadata,
    Column("ticket", TicketNumber, primary_key=True, autoincrement=True),
    _of_session(),
    Column("host", String(255), nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("started", Float, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "session_id", "ticket"),
    sqlite_autoincrement=True,
)
