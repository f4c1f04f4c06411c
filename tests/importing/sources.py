"""A source of a test's own: what the rows say is in the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import Any

from langswarm_sessions import SessionMessage
from langswarm_sessions.errors import ImportFormatError
from langswarm_sessions.importing import Assembled, Assembler, ImportSource, SourceEntry, SourceSurvey


class Texts(Assembler):
    """Makes a user's message of each text."""

    def add(self, entry: SourceEntry) -> Sequence[Assembled]:
        """Return the row's message."""
        if not isinstance(entry.data, str):
            raise ImportFormatError("it is no text.")
        return (Assembled(entries=(entry,), message=SessionMessage(role="user", content=entry.data)),)  # type: ignore[arg-type]


class Listed(ImportSource):
    """Rows (conversation, text) that a test lists, in pages of three.

    Args:
        rows: What there is.
        times: When each row was said; None: nobody knows.
    """

    def __init__(self, rows: Sequence[tuple[str, Any]], *, times: Sequence[datetime | None] = ()) -> None:
        self.rows = rows
        self.times = times
        self.closed = 0

    async def survey(self) -> SourceSurvey:
        """Tell what there is."""
        return SourceSurvey(kind="list", name="listed", location="a test", entries=len(self.rows))

    async def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
        """Yield the rows."""
        entries = [
            SourceEntry(
                session_id=session_id,
                key=str(at),
                digest=str(hash(text)),
                data=text,
                time=self.times[at] if self.times else None,
            )
            for at, (session_id, text) in enumerate(self.rows)
        ]
        for first in range(0, len(entries), 3):
            yield entries[first : first + 3]

    def assembler(self) -> Assembler:
        """Return what reads texts."""
        return Texts()

    async def close(self) -> None:
        """Count."""
        self.closed += 1
