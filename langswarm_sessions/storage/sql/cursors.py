"""Opaque cursors: where a page ended, as text that travels in a URL."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError

__all__ = ["page_size", "read_cursor", "write_cursor"]


def write_cursor(*place: int | str) -> str:
    """Return the cursor of the page after `place`."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def read_cursor(cursor: str, *kinds: type[int] | type[str]) -> tuple[Any, ...]:
    """Return the place a cursor names.

    Args:
        cursor: What `write_cursor` returned.
        kinds: The types of the parts of the place.

    Raises:
        InvalidInputError: It is not a cursor of this listing.
    """
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
    except (AttributeError, ValueError, binascii.Error):
        place = None
    parts = cast("list[object]", place) if isinstance(place, list) else []
    if [type(part) for part in parts] != list(kinds):
        raise InvalidInputError("cursor: not a cursor of this listing. Pass the next_cursor of a page, unchanged.")
    return tuple(parts)


def page_size(limit: int | None) -> int | None:
    """Return `limit` after checking it.

    Raises:
        InvalidInputError: It is negative or not a whole number.
    """
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 0):
        raise InvalidInputError("limit must be a whole number of at least 0 (or None for all).")
    return limit
