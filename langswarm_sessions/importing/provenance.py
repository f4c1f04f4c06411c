"""Where an imported message came from: noted in its metadata, so that nothing is imported twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langswarm_sessions.importing.source import SourceEntry
from langswarm_sessions.messages import SessionMessage

__all__ = ["METADATA_KEY", "noted", "rows_of"]

METADATA_KEY = "imported"
"""In an imported message's metadata: the source's name, and the digest of each row the message was made of."""


def noted(source: str, entries: Iterable[SourceEntry]) -> dict[str, Any]:
    """Return the metadata of a message made of some rows of a source."""
    return {METADATA_KEY: {"source": source, "rows": {entry.key: entry.digest for entry in entries}}}


def rows_of(message: SessionMessage, source: str) -> Mapping[str, str] | None:
    """Return the rows of a source that a message was made of, with their digests; None if it came from elsewhere."""
    note: object = message.metadata.get(METADATA_KEY)
    if not isinstance(note, Mapping):
        return None
    told = cast("Mapping[str, object]", note)
    rows = told.get("rows")
    return cast("Mapping[str, str]", rows) if told.get("source") == source and isinstance(rows, Mapping) else None
