"""Where an imported message came from: noted in its metadata, so that nothing is imported twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

from langswarm_sessions.importing.rows import digest_of
from langswarm_sessions.importing.source import SourceEntry, SourceSurvey
from langswarm_sessions.messages import SessionMessage

__all__ = ["METADATA_KEY", "Origin", "Provenance"]

METADATA_KEY = "imported"
"""In an imported message's metadata: the source's name and place, and the digest of each row it was made of."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an imported message tells of where it came from.

    Args:
        place: A digest of the source's location.
        rows: The digest of each row, under its key.
        total: How many rows of the source the session held with this message.
    """

    place: str
    rows: Mapping[str, str]
    total: int


@dataclass(frozen=True, slots=True)
class Origin:
    """A source, as it is noted.

    Args:
        source: Its name.
        place: A digest of its location: two databases may have tables and conversations of the same names.
    """

    source: str
    place: str

    @classmethod
    def of(cls, survey: SourceSurvey) -> Self:
        """Return a source's."""
        return cls(survey.name, digest_of(survey.location)[:8])

    def noted(self, entries: Iterable[SourceEntry], total: int) -> dict[str, Any]:
        """Return the metadata of a message.

        Args:
            entries: The rows it was made of.
            total: How many rows of the source the session holds with it.
        """
        rows = {entry.key: entry.digest for entry in entries}
        return {METADATA_KEY: {"source": self.source, "place": self.place, "rows": rows, "total": total}}

    def read(self, message: SessionMessage) -> Provenance | None:
        """Return what a message tells; None if it came from no source of this name."""
        note: object = message.metadata.get(METADATA_KEY)
        told: Mapping[str, Any] = cast("Mapping[str, Any]", note) if isinstance(note, Mapping) else {}
        rows, total = told.get("rows"), told.get("total")
        if told.get("source") != self.source or not isinstance(rows, Mapping) or not isinstance(total, int):
            return None
        return Provenance(str(told.get("place")), cast("Mapping[str, str]", rows), total)
