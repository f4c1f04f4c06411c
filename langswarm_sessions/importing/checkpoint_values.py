"""Values in LangGraph's checkpoints, read as plain data: no class is looked up, nothing is constructed or called."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langswarm_sessions.errors import ImportFormatError, MissingDependencyError

__all__ = ["MISSING", "Overwrite", "fields_of", "folded", "unpacked"]

MISSING: Any = object()
"""In place of a value that is not there."""

_DELTA_SNAPSHOT = 7
_NUMPY_ARRAY = 6
_REMOVE_ALL = "__remove_all__"
_TOO_MANY = (RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Overwrite:
    """A write that takes the place of everything before it."""

    value: Any = field(repr=False)


def unpacked(kind: str, data: bytes) -> Any:
    """Return what LangGraph's serializer wrote as plain data; messages as `message_to_dict` has them.

    Args:
        kind: The form the serializer named: "msgpack" or "json".
        data: What it wrote.

    Raises:
        ImportFormatError: It is of another form, such as pickled or encrypted, or damaged.
        MissingDependencyError: The package that reads msgpack is not installed.
    """
    if kind in ("null", "empty"):
        return None if kind == "null" else MISSING
    try:
        if kind == "json":
            return json.loads(data)
        if kind == "msgpack":
            return _unpack(data)
    except ImportFormatError:
        raise
    except (ValueError, TypeError, KeyError, *_TOO_MANY):
        raise ImportFormatError("the checkpoint is damaged") from None
    why = "pickled, which is never read: that could run anything" if kind == "pickle" else f"of the form {kind!r}"
    raise ImportFormatError(
        f"the checkpoint is {why}; let the graph write it anew with the default serializer, without encryption"
    )


def folded(base: Any, writes: Iterable[Any]) -> list[Any]:
    """Return messages after writes to their channel, by the rules of LangGraph's `add_messages`.

    Args:
        base: The messages before; MISSING is none.
        writes: Messages or lists of them, oldest first. One with the id of another takes its place.
    """
    messages = _Messages(() if base is MISSING or base is None else _listed(base))
    for write in writes:
        if isinstance(write, Overwrite):
            messages = _Messages(_listed(write.value or []))
            continue
        for message in _listed(write):
            messages.take(message)
    return messages.there()


class _Messages:
    """Messages in their order, found by their ids."""

    def __init__(self, messages: Iterable[Any]) -> None:
        self._all = list(messages)
        self._places: dict[Any, int] = {}
        for place, message in enumerate(self._all):
            self._places.setdefault(_identity(message), place)

    def take(self, message: Any) -> None:
        """Add a message, or let it replace or remove one."""
        identity = _identity(message)
        if fields_of(message).get("type") == "remove":
            if identity == _REMOVE_ALL:
                self._all, self._places = [], {}
            elif identity in self._places:
                self._all[self._places.pop(identity)] = MISSING
        elif identity is not None and identity in self._places:
            self._all[self._places[identity]] = message
        else:
            self._places[identity] = len(self._all)
            self._all.append(message)

    def there(self) -> list[Any]:
        """Return those that were not removed."""
        return [message for message in self._all if message is not MISSING]


def fields_of(message: Any) -> Mapping[str, Any]:
    """Return the fields of a message, in whichever form it was written; nothing of what is no message."""
    if not isinstance(message, Mapping):
        return {}
    told = cast("Mapping[str, Any]", message)
    data: object = told.get("data", told.get("kwargs", told))
    return cast("Mapping[str, Any]", data) if isinstance(data, Mapping) else {}


def _identity(message: Any) -> str | None:
    identity = fields_of(message).get("id")
    return str(identity) if identity else None


def _listed(value: Any) -> list[Any]:
    return list(cast("Sequence[Any]", value)) if isinstance(value, list) else [value]


def _unpack(data: bytes) -> Any:
    unpackb, options = _msgpack()
    return unpackb(data, ext_hook=_plain, option=options)


def _msgpack() -> tuple[Callable[..., Any], int]:
    try:
        import ormsgpack
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Reading LangGraph's checkpoints needs the ormsgpack package: pip install 'langswarm-sessions[langgraph]'."
        ) from error
    return ormsgpack.unpackb, ormsgpack.OPT_NON_STR_KEYS


def _plain(code: int, data: bytes) -> Any:
    """Return an extension value: LangGraph writes (module, class, arguments, ...) for whatever is not plain."""
    value = _unpack(data)
    if code == _DELTA_SNAPSHOT:
        return value
    if code == _NUMPY_ARRAY:
        return None
    module, name, arguments = (*cast("list[Any]", value), None, None, None)[:3]
    if isinstance(arguments, dict):
        told: Mapping[str, Any] = cast("dict[str, Any]", arguments)
        if (module, name) == ("langgraph.types", "Overwrite"):
            return Overwrite(told.get("value"))
        if "content" in told and "type" in told and "response_metadata" in told:
            return {"type": told["type"], "data": dict(told)}
    return cast("Any", arguments)
