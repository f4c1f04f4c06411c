"""What stands for the part of a conversation that fell out of the window."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

__all__ = ["SessionSummary"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A summary of the beginning of a transcript; it is kept beside the transcript, never instead of it.

    Args:
        up_to_seq: `seq` of the newest message it covers.
        text: What was said, in short.
        tokens: About how many tokens the text costs.
        created_at: When it was made.
        provider: Who wrote it (None: a function of the user's).
        model: With which model.
    """

    up_to_seq: int
    text: str = field(repr=False)
    tokens: int
    created_at: datetime
    provider: str | None = None
    model: str | None = None
