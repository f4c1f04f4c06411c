"""What turns cost."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# What providers refuse with is not billed; what is superseded is part of another turn.
_NOT_BILLED = (
    "AuthenticationError",
    "ContextOverflowError",
    "InvalidRequestError",
    "NativeStateLostError",
    "QuotaExceededError",
    "RateLimitError",
    "superseded",
)


def upgrade() -> None:
    for name in ("cost", "priced_turns", "unpriced_turns"):
        op.add_column("sessions", _count(name))
    op.add_column("turns", sa.Column("cost", sa.BigInteger()))
    op.add_column("turns", _count("unpriced"))
    # Nobody knows what they cost: a sum over later turns must not be taken for the whole.
    not_billed = ", ".join(f"'{name}'" for name in _NOT_BILLED)
    op.execute(
        "UPDATE turns SET unpriced = 1 WHERE state <> 'pending'"
        f" AND (state <> 'failed' OR error_type IS NULL OR error_type NOT IN ({not_billed}))"
    )
    op.execute(
        "UPDATE sessions SET unpriced_turns = (SELECT COUNT(*) FROM turns"
        " WHERE turns.session_id = sessions.session_id AND turns.unpriced > 0)"
    )


def downgrade() -> None:
    for name in ("unpriced", "cost"):
        op.drop_column("turns", name)
    for name in ("unpriced_turns", "priced_turns", "cost"):
        op.drop_column("sessions", name)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
