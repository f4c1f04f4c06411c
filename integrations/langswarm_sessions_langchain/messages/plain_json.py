"""Plain JSON from whatever a LangChain message may carry."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, cast
from uuid import UUID

from pydantic import BaseModel

__all__ = ["plain_json"]

_MAX_DEPTH = 100

_WRITERS: tuple[tuple[type[Any] | tuple[type[Any], ...], Callable[[Any], object]], ...] = (
    (Enum, lambda value: value.value),
    (str, str),
    (bool, bool),
    (int, int),
    (float, lambda value: float(value) if math.isfinite(value) else None),
    (Mapping, lambda value: {str(key): item for key, item in value.items()}),
    ((datetime, date, time), lambda value: value.isoformat()),
    (timedelta, lambda value: value.total_seconds()),
    ((UUID, PurePath, Decimal), str),
    ((bytes, bytearray, memoryview), lambda value: base64.b64encode(bytes(value)).decode()),
    (BaseModel, dict),
    ((Sequence, Set), list),
)


def plain_json(value: object) -> Any:
    """Return `value` as JSON can hold it, keeping as much as JSON can say.

    Models and dataclasses become objects, sets and tuples arrays, times ISO 8601, bytes base64, numbers that JSON
    does not have null. Of an object that has no such form only its type's name is kept: its repr may hold secrets.

    Args:
        value: Anything.

    Returns:
        Dicts, lists, strings, numbers, booleans and None.

    Example:
        >>> plain_json({"when": date(2026, 1, 2), 1: (b"x", float("nan"))})
        {'when': '2026-01-02', '1': ['eA==', None]}
    """
    return _plain(value, _MAX_DEPTH)


def _plain(value: object, depth: int) -> Any:
    if value is None:
        return None
    written = _written(value) if depth else _type_name(value)
    if type(written) is dict:
        items = cast("dict[str, object]", written).items()
        return {key: _plain(item, depth - 1) for key, item in items}
    if type(written) is list:
        return [_plain(item, depth - 1) for item in cast("list[object]", written)]
    return written if type(written) in (str, int, float, bool, type(None)) else _plain(written, depth - 1)


def _written(value: object) -> object:
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    # numpy arrays and scalars, which this package does not import
    to_list: Callable[[], object] | None = getattr(value, "tolist", None)
    return to_list() if callable(to_list) and not isinstance(value, type) else _type_name(value)


def _type_name(value: object) -> str:
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"
