"""Content parts: JSON there and back, wrong ones refused by name, nothing said in a repr."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
    part_from_json,
    part_to_json,
    parts_from_json,
    plain_mapping,
    text_of,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
MAYBE = st.none() | TEXT
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
PARTS: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, TEXT),
    st.builds(RefusalPart, TEXT),
    st.builds(ReasoningPart, text=TEXT),
    st.builds(ImagePart, url=MAYBE, data=MAYBE, media_type=MAYBE, detail=MAYBE),
    st.builds(FilePart, url=MAYBE, data=MAYBE, file_id=MAYBE, name=MAYBE, media_type=MAYBE),
    st.builds(AudioPart, url=MAYBE, data=MAYBE, media_type=MAYBE, transcript=MAYBE),
    st.builds(ToolCall, id=TEXT, name=TEXT, arguments=OBJECT, raw_arguments=MAYBE),
    st.builds(ToolResult, tool_call_id=TEXT, content=TEXT, is_error=st.booleans(), name=MAYBE),
    st.builds(OtherPart, data=OBJECT),
)


@given(PARTS)
def test_json_leads_back_to_the_same_part(part: Part) -> None:
    data = json.loads(json.dumps(part_to_json(part)))
    assert part_from_json(data) == part
    assert type(part_from_json(data)) is type(part)
    assert None not in [value for value in data.values() if value is None]


@given(st.lists(PARTS))
def test_the_text_is_what_a_reader_sees(parts: list[Part]) -> None:
    seen = [part.text for part in parts if isinstance(part, TextPart | RefusalPart)]
    assert text_of(parts) == "".join(seen)
    assert parts_from_json(map(part_to_json, parts)) == parts


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "'type' must be one of"),
        ({"type": "video"}, "'type' must be one of text, image"),
        ({"type": None}, "'type' must be one of"),
        ({"type": "text"}, "required field is missing"),
        ({"type": "text", "text": 5}, "'text' must be of type str, not int"),
        ({"type": "text", "text": None}, "'text' must be of type str, not NoneType"),
        ({"type": "text", "text": "x", "bold": True}, "unknown field 'bold'"),
        ({"type": "text", 5: "x"}, "unknown field"),
        ({"type": "image", "url": ["x"]}, "'url' must be of type"),
        ({"type": "tool_call", "id": 1, "name": "f"}, "'id' must be of type str"),
        ({"type": "tool_call", "id": "1", "name": "f", "arguments": "{}"}, "'arguments' must be of type dict"),
        ({"type": "tool_result", "tool_call_id": "1", "is_error": "no"}, "'is_error' must be of type bool"),
        ({"type": "tool_result"}, "required field is missing"),
        ({"type": "other", "data": []}, "'data' must be of type dict"),
    ],
)
def test_a_wrong_part_is_refused_by_name(data: dict[Any, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message.replace("[", r"\[")):
        part_from_json(data)


@given(st.dictionaries(st.sampled_from(["type", "text", "url", "id", "name", "arguments", "data"]), JSON))
def test_whatever_comes_is_a_part_or_refused(data: dict[str, Any]) -> None:
    try:
        part = part_from_json(data)
    except InvalidInputError:
        return
    assert part_from_json(part_to_json(part)) == part


def test_nothing_said_shows() -> None:
    said = "canary"
    parts: list[Part] = [
        TextPart(said),
        RefusalPart(said),
        ReasoningPart(text=said),
        ImagePart(url=said, data=said),
        FilePart(url=said, data=said, name=said),
        AudioPart(url=said, data=said, transcript=said),
        ToolCall(id="1", name="f", arguments={said: said}, raw_arguments=said),
        ToolResult(tool_call_id="1", content=said),
        OtherPart(data={said: said}),
    ]
    assert said not in repr(parts)
    assert all(fields(part) for part in parts)


NO_JSON: list[Any] = [{1: 2}, {"a": object()}, {"a": float("nan")}, {"a": float("inf")}, {"a": {1, 2}}, [], "x", 5]


@pytest.mark.parametrize("value", NO_JSON)
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^metadata must"):
        plain_mapping(value, field="metadata")


def test_circles_and_depths_are_refused() -> None:
    circle: dict[str, Any] = {}
    circle["again"] = circle
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"in": deep}
    for value in (circle, deep):
        with pytest.raises(InvalidInputError, match=r"^metadata must"):
            plain_mapping(value, field="metadata")
    while deep:
        deep = deep["in"]


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(InvalidInputError, match=r"^metadata holds half of a surrogate pair"):
        plain_mapping({"a": ["\ud800"]}, field="metadata")


@given(OBJECT)
def test_a_plain_mapping_is_a_deep_copy(value: dict[str, Any]) -> None:
    before, copied = deepcopy(value), plain_mapping(value, field="x")
    assert copied == value
    for item in copied.values():
        if isinstance(item, dict | list):
            item.clear()
    assert value == before
