"""What the sources of rows share: digests, times, JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from langswarm_sessions.errors import ImportFormatError

__all__ = ["digest_of", "json_object", "moment_of"]


def digest_of(value: object) -> str:
    """Return a short digest of what a row holds: text as it is, JSON whatever the order of its keys."""
    if isinstance(value, str):
        data = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray | memoryview):
        data = bytes(cast("bytes", value))
    else:
        data = json.dumps(value, sort_keys=True, default=str).encode()
    return hashlib.sha256(data).hexdigest()[:16]


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
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
