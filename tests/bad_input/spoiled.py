"""Every way to spoil one place of an answer's JSON: each value in turn becomes something of another kind."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tests.support.relay import Answer, Change

__all__ = ["spoiled_places"]

Path = tuple[str | int, ...]

_DATA = re.compile(rb"^data: ?(\{.*\})\r?$", re.MULTILINE)
ODD: Sequence[Any] = (None, 7, "odd", [], {}, [7], {"odd": 7}, True)


def spoiled_places(answer: Answer) -> Iterator[tuple[str, Change]]:
    """Return a name and a change for each place of each event, and each kind of value it does not hold.

    Args:
        answer: A stream as it should be.
    """
    seen: set[tuple[Any, ...]] = set()
    for number, found in enumerate(_DATA.finditer(answer.body)):
        event = json.loads(found[1])
        kind = event.get("type") or event.get("event_type") or event.get("object")
        for path in _places(event):
            shape = (kind, tuple(step for step in path if isinstance(step, str)))
            if shape in seen:  # the next piece of text is built alike
                continue
            seen.add(shape)
            for odd in ODD:
                if type(odd) is not type(_at(event, path)):
                    yield f"{kind} {'.'.join(map(str, path)) or 'all'} = {json.dumps(odd)}", _change(number, path, odd)


def _places(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    for step, child in _inside(value):
        yield from _places(child, (*path, step))


def _inside(value: Any) -> Iterable[tuple[str | int, Any]]:
    if isinstance(value, dict):
        named: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return named.items()
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        return enumerate(items)
    return ()


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _change(number: int, path: Path, odd: Any) -> Change:
    def change(answer: Answer) -> Answer:
        events = list(_DATA.finditer(answer.body))
        if number >= len(events):  # of another kind: there is nothing like it here
            return answer
        found = events[number]
        event = json.loads(found[1])
        if path:
            _at(event, path[:-1])[path[-1]] = odd
        else:
            event = odd
        data = json.dumps(event).encode()
        return answer.with_body(answer.body[: found.start(1)] + data + answer.body[found.end(1) :])

    return change
