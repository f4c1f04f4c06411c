"""Checkpoints of graphs: threads, checkpoints, values of channels, writes of tasks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LENGTHS = {"checkpoint_id": 64, "task_id": 64, "version": 128}
_TicketNumber = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    _create_threads()
    _create("checkpoint_heads", (), sa.Column("checkpoint_id", sa.String(64), nullable=False), sqlite_with_rowid=False)
    _create_checkpoints()
    _create_values()
    _create_writes()


def downgrade() -> None:
    for name in ("checkpoint_writes", "checkpoint_values", "checkpoints", "checkpoint_heads", "checkpoint_threads"):
        op.drop_table(name)


def _create(name: str, keys: tuple[str, ...], *columns: sa.Column[object], **options: bool) -> None:
    """Create a table whose rows belong to a namespace of a thread."""
    of_thread = sa.Column("thread_key", sa.BigInteger(), autoincrement=False, nullable=False)
    parts = [
        sa.Column(key, sa.Integer(), autoincrement=False, nullable=False)
        if key == "idx"
        else sa.Column(key, sa.String(_LENGTHS.get(key, 255)), nullable=False)
        for key in ("namespace", *keys)
    ]
    op.create_table(
        name,
        of_thread,
        *parts,
        *columns,
        sa.PrimaryKeyConstraint("thread_key", "namespace", *keys, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(
            ["thread_key"], ["checkpoint_threads.thread_key"], name=f"fk_{name}_thread_key", ondelete="CASCADE"
        ),
        **options,
    )


def _create_threads() -> None:
    op.create_table(
        "checkpoint_threads",
        sa.Column("thread_key", _TicketNumber, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("thread_id", sa.String(255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("last_activity", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("thread_key", name="pk_checkpoint_threads"),
        sa.UniqueConstraint("user_id", "thread_id", name="uq_checkpoint_threads_user_id_thread_id"),
        sqlite_autoincrement=True,
    )


def _create_checkpoints() -> None:
    _create(
        "checkpoints",
        ("checkpoint_id",),
        sa.Column("parent_id", sa.String(64)),
        sa.Column("history_id", sa.String(64)),
        sa.Column("run_id", sa.String(255)),
        sa.Column("hidden", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("versions", sa.JSON(), nullable=False),
        sa.Column("renamed", sa.JSON()),
        sa.Column("body_type", sa.String(64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("metadata_type", sa.String(64), nullable=False),
        sa.Column("metadata", sa.LargeBinary(), nullable=False),
    )
    has_run = sa.text("run_id IS NOT NULL")
    op.create_index("ix_checkpoints_run_id", "checkpoints", ["run_id"], sqlite_where=has_run, postgresql_where=has_run)


def _create_values() -> None:
    _create(
        "checkpoint_values",
        ("channel", "version"),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.String(128)),
        sa.Column("kept", sa.BigInteger(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )


def _create_writes() -> None:
    _create(
        "checkpoint_writes",
        ("checkpoint_id", "task_id", "idx"),
        sa.Column("task_path", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(255), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
