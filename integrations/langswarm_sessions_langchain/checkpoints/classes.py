"""Which classes are in what LangGraph's serializer wrote, told without rebuilding any of them."""

from __future__ import annotations

from typing import Any

import ormsgpack
from langgraph.checkpoint.serde import _msgpack, jsonplus  # pyright: ignore[reportPrivateUsage]

__all__ = ["ClassName", "classes_in", "is_known"]

ClassName = tuple[str, str]
"""Module and name."""

_ARRAY: ClassName = ("numpy", "ndarray")
_ARRAY_OF_OBJECTS: ClassName = ("numpy", "ndarray of objects")
_METHODS = {name[:2] for name in _msgpack.SAFE_MSGPACK_METHODS}
_KNOWN = {*_msgpack.SAFE_MSGPACK_TYPES, *_METHODS, _ARRAY}


def classes_in(data: bytes) -> list[ClassName]:
    """Return the classes of what is in `data` (msgpack), one for each object, nested ones too."""
    found: list[ClassName] = []

    def note(code: int, payload: bytes) -> None:
        inner: Any = ormsgpack.unpackb(payload, ext_hook=note, option=ormsgpack.OPT_NON_STR_KEYS)
        if code == jsonplus.EXT_NUMPY_ARRAY:
            found.append(_ARRAY_OF_OBJECTS if "O" in inner[0] else _ARRAY)
        elif code != jsonplus.EXT_DELTA_SNAPSHOT:
            found.append((str(inner[0]), str(inner[1])))

    ormsgpack.unpackb(data, ext_hook=note, option=ormsgpack.OPT_NON_STR_KEYS)
    return found


def is_known(name: ClassName) -> bool:
    """Whether LangGraph rebuilds objects of a class whatever is allowed."""
    return name in _KNOWN
