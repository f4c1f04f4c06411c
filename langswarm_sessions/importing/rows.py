"""What the sources of rows share: digests, times, JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from langswarm_sessions.errors import ImportFormatError
from langswarm_sessions.importing.source import SourceEntry

__all__ = ["digest_of", "entry_of", "json_object", "moment_of", "name_of"]

_LAST_YEAR = 9000  # a time has to have times after it


def digest_of(value: object) -> str:
    """Return a short digest of what a row holds: text as it is, JSON whatever the order of its keys."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray | memoryview):
        data = bytes(cast("bytes", value))
    else:
        data = json.dumps(value, sort_keys=True, default=str).encode()
    return hashlib.sha256(data).hexdigest()[:16]


def entry_of(session_id: str, key: str, data: object, *, time: datetime | None = None) -> SourceEntry:
    """Return a row; text that was no UTF-8 (it holds surrogates) is one that cannot be read.

    Args:
        session_id: The conversation it belongs to.
        key: What names it in there.
        data: What it holds.
        time: When it was said.
    """
    problem = "it is not UTF-8 text" if isinstance(data, str) and not _is_text(data) else None
    return SourceEntry(session_id=session_id, key=key, digest=digest_of(data), data=data, time=time, problem=problem)


def name_of(value: object) -> str:
    """Return a conversation's id, whatever the column holds; nothing for NULL."""
    return "" if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def json_object(value: object) -> Mapping[str, Any]:
    """Return what a column of JSON holds: text, bytes, or read by the driver already.

    Raises:
        ImportFormatError: It is no JSON object.
    """
    try:
        read = json.loads(value) if isinstance(value, str | bytes | bytearray) else value
    except (ValueError, RecursionError):
        raise ImportFormatError("it is not JSON") from None
    if not isinstance(read, Mapping):
        raise ImportFormatError("it is not a JSON object")
    return cast("Mapping[str, Any]", read)


def moment_of(value: object) -> datetime | None:
    """Return a time as databases hold it, in UTC where no zone is told; None when it is none."""
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            value = datetime.fromtimestamp(value, UTC)
        if isinstance(value, datetime):
            moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
            return moment if moment.year < _LAST_YEAR else None
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _is_text(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
