"""Conversations of every kind of part, and whether the report of how they read in a format is true of what is read."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from hypothesis import strategies as st

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions_frameworks.formats import ItemFormat, read_as

__all__ = ["check_report", "conversations"]

_MEDIA = ("image", "audio", "file")
_TYPES = {"image": ("image/png", None), "audio": ("audio/wav", "audio/mpeg"), "file": ("application/pdf", None)}
_KINDS: dict[type[Any], str] = {ImagePart: "image", AudioPart: "audio", FilePart: "file"}


@st.composite
def _media(draw: st.DrawFn, mark: str) -> Part:
    kind: Any = draw(st.sampled_from([ImagePart, AudioPart, FilePart]))
    media_type = draw(st.sampled_from(_TYPES[_KINDS[kind]]))
    places: list[dict[str, Any]] = [{"data": base64.b64encode(mark.encode()).decode()}]
    if kind is not AudioPart:
        places.append({"url": f"https://example.org/{mark}"})
    if kind is FilePart:
        places.append({"file_id": f"file-{mark}"})
    part: Part = kind(**draw(st.sampled_from(places)), media_type=media_type)
    return part


def _part(role: Role, mark: str) -> st.SearchStrategy[Part]:
    whole: list[st.SearchStrategy[Part]] = [st.just(TextPart(mark)), _media(mark)]
    if role is Role.ASSISTANT:
        whole += [
            st.just(ReasoningPart(text=mark)),
            st.just(RefusalPart(mark)),
            st.just(ToolCall(id=mark, name="f", arguments={"x": 1})),
            st.just(ToolCall(id=mark, name="f", raw_arguments="{broken")),
            st.just(OtherPart(data={"type": "strange", "mark": mark})),
        ]
    return st.one_of(whole)


@st.composite
def conversations(draw: st.DrawFn) -> list[SessionMessage]:
    """Return messages of any role and kind, each part with a mark of its own in it, by which it is found again."""
    numbers = count()
    told: list[SessionMessage] = []
    for at in range(draw(st.integers(1, 4))):
        role = draw(st.sampled_from([Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.TOOL]))
        parts = [draw(_part(role, _mark(next(numbers)))) for _ in range(draw(st.integers(1, 3)))]
        if role is Role.TOOL:
            parts = [part for part in parts if part.type in _MEDIA]
            parts.insert(0, ToolResult(tool_call_id="c1", content=_mark(next(numbers)), name="f"))
        kind = draw(st.sampled_from(list(MessageKind)[:2])) if role is Role.SYSTEM else MessageKind.SAID
        told.append(SessionMessage(role=role, parts=parts, kind=kind, message_id=f"m{at}"))
    return told


def check_report(format: ItemFormat[Any], told: list[SessionMessage], dump: Callable[[Any], Any]) -> None:
    """Assert that what crosses is there, what is dropped is not, and of what is converted the words or a note.

    Args:
        format: Which.
        told: The conversation.
        dump: An item as JSON.
    """
    reading = read_as(format, told, session_id="s")
    crossing = reading.report.crossing
    converted = Counter((note.message_id, note.part) for note in crossing.converted)
    dropped = Counter((note.message_id, note.part) for note in crossing.dropped)
    crossed: Counter[str] = Counter()
    for row in reading.rows:
        given = json.dumps([dump(item) for item in row.items], default=str)
        for kind, whole in Counter(part.type for part in row.message.parts).items():
            key = (row.message.message_id, kind)
            there = sum(_is_in(given, part) for part in row.message.parts if part.type == kind)
            changed = converted.pop(key, 0)
            as_they_are = whole - changed - dropped.pop(key, 0)
            assert as_they_are <= there <= as_they_are + changed, (key, row.message.role, row.message.kind)
            assert there == as_they_are + changed or (kind in _MEDIA and "was here" in given)
            crossed[kind] += as_they_are
    assert reading.report.messages == len(told)
    assert (converted, dropped, +crossed) == (Counter(), Counter(), Counter(crossing.crossed))


def _mark(number: int) -> str:
    return f"mark{number:04d}"


def _is_in(given: str, part: Part) -> bool:
    match part:
        case TextPart() | ReasoningPart() | RefusalPart():
            return part.text in given
        case ToolCall():
            return part.id in given
        case ToolResult():
            return part.content in given
        case ImagePart() | AudioPart() | FilePart():
            return any(place in given for place in (part.data, part.url, getattr(part, "file_id", None)) if place)
        case _:
            return str(part.data["mark"]) in given
