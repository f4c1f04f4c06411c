"""Content as plain JSON that fits into an attribute. Pure functions.

What does not fit is left out where it was said, never out of the JSON text: that would leave something unreadable.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias, cast, overload

JsonValue: TypeAlias = "str | int | float | bool | list[JsonValue] | dict[str, JsonValue] | None"
JsonObject: TypeAlias = "dict[str, JsonValue]"
ChangeText = Callable[[str], str]
_Shorten = Callable[[JsonObject, int], JsonValue]

CUT_PART: Final = "cut"
_DEEPEST: Final = 32
_LARGEST_INTEGER: Final = 2**63
_SHORTEST_CUT: Final = 32
# These say of a part what it is: not content, and not to be changed by anybody's redaction.
_STRUCTURE: Final = frozenset({"type", "role", "modality"})


def said(item: Mapping[str, object], change: ChangeText) -> JsonObject:
    """Return a message, a part of one, or the definition of a tool as plain JSON.

    Args:
        item: As the conventions describe it.
        change: Applied to every text in it but the names and the kinds that the conventions prescribe.
    """
    made: JsonObject = {}
    for name, value in item.items():
        if name in _STRUCTURE:
            made[name] = str(value)
        elif name == "parts":
            made[name] = [said(part, change) for part in cast("Sequence[Mapping[str, object]]", value)]
        elif value is not None:
            made[name] = plain(value, change)
    return made


class Said(Sequence[JsonObject]):
    """Messages, parts or definitions of tools as plain JSON, each made when it is first asked for.

    Args:
        items: As the conventions describe them.
        change: Applied to their texts, as `said` does.
    """

    __slots__ = ("_change", "_items", "_made")

    def __init__(self, items: Sequence[Mapping[str, object]], change: ChangeText) -> None:
        self._items = items
        self._change = change
        self._made: dict[int, JsonObject] = {}

    def __len__(self) -> int:
        """Return how many there are; none of them is made for that."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> JsonObject: ...

    @overload
    def __getitem__(self, index: slice) -> list[JsonObject]: ...

    def __getitem__(self, index: int | slice) -> JsonObject | list[JsonObject]:
        """Return one of them, or several."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        if place not in self._made:
            self._made[place] = said(self._items[place], self._change)
        return self._made[place]


def plain(value: object, change: ChangeText, *, depth: int = 0) -> JsonValue:
    """Return a value as JSON that every exporter can send.

    Args:
        value: Anything; what JSON has no form for becomes its text.
        change: Applied to every text in it: values, keys, and numbers in their written form.
        depth: How deep the value lies already.

    Returns:
        The value, with the texts as `change` returned them.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return encodable(change(encodable(value)))
    if isinstance(value, int | float):
        return _number(value, change)
    if depth >= _DEEPEST:
        return cut_mark()
    if isinstance(value, Mapping):
        members = cast("Mapping[object, object]", value).items()
        made = {encodable(change(encodable(str(key)))): plain(item, change, depth=depth + 1) for key, item in members}
        made.pop("", None)  # exporters drop a nameless member, and warn of it
        return made
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item, change, depth=depth + 1) for item in cast("Sequence[object]", value)]
    return encodable(change(encodable(str(value))))


def _number(value: float, change: ChangeText) -> JsonValue:
    """Return a number; as text where redaction wants it otherwise, or where receivers have no such number."""
    text = str(value)
    changed = encodable(change(text))
    is_sendable = math.isfinite(value) if isinstance(value, float) else -_LARGEST_INTEGER <= value < _LARGEST_INTEGER
    return value if changed == text and is_sendable else changed


def encodable(text: str) -> str:
    """Return a text that can be encoded: one half of a character would make an exporter lose its whole batch."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def json_text(value: JsonValue | Sequence[JsonValue]) -> str:
    """Return JSON as short as it can be written."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def cut_mark(characters: int | None = None) -> str:
    """Return what stands where a text was cut.

    Args:
        characters: How many are missing, None when that is not known.
    """
    return "…[cut]" if characters is None else f"…[{characters} characters cut]"


