"""A source of a test's own: what the rows say is in the test."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from langswarm_sessions import SessionMessage
from langswarm_sessions.errors import ImportFormatError
from langswarm_sessions.importing import Assembled, Assembler, ImportSource, SourceEntry, SourceHead, SourceSurvey


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
        location: Where they are.
    """

    def __init__(
        self, rows: Sequence[tuple[str, Any]], *, times: Sequence[datetime | None] = (), location: str = "a test"
    ) -> None:
        self.rows = rows
        self.location = location
        self.times = times
        self.closed = 0

    async def survey(self) -> SourceSurvey:
        """Tell what there is."""
        return SourceSurvey(kind="list", name="listed", location=self.location, entries=len(self.rows))

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
        for first in range(start or 0, len(entries), 3):
            yield entries[first : first + 3]

    def assembler(self) -> Assembler:
        """Return what reads texts."""
        return Texts()

    async def heads(self) -> AsyncGenerator[SourceHead]:
        """Yield the conversations."""
        for session_id, group in groupby(enumerate(self.rows), key=lambda row: row[1][0]):
            places = [at for at, _ in group]
            yield SourceHead(session_id=session_id, entries=len(places), newest=str(places[-1]), position=places[0])

    async def close(self) -> None:
        """Count."""
        self.closed += 1
