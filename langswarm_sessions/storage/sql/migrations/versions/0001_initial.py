"""Sessions, turns, messages, tags and the line of waiters."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)


def _milliseconds(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float(), server_default=sa.text("0"), nullable=False)


def upgrade() -> None:
    _create_sessions()
    _create_session_indexes()
    _create_turns()
    _create_messages()
    _create_tags()
    _create_waiters()


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("provider", sa.String(255), nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("strategy", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("description", sa.Text()),
        sa.Column("config", sa.JSON()),
        sa.Column("provider_config", sa.JSON()),
        sa.Column("context", sa.JSON()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_activity", sa.BigInteger(), nullable=False),
        sa.Column("archived_at", sa.BigInteger()),
        sa.Column("deleted_at", sa.BigInteger()),
        *_counters(),
        sa.Column("native", sa.JSON()),
        sa.Column("next_seq", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        _count("cleared_seq"),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("traceparent", sa.String(128)),
        _count("last_turn_index"),
        sa.Column("last_message_id", sa.String(255)),
        sa.Column("instructions", sa.Text()),
        sa.Column("last_turn_id", sa.String(255)),
        *_lease(),
        sa.PrimaryKeyConstraint("session_id", name="pk_sessions"),
    )


def _counters() -> list[sa.Column[Any]]:
    return [
        _count("messages"),
        _count("user_messages"),
        _count("assistant_messages"),
        _count("system_messages"),
        _count("content_bytes"),
        _count("turns"),
        _count("failed_turns"),
        _count("input_tokens"),
        _count("output_tokens"),
        _count("total_tokens"),
        _count("response_count"),
        _milliseconds("response_ms"),
        _count("retries"),
        _count("rebuilds"),
    ]


def _lease() -> list[sa.Column[Any]]:
    return [
        _count("lease_fence"),
        sa.Column("lease_turn_id", sa.String(255)),
        sa.Column("lease_host", sa.String(255)),
        sa.Column("lease_pid", sa.BigInteger()),
        sa.Column("lease_started", sa.Float()),
        sa.Column("lease_expires_at", sa.BigInteger()),
    ]


def _create_session_indexes() -> None:
    op.create_index("ix_sessions_last_activity_session_id", "sessions", ["last_activity", "session_id"])
    op.create_index(
        "ix_sessions_user_id_last_activity_session_id", "sessions", ["user_id", "last_activity", "session_id"]
    )
    op.create_index(
        "ix_sessions_deleted_at",
        "sessions",
        ["deleted_at"],
        sqlite_where=sa.text("deleted_at IS NOT NULL"),
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )


def _create_turns() -> None:
    op.create_table(
        "turns",
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("turn_id", sa.String(255), nullable=False),
        sa.Column("turn_index", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("idempotency_key", sa.String(255)),
        sa.Column("input_digest", sa.String(128), nullable=False),
        sa.Column("options", sa.JSON()),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_input_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("provider", sa.String(255)),
        sa.Column("model", sa.String(255)),
        sa.Column("mode", sa.String(32)),
        _count("input_tokens"),
        _count("output_tokens"),
        _count("total_tokens"),
        _count("cached_tokens"),
        _count("reasoning_tokens"),
        _milliseconds("duration_ms"),
        _count("retries"),
        _count("rebuilds"),
        sa.Column("error_type", sa.String(255)),
        sa.Column("traceparent", sa.String(128)),
        sa.PrimaryKeyConstraint("session_id", "turn_id", name="pk_turns"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_turns_session_id", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "uq_turns_session_id_idempotency_key",
        "turns",
        ["session_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("turn_id", sa.String(255)),
        sa.Column("parent_id", sa.String(255)),
        sa.Column("group_id", sa.String(255)),
        sa.Column("role", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("parts", sa.JSON()),
        sa.Column("metadata", sa.JSON()),
        sa.Column("provider_metadata", sa.JSON()),
        sa.Column("provider_message_id", sa.Text()),
        sa.Column("provider_payload", sa.JSON()),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("schema_version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name="pk_messages"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_messages_session_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("session_id", "seq", name="uq_messages_session_id_seq"),
    )
    op.create_index(
        "ix_messages_system",
        "messages",
        ["session_id", "seq"],
        sqlite_where=sa.text("role = 'system'"),
        postgresql_where=sa.text("role = 'system'"),
    )


def _create_tags() -> None:
    op.create_table(
        "session_tags",
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("tag", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "tag", name="pk_session_tags"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_session_tags_session_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_session_tags_tag_session_id", "session_tags", ["tag", "session_id"])


def _create_waiters() -> None:
    op.create_table(
        "session_waiters",
        sa.Column("ticket", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False, autoincrement=True),
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("pid", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Float(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("ticket", name="pk_session_waiters"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_session_waiters_session_id", ondelete="CASCADE"
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_session_waiters_session_id_ticket", "session_waiters", ["session_id", "ticket"])


def downgrade() -> None:
    for name in ("session_waiters", "session_tags", "messages", "turns", "sessions"):
        op.drop_table(name)