def clipped(text: str, limit: int) -> str:
    """Return the beginning of a text, and how much of it is missing.

    Args:
        text: Any text.
        limit: Characters that it may have altogether, those of the note included.
    """
    if len(text) <= limit:
        return text
    note = cut_mark(len(text))
    kept = max(0, limit - len(note))
    return (text[:kept] + cut_mark(len(text) - kept))[:limit]


def fitted(items: Sequence[JsonObject], limit: int, *, newest: bool = True) -> list[JsonObject] | None:
    """Return JSON objects whose text has at most `limit` characters.

    Long texts are cut, then the oldest objects left out; what was left out is said in their place. Of a structure that
    is too long even so, such as a tool's arguments, the beginning of its JSON stays, as a text.

    Args:
        items: Messages, or parts, or definitions of tools.
        limit: Characters that their JSON text may have.
        newest: Whether the last ones are kept, else the first ones.

    Returns:
        The objects that fit; None if not even one does.
    """
    if _fit_whole(items, limit, newest=newest):
        return list(items)
    for shorten in (_with_short_texts, _with_short_structures):
        longest = limit // 2
        while longest >= _SHORTEST_CUT:
            kept = _those_that_fit(items, limit, shorten, longest=longest, newest=newest)
            if kept is not None:
                return kept
            longest //= 2
    smallest = [_left_out(items[-1 if newest else 0], len(items))]
    return smallest if len(json_text(smallest)) <= limit else None


def _fit_whole(items: Sequence[JsonObject], limit: int, *, newest: bool) -> bool:
    """Whether nothing has to be cut; looks at no more of them than that takes."""
    room = limit - 1  # a bracket; each item comes with a comma or the other bracket
    for item in reversed(items) if newest else items:
        room -= len(json_text(item)) + 1
        if room < 0:
            return False
    return True


def _those_that_fit(
    items: Sequence[JsonObject], limit: int, shorten: _Shorten, *, longest: int, newest: bool
) -> list[JsonObject] | None:
    kept: list[JsonObject] = []
    room = limit - 2  # the brackets
    for item in reversed(items) if newest else items:
        short = cast("JsonObject", shorten(item, longest))
        missing = len(items) - len(kept) - 1
        size = len(json_text(short)) + 1
        if size + (len(json_text(_left_out(item, missing))) + 1 if missing else 0) > room:
            break
        kept.append(short)
        room -= size
    if not kept:
        return None
    if newest:
        kept.reverse()
    if missing := len(items) - len(kept):
        kept.insert(0 if newest else len(kept), _left_out(kept[0], missing))
    return kept


def _left_out(neighbour: JsonObject, number: int) -> JsonObject:
    """Return what stands for objects that were left out, in the form of those beside it."""
    if "parts" in neighbour:
        return {"role": neighbour["role"], "parts": [{"type": CUT_PART, "messages": number}]}
    return {"type": CUT_PART, "name": f"{number} cut"}


def _with_short_texts(value: JsonValue, longest: int) -> JsonValue:
    if isinstance(value, str):
        return clipped(value, longest)
    if isinstance(value, list):
        return [_with_short_texts(item, longest) for item in value]
    if isinstance(value, dict):
        return {clipped(key, longest): _with_short_texts(item, longest) for key, item in value.items()}
    return value


def _with_short_structures(item: JsonObject, longest: int) -> JsonObject:
    """Shorten the members of an object, or of its parts, that are objects or lists; they stay what they are."""
    made: JsonObject = {}
    for name, value in item.items():
        if name == "parts":
            made[name] = [_with_short_structures(part, longest) for part in cast("list[JsonObject]", value)]
        elif isinstance(value, dict | list) and len(text := json_text(value)) > longest:
            short = clipped(text, longest)
            made[name] = {CUT_PART: short} if isinstance(value, dict) else [short]
        else:
            made[name] = _with_short_texts(value, longest)
    return made
