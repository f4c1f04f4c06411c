"""Messages: content, parts and tool calls agree; what callers pass is taken or refused by name."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    TurnState,
    as_message,
    as_role,
    as_tool_messages,
    text_of,
)

TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
CALLS = st.builds(ToolCall, id=TEXT, name=TEXT)
PARTS: st.SearchStrategy[list[Part]] = st.lists(
    st.one_of(st.builds(TextPart, TEXT), st.builds(RefusalPart, TEXT), CALLS, st.builds(ImagePart, url=TEXT)),
    max_size=6,
)


def agree(message: SessionMessage) -> bool:
    calls = [part for part in message.parts if isinstance(part, ToolCall)]
    return text_of(message.parts) == message.content and calls == message.tool_calls


def other_parts(parts: list[Part]) -> list[Part]:
    return [part for part in parts if isinstance(part, ImagePart)]


@given(PARTS)
def test_parts_alone_are_kept_as_they_are(parts: list[Part]) -> None:
    message = SessionMessage(role=Role.ASSISTANT, parts=list(parts))
    assert message.parts == parts
    assert agree(message)


@given(PARTS, TEXT, st.lists(CALLS, max_size=3))
def test_after_an_edit_the_parts_follow(parts: list[Part], content: str, calls: list[ToolCall]) -> None:
    message = SessionMessage(role=Role.ASSISTANT, parts=list(parts))
    message.content = content
    message.align()
    assert agree(message)
    assert message.content == content
    message.tool_calls = list(calls)
    message.align()
    assert agree(message)
    assert message.tool_calls == calls
    assert other_parts(message.parts) == other_parts(parts)
    before = list(message.parts)
    message.align()
    assert message.parts == before


@given(TEXT, PARTS, st.lists(CALLS, max_size=3))
def test_whatever_it_is_built_with_agrees(content: str, parts: list[Part], calls: list[ToolCall]) -> None:
    message = SessionMessage(role=Role.ASSISTANT, content=content, parts=list(parts), tool_calls=list(calls))
    assert agree(message)
    assert message.content == (content or text_of(parts))


def test_edited_text_stays_between_its_neighbours() -> None:
    image, call = ImagePart(url="u"), ToolCall(id="1", name="f")
    message = SessionMessage(role=Role.USER, parts=[image, TextPart("a"), call, TextPart("b")])
    message.content = "new"
    message.align()
    assert message.parts == [image, TextPart("new"), call]


def test_strings_become_enums_and_times_utc() -> None:
    message = SessionMessage(
        role="user",  # type: ignore[arg-type]
        content="hi",
        status="failed",  # type: ignore[arg-type]
        kind="said",  # type: ignore[arg-type]
        timestamp=datetime(2026, 1, 1),
    )
    assert message.role is Role.USER
    assert message.status is TurnState.FAILED
    assert message.kind is MessageKind.SAID
    assert message.timestamp.tzinfo is UTC


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("role", value) for value in ("bot", "", None, 5, ["user"])],
        *[("status", value) for value in ("done", None, 1)],
        *[("kind", value) for value in ("x", None)],
        *[("timestamp", value) for value in ("2026-01-01", 5, None, datetime.min)],
        *[("content", value) for value in (5, None, b"x", ["x"])],
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    fields: dict[str, Any] = {"role": "user", "content": "hi", field: value}
    with pytest.raises(InvalidInputError, match=f"^{field} must"):
        SessionMessage(**fields)


def test_nothing_said_shows() -> None:
    message = SessionMessage(
        role=Role.ASSISTANT,
        content="canary",
        metadata={"canary": 1},
        provider_metadata={"canary": 1},
        provider_payload={"canary": 1},
        tool_calls=[ToolCall(id="1", name="f", arguments={"canary": 1})],
    )
    assert "canary" not in repr(message)
    assert pickle.loads(pickle.dumps(message)) == message


# What callers pass as content


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_text_becomes_one_part(text: str) -> None:
    message = as_message(text, metadata={"a": 1})
    assert (message.role, message.content, message.parts) == (Role.USER, text, [TextPart(text)])
    assert message.metadata == {"a": 1}


def test_parts_in_every_form() -> None:
    message = as_message(
        [
            "a",
            TextPart("b"),
            {"type": "text", "text": "c"},
            {"type": "image_url", "image_url": {"url": "https://a/u", "detail": "low"}},
            {"type": "image_url", "image_url": "data:v"},
        ],
        role="assistant",
    )
    assert message.content == "abc"
    assert message.parts[3:] == [ImagePart(url="https://a/u", detail="low"), ImagePart(url="data:v")]
    assert message.role is Role.ASSISTANT
    assert as_message(ImagePart(url="https://a/u")).parts == [ImagePart(url="https://a/u")]


WRONG_CONTENT: list[tuple[Any, str]] = [
    ("", "content must not be empty"),
    ([], "content must not be empty"),
    ([""], "content must not be empty"),
    ([{"type": "text", "text": ""}], "content must not be empty"),
    (SessionMessage(role=Role.USER), "content must not be empty"),
    (None, "content must be a string"),
    (5, "content must be a string"),
    (b"x", "content must be a string"),
    ({"type": "text", "text": "x"}, "content must be a string"),
    ([5], "content: a part must be"),
    ([None], "content: a part must be"),
    ([{"type": "video"}], "content part: 'type' must be"),
    ([{"type": "image_url"}], "content: a part of type 'image_url'"),
    ([{"type": "image_url", "image_url": {}}], "content: a part of type 'image_url'"),
    ([{"type": "image_url", "image_url": {"url": 5}}], "content: a part of type 'image_url'"),
    ("\ud800", "content holds half of a surrogate pair"),
    (["ok", "\udfff"], "content holds half of a surrogate pair"),
    ([ImagePart(url="\ud800")], r"parts\[0\] holds half of a surrogate pair"),
    (["look", ImagePart()], r"parts\[1\] holds no image; give it url or data\."),
    ([FilePart(name="a.pdf")], r"parts\[0\] holds no file; give it url, data or file_id\."),
    ([AudioPart(transcript="")], r"parts\[0\] holds no audio; give it url, data or transcript\."),
    ([ImagePart(url="file:///etc/passwd")], r"parts\[0\]\.url must begin with https://"),
    ([FilePart(url="/etc/passwd")], r"parts\[0\]\.url must begin with https://"),
    ([AudioPart(url="https:")], r"parts\[0\]\.url must begin with https://"),
    ([ImagePart(data="aGk=")], r"parts\[0\]\.media_type is missing"),
    ([ImagePart(data="aGk=", media_type="nonsense")], r"parts\[0\]\.media_type is none"),
    ([FilePart(url="https://a/b", media_type="")], r"parts\[0\]\.media_type is none"),
    (["ok", OtherPart(data={"a": object()})], r"parts\[1\] must hold only what JSON can"),
    (SessionMessage(role=Role.USER, content="x", metadata={"a": object()}), "metadata must hold"),
    (SessionMessage(role=Role.USER, content="x", provider_metadata={"a": {1}}), "provider_metadata must hold"),
    (SessionMessage(role=Role.USER, content="x", provider_payload={"a": {1}}), "provider_payload must hold"),
]


@pytest.mark.parametrize(("content", "message"), WRONG_CONTENT)
def test_wrong_content_is_refused_by_name(content: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        as_message(content)


@pytest.mark.parametrize("metadata", [[], "", 0, "x", {1: 2}, {"a": object()}, {"a": float("nan")}])
def test_wrong_metadata_is_refused_by_name(metadata: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^metadata must"):
        as_message("x", metadata=metadata)


def test_wrong_role_is_refused_by_name() -> None:
    for value in ("bot", None, 5):
        with pytest.raises(InvalidInputError, match="role must be one of user, assistant, system, tool"):
            as_role(value)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="role must be one of"):
        as_message("x", role="bot")


def test_a_message_is_copied_without_what_storage_gave_it() -> None:
    given = SessionMessage(
        role=Role.ASSISTANT,
        content="x",
        message_id="m",
        session_id="s",
        seq=5,
        turn_id="t",
        status=TurnState.FAILED,
        metadata={"a": 1, "b": 1},
        provider_payload={"p": 1},
    )
    copied = as_message(given, metadata={"b": 2})
    copied.metadata["new"] = 1
    copied.parts.clear()
    assert given.metadata == {"a": 1, "b": 1}
    assert given.parts == [TextPart("x")]
    assert copied.role is Role.ASSISTANT
    assert copied.metadata == {"a": 1, "b": 2, "new": 1}
    assert (copied.message_id, copied.provider_payload, copied.timestamp) == ("m", {"p": 1}, given.timestamp)
    assert (copied.session_id, copied.seq, copied.turn_id) == ("", None, None)
    assert copied.status is TurnState.COMPLETED


def test_a_message_keeps_its_role_and_no_other_is_given_to_it() -> None:
    given = SessionMessage(role=Role.ASSISTANT, content="x")
    assert as_message(given).role is as_message(given, role="assistant").role is Role.ASSISTANT
    assert as_message("x").role is Role.USER
    with pytest.raises(InvalidInputError, match="role is user, but the message says assistant; make them agree"):
        as_message(given, role="user")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"parts": 5}, "parts must be a list of content parts"),
        ({"parts": [{"type": "text", "text": "x"}]}, "parts must be a list of content parts"),
        ({"tool_calls": "x"}, r"tool_calls must be a list of ToolCall"),
        ({"message_id": None}, "message_id must be a string"),
        ({"provider_message_id": 5}, "provider_message_id must be a string"),
    ],
)
def test_fields_of_wrong_types_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        SessionMessage(role=Role.USER, **fields)
    edited = SessionMessage(role=Role.USER, content="x")
    for name, value in fields.items():
        setattr(edited, name, value)
    with pytest.raises(InvalidInputError, match=message):
        as_message(edited)


# Tool results


def test_tool_results_in_every_form() -> None:
    result = ToolResult(tool_call_id="1", content="a")
    message = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="4")])
    made = as_tool_messages(
        [
            result,
            {"tool_call_id": "2", "content": {"n": [1]}, "is_error": True, "name": "f"},
            {"call_id": "3", "output": "c"},
            message,
        ]
    )
    assert [one.tool_results[0].tool_call_id for one in made] == ["1", "2", "3", "4"]
    assert {one.role for one in made} == {Role.TOOL}
    assert made[1].tool_results == [ToolResult(tool_call_id="2", content='{"n": [1]}', is_error=True, name="f")]
    assert made[2].tool_results[0].content == "c"
    assert made[3] is message


def circle() -> list[Any]:
    items: list[Any] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([], "results must be a list"),
        ({"tool_call_id": "1", "content": "x"}, "results must be a list"),
        ("x", "results must be a list"),
        (None, "results must be a list"),
        ([5], r"results\[0\] must be a ToolResult"),
        ([{"tool_call_id": "1"}, {"content": "x"}], r"results\[1\] needs the 'tool_call_id'"),
        ([{"tool_call_id": "", "content": "x"}], r"results\[0\] needs the 'tool_call_id'"),
        ([{"tool_call_id": 5, "content": "x"}], r"results\[0\] needs the 'tool_call_id'"),
        ([{"tool_call_id": "1", "name": 5}], r"results\[0\]: name must"),
        ([{"tool_call_id": "1", "content": circle()}], r"results\[0\]: content must"),
        ([{"tool_call_id": "1", "content": "\ud800"}], r"results\[0\] holds half"),
        ([ToolResult(tool_call_id="\ud800")], r"results\[0\] holds half"),
        ([SessionMessage(role=Role.USER, content="x")], r"results\[0\] must have role 'tool'"),
        ([SessionMessage(role=Role.TOOL, content="x")], r"results\[0\] must have role 'tool'"),
    ],
)
def test_wrong_tool_results_are_refused_by_name(results: Any, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        as_tool_messages(results)
