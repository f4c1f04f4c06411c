"""A framework's own items as rows of a session, and rows as its items. Pure functions.

What came from a framework is understood (role, parts, tool calls) and also kept whole, as plain JSON, in the row's
`provider_payload`. The same framework gets it back from there, unless the row was edited since; any other is given what
its format can say of the parts, and a `LossReport` tells what that was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from typing import Any, ClassVar, Generic, TypeVar, cast

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    Part,
    Role,
    SessionMessage,
    ToolResult,
    plain_mapping,
)
from langswarm_sessions.strategies import Crossing, CrossingNote

__all__ = [
    "CROSSES",
    "Fate",
    "ItemFormat",
    "LossReport",
    "Reading",
    "Row",
    "Understood",
    "converted",
    "dropped",
    "message_of",
    "messages_of",
    "read_as",
    "restored",
]

T = TypeVar("T")


_ROWS = "rows"  # in a payload: over how many rows what it keeps is spread


class _How(StrEnum):
    CROSSES = "crosses"
    CONVERTED = "converted"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a part in another format; `why` is None for one that crosses as it is."""

    how: _How
    why: str | None = None


CROSSES = Fate(_How.CROSSES)


def converted(why: str) -> Fate:
    """Return the fate of a part that crosses in another form."""
    return Fate(_How.CONVERTED, why)


def dropped(why: str) -> Fate:
    """Return the fate of a part that cannot cross."""
    return Fate(_How.DROPPED, why)


