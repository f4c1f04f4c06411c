"""What an import did, in numbers that add up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ImportProblem", "ImportProgress", "ImportReport", "ProgressListener"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """Something that was not imported, and why; never what was said.

    Args:
        session_id: The conversation, as the source names it.
        row: The row; None when it is the whole conversation.
        reason: Why, and what to do.
    """

    session_id: str
    row: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportProgress:
    """How far an import is.

    Args:
        sessions: Conversations that are done with.
        messages: Messages of the source that are done with.
        total_sessions: Of how many; None if the source cannot tell.
        total_messages: Of how many; None if the source cannot tell.
    """

    sessions: int
    messages: int
    total_sessions: int | None = None
    total_messages: int | None = None


ProgressListener = Callable[[ImportProgress], Awaitable[None] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import did, or in a dry run would do.

    A conversation is counted once: `sessions_found` is the sum of the four below it. A message of the source is
    counted once, also where several of them make one message of a session (an answer and its tool calls, say):
    `messages_read` is the sum of the three below it.

    Args:
        source: What was read, for people.
        dry_run: Whether nothing was stored.
        sessions_found: Conversations of the source.
        sessions_imported: Those that became sessions.
        sessions_extended: Those that had been imported, and grew.
        sessions_already_there: Those that had been imported, and did not.
        sessions_skipped: Those that could not be imported; `problems` says why.
        messages_read: Messages of the source.
        messages_stored: Those that were stored.
        messages_already_there: Those that an earlier import stored.
        messages_refused: Those that could not be imported, all of skipped conversations among them.
        problems: What was not imported and why, the first thousand.
        problems_left_out: How many more there were.
        notes: What of the source has no place in a session, or was lost in it before.
    """

    source: str
    dry_run: bool
    sessions_found: int
    sessions_imported: int
    sessions_extended: int
    sessions_already_there: int
    sessions_skipped: int
    messages_read: int
    messages_stored: int
    messages_already_there: int
    messages_refused: int
    problems: tuple[ImportProblem, ...] = ()
    problems_left_out: int = 0
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether every conversation and every message of the source is there now (or would be)."""
        return not self.sessions_skipped and not self.messages_refused

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON."""
        return {**asdict(self), "is_complete": self.is_complete}
