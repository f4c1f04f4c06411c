"""Summaries of what fell out of the window, and an index of the system messages that stay in it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "summaries",
        sa.Column("session_id", sa.String(255), nullable=False),
        sa.Column("up_to_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(255)),
        sa.Column("model", sa.String(255)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("session_id", "up_to_seq", name="pk_summaries"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["sessions.session_id"], name="fk_summaries_session_id", ondelete="CASCADE"
        ),
    )
    _index_system_messages("role = 'system' AND kind != 'instructions'")


def downgrade() -> None:
    _index_system_messages("role = 'system'")
    op.drop_table("summaries")


def _index_system_messages(which: str) -> None:
    op.drop_index("ix_messages_system", table_name="messages")
    op.create_index(
        "ix_messages_system",
        "messages",
        ["session_id", "seq"],
        sqlite_where=sa.text(which),
        postgresql_where=sa.text(which),
    )