_AS_TEXT = converted("told as text")
_THOUGHT = dropped("only the model that thought it can be given it back")
_UNKNOWN = dropped("only the framework or provider that made it knows what it is")
_NOTED = converted("this format has no place for it; a text says that it was there")
_INSTRUCTIONS = dropped("instructions in force belong to who answers: an agent brings its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a group of items says, in this library's terms.

    Args:
        role: Who says it.
        parts: What is said.
        metadata: Kept with the row for its readers.
        provider_metadata: Of an answer: model, usage, finish_reason.
        provider_message_id: Of an answer: its id at the provider.
    """

    role: Role
    parts: list[Part] = field(repr=False)
    metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    provider_metadata: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    provider_message_id: str | None = None


class ItemFormat(ABC, Generic[T]):
    """What a framework's items look like. Subclass it once a framework; it holds no state.

    Attributes:
        name: Names the payload, such as "openai-agents".
        version: Of the payload; one of another version is not read back, but built from its parts.
        takes: Types of media the format has a place for; of others a text tells.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    takes: ClassVar[frozenset[str]] = frozenset({ImagePart.type, FilePart.type, AudioPart.type})

    @abstractmethod
    def dump(self, item: T) -> Any:
        """Return an item as plain JSON."""

    @abstractmethod
    def load(self, data: Any) -> T:
        """Return the item that `dump` wrote.

        Raises:
            ValueError: This version of the framework cannot read it.
        """

    @abstractmethod
    def understand(self, data: Sequence[Any]) -> Understood:
        """Return what the dumped items of one row say; the same for the same items, whenever asked."""

    @abstractmethod
    def build(self, message: SessionMessage) -> Sequence[T]:
        """Return the items that say what a message of another origin says; none when nothing of it can be said."""

    def fate(self, message: SessionMessage, part: Part) -> Fate:
        """Return what becomes of a part of a message that is built; must agree with `build`."""
        if message.kind is MessageKind.INSTRUCTIONS:
            return _INSTRUCTIONS
        match part.type:
            case "refusal":
                return _AS_TEXT
            case "reasoning":
                return _THOUGHT
            case "other":
                return _UNKNOWN
            case "image" | "audio" | "file" if part.type not in self.takes:
                return _NOTED
            case _:
                return CROSSES


def message_of(
    format: ItemFormat[T],
    items: Sequence[T],
    *,
    message_id: str = "",
    group_id: str | None = None,
    notes: Mapping[str, Any] | None = None,
) -> SessionMessage:
    """Return items as one message that keeps them whole.

    Args:
        format: Whose items.
        items: The items of one row: one, or several that depend on each other.
        message_id: Id of the row; empty: it is given one.
        group_id: Names rows that belong together.
        notes: What an adapter notes beside the items in the payload (plain JSON).

    Raises:
        InvalidInputError: They hold what JSON cannot.
    """
    data = [format.dump(item) for item in items]
    payload = plain_mapping(
        {**(notes or {}), "format": format.name, "version": format.version, "items": data}, field="items"
    )
    said = format.understand(payload["items"])
    return SessionMessage(
        role=said.role,
        parts=said.parts,
        message_id=message_id,
        group_id=group_id,
        metadata=said.metadata,
        provider_metadata=said.provider_metadata,
        provider_message_id=said.provider_message_id,
        provider_payload=payload,
    )


def messages_of(
    format: ItemFormat[T], items: Sequence[T], *, message_id: str = "", notes: Mapping[str, Any] | None = None
) -> list[SessionMessage]:
    """Return items as rows like `message_of`, but with a row for each tool's result, as every reader expects them.

    The first row keeps the items whole; `read_as` gives them back where all of the rows are as they were.

    Args:
        format: Whose items.
        items: What would be one row.
        message_id: Id of the first row; empty: it is given one.
        notes: What an adapter notes beside the items in the payload (plain JSON).

    Raises:
        InvalidInputError: They hold what JSON cannot.
    """
    whole = message_of(format, items, message_id=message_id, notes=notes)
    if whole.role is not Role.TOOL or len(whole.tool_results) < 2:
        return [whole]
    pieces: list[list[Part]] = [[]]
    for part in whole.parts:
        if isinstance(part, ToolResult) and any(isinstance(one, ToolResult) for one in pieces[-1]):
            pieces.append([])
        pieces[-1].append(part)
    kept = {**(whole.provider_payload or {}), _ROWS: len(pieces)}
    more = {"format": format.name, "version": format.version, "items": list[Any]()}
    return [
        replace(
            whole,
            content="",
            parts=piece,
            message_id=message_id if at == 0 or not message_id else f"{message_id}.{at}",
            provider_payload=kept if at == 0 else more,
        )
        for at, piece in enumerate(pieces)
    ]


def restored(format: ItemFormat[T], message: SessionMessage) -> list[T] | None:
    """Return the items kept with a message; None when they are another framework's, or it was edited since."""
    payload = message.provider_payload or {}
    if payload.get("format") != format.name or payload.get("version") != format.version:
        return None
    data = cast("list[Any]", payload.get("items"))
    if not data:
        return None
    said = format.understand(data)
    parts = said.parts[: len(message.parts)] if payload.get(_ROWS) else said.parts
    if said.role is not message.role or parts != message.parts:
        return None
    try:
        return [format.load(item) for item in data]
    except ValueError:  # written by another version of the framework
        return None


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True, kw_only=True)
class LossReport:
    """How a conversation reads in a framework's format. Nothing of what was said is in it.

    Args:
        session_id: The session.
        format: The format it was read in.
        messages: How many messages it has.
        restored: How many of them came from this very format, and are given back whole.
        crossing: How the content parts of the others cross.
    """

    session_id: str
    format: str
    messages: int
    restored: int
    crossing: Crossing = field(repr=False)

    @property
    def is_lossless(self) -> bool:
        """Whether nothing was converted or dropped."""
        return not (self.crossing.converted or self.crossing.dropped)

    def __str__(self) -> str:
        """Return a few lines for people."""
        crossed = ", ".join(f"{count} {kind}" for kind, count in self.crossing.crossed.items()) or "nothing"
        lines = [
            f"{self.session_id} as {self.format}: {self.messages} messages, {self.restored} of them as written",
            f"  crosses: {crossed}",
            *(f"  converted: {note.part} of {note.message_id}: {note.why}" for note in self.crossing.converted),
            *(f"  dropped: {note.part} of {note.message_id}: {note.why}" for note in self.crossing.dropped),
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row(Generic[T]):
    """One message and what a framework is given of it."""

    message: SessionMessage
    items: tuple[T, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """A conversation in a framework's format, and what was lost on the way."""

    rows: tuple[Row[T], ...] = field(repr=False)
    report: LossReport

    @property
    def items(self) -> list[T]:
        """All items, in order."""
        return list(chain.from_iterable(row.items for row in self.rows))


def read_as(format: ItemFormat[T], messages: Iterable[SessionMessage], *, session_id: str) -> Reading[T]:
    """Return messages in a framework's format.

    Args:
        format: Which.
        messages: In order.
        session_id: Whose they are, for the report.
    """
    rows: list[Row[T]] = []
    names: dict[str, str] = {}
    kept = 0
    crossed: Counter[str] = Counter()
    notes: dict[_How, list[CrossingNote]] = {_How.CONVERTED: [], _How.DROPPED: []}
    given = list(messages)
    for stored, own in zip(given, _restored_rows(format, given), strict=True):
        names |= {call.id: call.name for call in stored.tool_calls}
        message = _with_names(stored, names)
        kept += own is not None
        rows.append(Row(message=message, items=tuple(format.build(message) if own is None else own)))
        for part in message.parts:
            fate = CROSSES if own is not None else format.fate(message, part)
            if fate.why is None:
                crossed[part.type] += 1
            else:
                notes[fate.how].append(CrossingNote(message_id=message.message_id, part=part.type, why=fate.why))
    crossing = Crossing(
        crossed=dict(crossed), converted=tuple(notes[_How.CONVERTED]), dropped=tuple(notes[_How.DROPPED])
    )
    report = LossReport(session_id=session_id, format=format.name, messages=len(rows), restored=kept, crossing=crossing)
    return Reading(rows=tuple(rows), report=report)


def _with_names(message: SessionMessage, names: Mapping[str, str]) -> SessionMessage:
    """Return a message whose tool results name their tool: some formats do not, and others need it."""
    if all(result.name for result in message.tool_results):
        return message
    parts: list[Part] = [
        replace(part, name=names.get(part.tool_call_id)) if isinstance(part, ToolResult) and not part.name else part
        for part in message.parts
    ]
    return replace(message, parts=parts)


def _keeps(message: SessionMessage) -> bool:
    """Whether a row keeps items of its own, and does not go on with those of the row before."""
    payload = message.provider_payload or {}
    return payload.get("items") != []


def _restored_rows(format: ItemFormat[T], messages: Sequence[SessionMessage]) -> list[list[T] | None]:
    """Return the items kept with each message; those of several rows with the first, when all are as they were."""
    found: list[list[T] | None] = []
    while len(found) < len(messages):
        at = len(found)
        count = max(1, (messages[at].provider_payload or {}).get(_ROWS, 1))
        rows = messages[at : at + count]
        if len(rows) < count or any(_keeps(row) for row in rows[1:]):
            found.append(None)  # one of its rows was taken back
            continue
        parts = [part for row in rows for part in row.parts]
        own = restored(format, messages[at] if count == 1 else replace(messages[at], content="", parts=parts))
        found += [None] if own is None else [own, *([] for _ in rows[1:])]
    return found
