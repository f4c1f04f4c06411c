"""Items of the SDK as rows, and rows as items."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import SessionMessage
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
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions_frameworks.formats import message_of, read_as, restored
from langswarm_sessions_frameworks.openai_agents.items import Item, ItemsFormat, grouped

FORMAT = ItemsFormat()
PNG = "iVBORw0KGgo="


def text(content: str, role: str = "assistant") -> Item:
    block: Any = {"type": "output_text", "text": content, "annotations": []}
    return {"type": "message", "role": role, "id": "msg_1", "status": "completed", "content": [block]}


def call(call_id: str, arguments: str = '{"city": "Rome"}') -> Item:
    return {"type": "function_call", "call_id": call_id, "name": "weather", "arguments": arguments}


def output(call_id: str, value: Any = "sun") -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": value}


REASONING: Item = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
IMAGE: Item = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "low"}


@pytest.mark.parametrize(
    ("items", "role", "parts"),
    [
        ([{"role": "user", "content": "hi"}], Role.USER, [TextPart("hi")]),
        ([{"role": "developer", "content": "be brief"}], Role.SYSTEM, [TextPart("be brief")]),
        (
            [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "see"}, IMAGE]}],
            Role.USER,
            [TextPart("see"), ImagePart(data=PNG, media_type="image/png", detail="low")],
        ),
        (
            [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1", "filename": "a.pdf"}]}],
            Role.USER,
            [FilePart(file_id="file-1", name="a.pdf")],
        ),
        (
            [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "QQ==", "format": "mp3"}}]}],
            Role.USER,
            [AudioPart(data="QQ==", media_type="audio/mp3")],
        ),
        (
            [REASONING, text("Let me see."), call("c1"), call("c2", "not json")],
            Role.ASSISTANT,
            [
                ReasoningPart(text="hm"),
                TextPart("Let me see."),
                ToolCall(id="c1", name="weather", arguments={"city": "Rome"}),
                ToolCall(id="c2", name="weather", raw_arguments="not json"),
            ],
        ),
        ([{"role": "assistant", "content": "plain"}], Role.ASSISTANT, [TextPart("plain")]),
        (
            [{**text(""), "content": [{"type": "refusal", "refusal": "no"}]}],
            Role.ASSISTANT,
            [RefusalPart("no")],
        ),
        ([output("c1")], Role.TOOL, [ToolResult(tool_call_id="c1", content="sun")]),
        (
            [output("c1", [{"type": "input_text", "text": "a map"}, IMAGE])],
            Role.TOOL,
            [
                ToolResult(tool_call_id="c1", content="a map"),
                ImagePart(data=PNG, media_type="image/png", detail="low"),
            ],
        ),
        (
            [{"type": "custom_tool_call", "call_id": "c3", "name": "grep", "input": "TODO"}],
            Role.ASSISTANT,
            [ToolCall(id="c3", name="grep", raw_arguments="TODO")],
        ),
        (
            [{"type": "shell_call", "call_id": "c4", "action": {"commands": ["ls"]}, "status": "completed"}],
            Role.ASSISTANT,
            [ToolCall(id="c4", name="shell", arguments={"action": {"commands": ["ls"]}})],
        ),
        (
            [{"type": "shell_call_output", "call_id": "c4", "output": [{"stdout": "a", "outcome": {"exit_code": 0}}]}],
            Role.TOOL,
            [ToolResult(tool_call_id="c4", content='[{"stdout": "a", "outcome": {"exit_code": 0}}]')],
        ),
        (
            [{"type": "web_search_call", "id": "ws_1", "status": "completed"}],
            Role.ASSISTANT,
            [OtherPart(data={"type": "web_search_call", "id": "ws_1", "status": "completed"})],
        ),
    ],
)
def test_items_are_understood_and_come_back_as_they_were(items: list[Item], role: Role, parts: list[Part]) -> None:
    message = message_of(FORMAT, items)
    assert (message.role, message.parts) == (role, parts)
    assert restored(FORMAT, message) == items


def test_an_edited_row_says_what_it_says_by_now() -> None:
    message = message_of(FORMAT, [{"role": "user", "content": "my card is 1234"}])
    message.content = "my card is ****"
    message.align()
    assert restored(FORMAT, message) is None
    reading = read_as(FORMAT, [message], session_id="s")
    assert reading.items == [{"type": "message", "role": "user", "content": "my card is ****"}]


def test_what_an_answer_consists_of_stays_together() -> None:
    question: Item = {"role": "user", "content": "hi"}
    sequence = [question, REASONING, text("a"), call("c1"), output("c1"), REASONING, text("b"), text("c"), question]
    assert [len(group) for group in grouped(sequence)] == [1, 3, 1, 2, 1, 1]
    assert [item for group in grouped(sequence) for item in group] == sequence


def test_calls_and_what_is_said_after_them_stay_together() -> None:
    assert [len(group) for group in grouped([call("c1"), text("meanwhile"), call("c2"), output("c1")])] == [3, 1]


def test_messages_of_other_origin_become_items_and_the_report_tells_what_was_lost() -> None:
    stored = [
        SessionMessage(role=Role.SYSTEM, content="told", kind=MessageKind.INSTRUCTIONS, message_id="m0"),
        SessionMessage(role=Role.SYSTEM, content="a rule", message_id="m1"),
        SessionMessage(
            role=Role.USER,
            message_id="m2",
            parts=[TextPart("see"), ImagePart(url="https://example.org/a.png"), AudioPart(data="QQ==")],
        ),
        SessionMessage(
            role=Role.ASSISTANT,
            message_id="m3",
            parts=[ReasoningPart(text="hm"), TextPart("yes"), ToolCall(id="c1", name="f"), OtherPart(data={"x": 1})],
        ),
        SessionMessage(role=Role.TOOL, message_id="m4", parts=[ToolResult(tool_call_id="c1", content="done")]),
        SessionMessage(role=Role.ASSISTANT, message_id="m5", parts=[RefusalPart("no")]),
    ]
    reading = read_as(FORMAT, stored, session_id="s")
    assert reading.items == [
        {"type": "message", "role": "system", "content": "a rule"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "detail": "auto", "image_url": "https://example.org/a.png"},
                {"type": "input_text", "text": "[A recording was here that this model cannot be given.]"},
            ],
        },
        {"type": "message", "role": "assistant", "content": "yes"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "done"},
        {"type": "message", "role": "assistant", "content": "no"},
    ]
    report = reading.report
    assert not report.is_lossless
    assert (report.messages, report.restored) == (6, 0)
    assert report.crossing.crossed == {"text": 3, "image": 1, "tool_call": 1, "tool_result": 1}
    assert [(note.message_id, note.part) for note in report.crossing.converted] == [("m2", "audio"), ("m5", "refusal")]
    assert [(note.message_id, note.part) for note in report.crossing.dropped] == [
        ("m0", "text"),
        ("m3", "reasoning"),
        ("m3", "other"),
    ]
    assert "hm" not in repr(report)
    assert "dropped: reasoning of m3" in str(report)


def test_reasoning_of_an_openai_session_goes_back_encrypted_with_what_it_led_to() -> None:
    items = [{**REASONING, "encrypted_content": "xyz"}, text("so")]
    payload = {"provider": "openai", "model": "gpt-5", "items": items}
    message = SessionMessage(
        role=Role.ASSISTANT, parts=[ReasoningPart(text="hm"), TextPart("so")], provider_payload=payload
    )
    reading = read_as(FORMAT, [message], session_id="s")
    assert [item["type"] for item in reading.items] == ["reasoning", "message"]
    assert reading.report.is_lossless
