"""Messages of pydantic-ai as rows, and rows as its messages."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.usage import RequestUsage

from langswarm_sessions import SessionMessage
from langswarm_sessions.messages import AudioPart, ImagePart, MessageKind, ReasoningPart, Role, ToolCall, ToolResult
from langswarm_sessions.messages import TextPart as Said
from langswarm_sessions_frameworks.formats import read_as
from langswarm_sessions_frameworks.pydantic_ai.format import MessagesFormat, rows_of, whole_messages

FORMAT = MessagesFormat()
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PNG = BinaryContent(b"\x89PNG\xff\xfe", media_type="image/png")

REQUEST = ModelRequest(
    parts=[
        SystemPromptPart("Be kind.", timestamp=NOON),
        UserPromptPart(["look", ImageUrl("https://example.org/a.png"), PNG], timestamp=NOON),
    ],
    instructions="Be brief.",
    timestamp=NOON,
    run_id="run",
)
ANSWER = ModelResponse(
    parts=[
        ThinkingPart("hm", signature="s", provider_name="openai"),
        TextPart("Let me see."),
        ToolCallPart("weather", {"city": "Rome"}, "c1"),
        ToolCallPart("weather", '{"city": "Oslo"}', "c2"),
        ToolCallPart("weather", "not json", "c3"),
    ],
    usage=RequestUsage(input_tokens=3, output_tokens=2),
    model_name="gpt-5",
    provider_response_id="resp_1",
    timestamp=NOON,
)
RESULTS = ModelRequest(
    parts=[
        ToolReturnPart("weather", {"sky": "blue"}, "c1", timestamp=NOON, metadata={"private": 1}),
        ToolReturnPart("weather", ["a map", PNG], "c2", timestamp=NOON),
        ToolReturnPart("weather", "broken", "c3", timestamp=NOON, outcome="failed"),
        UserPromptPart("Well?", timestamp=NOON),
    ],
    timestamp=NOON,
)


def stored(message: ModelMessage) -> list[SessionMessage]:
    return rows_of(message, entry_id="e")


def test_each_who_speaks_in_a_request_has_a_row() -> None:
    system, prompt = stored(REQUEST)
    assert (system.role, system.content) == (Role.SYSTEM, "Be kind.")
    assert prompt.role is Role.USER
    assert prompt.parts == [
        Said("look"),
        ImagePart(url="https://example.org/a.png", media_type="image/png"),
        ImagePart(data=base64.b64encode(PNG.data).decode(), media_type="image/png"),
    ]
    assert [row.group_id for row in (system, prompt)] == ["e", "e"]


def test_an_answer_is_understood() -> None:
    (row,) = stored(ANSWER)
    assert (row.role, row.content, row.provider_message_id) == (Role.ASSISTANT, "Let me see.", "resp_1")
    assert row.tool_calls == [
        ToolCall(id="c1", name="weather", arguments={"city": "Rome"}),
        ToolCall(id="c2", name="weather", arguments={"city": "Oslo"}),
        ToolCall(id="c3", name="weather", raw_arguments="not json"),
    ]
    assert row.provider_metadata["model"] == "gpt-5"
    assert row.provider_metadata["usage"] == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    assert row.timestamp == NOON


def test_results_are_understood() -> None:
    one, two, three, prompt = stored(RESULTS)
    assert one.tool_results == [ToolResult(tool_call_id="c1", content='{"sky": "blue"}', name="weather")]
    assert two.tool_results == [ToolResult(tool_call_id="c2", content="a map", name="weather")]
    assert [part.type for part in two.parts] == ["tool_result", "image"]
    assert three.tool_results[0].is_error
    assert (prompt.role, prompt.content) == (Role.USER, "Well?")


def test_messages_come_back_whole() -> None:
    given: list[ModelMessage] = [REQUEST, ANSWER, RESULTS]
    rows = [row for at, message in enumerate(given) for row in rows_of(message, entry_id=f"e{at}")]
    reading = read_as(FORMAT, rows, session_id="s")
    back = whole_messages(reading.rows)
    assert [entry_id for entry_id, _ in back] == ["e0", "e1", "e2"]
    assert [FORMAT.dump(message) for _, message in back] == [FORMAT.dump(message) for message in given]
    assert reading.report.is_lossless


def test_messages_of_other_origin_are_told_and_the_report_says_what_was_lost() -> None:
    told = [
        SessionMessage(role=Role.SYSTEM, content="told", kind=MessageKind.INSTRUCTIONS, message_id="m0"),
        SessionMessage(role=Role.SYSTEM, content="a rule", message_id="m1", timestamp=NOON),
        SessionMessage(
            role=Role.USER,
            message_id="m2",
            timestamp=NOON,
            parts=[Said("see"), ImagePart(url="https://example.org/a.png"), AudioPart(data="QQ==")],
        ),
        SessionMessage(
            role=Role.ASSISTANT,
            message_id="m3",
            timestamp=NOON,
            parts=[ReasoningPart(text="hm"), Said("yes"), ToolCall(id="c1", name="f", arguments={"x": 1})],
        ),
        SessionMessage(
            role=Role.TOOL, message_id="m4", timestamp=NOON, parts=[ToolResult(tool_call_id="c1", content="done")]
        ),
    ]
    reading = read_as(FORMAT, told, session_id="s")
    sound = BinaryContent(b"A", media_type="audio/wav")
    assert reading.items == [
        ModelRequest(parts=[SystemPromptPart("a rule", timestamp=NOON)], timestamp=NOON),
        ModelRequest(
            parts=[UserPromptPart(["see", ImageUrl("https://example.org/a.png"), sound], timestamp=NOON)],
            timestamp=NOON,
        ),
        ModelResponse(parts=[TextPart("yes"), ToolCallPart("f", {"x": 1}, "c1")], timestamp=NOON),
        ModelRequest(parts=[ToolReturnPart("f", "done", "c1", timestamp=NOON)], timestamp=NOON),
    ]
    assert [(note.message_id, note.part) for note in reading.report.crossing.dropped] == [
        ("m0", "text"),
        ("m3", "reasoning"),
    ]
    assert reading.report.crossing.converted == ()
    assert read_as(FORMAT, told, session_id="s").items == reading.items
