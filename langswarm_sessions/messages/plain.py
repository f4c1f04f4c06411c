"""Values as plain JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError

__all__ = ["plain_mapping"]


def plain_mapping(value: object, *, field: str) -> dict[str, Any]:
    """Return a copy of a mapping with string keys and JSON-ready values.

    Args:
        value: What a caller passed.
        field: Its name, for the message.

    Raises:
        InvalidInputError: It is no mapping, or holds something JSON cannot.
    """
    items = dict(cast("Mapping[object, Any]", value)) if isinstance(value, Mapping) else {None: None}
    if not all(isinstance(key, str) for key in items):
        raise InvalidInputError(f"{field} must be a dict with string keys.")
    try:
        text = json.dumps(items, allow_nan=False, ensure_ascii=False)
        text.encode()
        return cast("dict[str, Any]", json.loads(text))
    except UnicodeEncodeError:
        raise InvalidInputError(f"{field} holds half of a surrogate pair, which no encoding can store.") from None
    except (TypeError, ValueError, RecursionError):
        raise InvalidInputError(
            f"{field} must hold only what JSON can: strings, finite numbers, booleans, None, lists and dicts."
        ) from None
