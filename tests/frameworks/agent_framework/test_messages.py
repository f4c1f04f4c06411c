"""Agent Framework's messages as rows, and rows of any origin as its messages."""

from __future__ import annotations

import base64
import json
from typing import Any

from agent_framework import Content, Message

from langswarm_sessions import Role, SessionManager
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions_frameworks.agent_framework import AGENT_FRAMEWORK, SessionHistoryProvider
from langswarm_sessions_frameworks.agent_framework.repair import with_interrupted
from langswarm_sessions_frameworks.formats import message_of, read_as, restored

PIXEL = base64.b64encode(b"\x89PNG").decode()
CALL = Content.from_function_call("c1", "weather", arguments='{"city": "Oslo"}')

EVERY_KIND = [
    Content.from_text("hi", annotations=[{"type": "citation", "title": "t", "url": "https://x.test"}]),
    Content.from_text_reasoning(text="hm", protected_data="sealed"),
    Content.from_data(b"\x89PNG", "image/png", name="dot.png"),
    Content.from_uri("https://x.test/cat.png", media_type="image/png"),
    Content.from_error(message="no", error_code="418"),
    CALL,
    Content.from_function_call("c2", "weather", arguments={"city": "Rome"}),
    Content.from_function_call("c3", "weather", arguments="not json"),
    Content.from_function_result("c1", result=[Content.from_text("sunny"), Content.from_data(b"\x89PNG", "image/png")]),
    Content.from_function_result("c2", result="none", exception="Traceback: secret"),
    Content.from_usage({"input_token_count": 3, "output_token_count": 4, "total_token_count": 7}),
    Content.from_hosted_file("file-1"),
    Content.from_hosted_vector_store("vs-1"),
    Content.from_function_approval_request("c1", CALL),
]


async def test_what_was_stored_comes_back_as_it_was(manager: SessionManager) -> None:
    provider = SessionHistoryProvider(manager)
    messages = [
        Message(role, [content], author_name="guide", message_id=f"{role}-{at}", additional_properties={"deep": [at]})
        for at, content in enumerate(EVERY_KIND)
        for role in ("user", "assistant", "tool", "system", "critic")
    ]
    await provider.save_messages("s", messages)
    back = await provider.get_messages("s")
    assert [message.to_dict() for message in back] == [message.to_dict() for message in messages]
    assert (await provider.loss_report("s")).is_lossless


def test_what_is_changed_in_what_was_read_does_not_reach_the_row() -> None:
    row = message_of(AGENT_FRAMEWORK, [Message("user", ["hi"], additional_properties={"deep": {"a": [1]}})])
    (back,) = read_as(AGENT_FRAMEWORK, [row], session_id="s").items
    back.additional_properties["deep"]["a"].append(2)
    (again,) = read_as(AGENT_FRAMEWORK, [row], session_id="s").items
    assert again.additional_properties == {"deep": {"a": [1]}}


def test_a_row_that_was_edited_is_built_from_what_it_says_now() -> None:
    row = message_of(AGENT_FRAMEWORK, [Message("user", ["hi"], additional_properties={"x": 1})])
    assert restored(AGENT_FRAMEWORK, row) is not None
    row.content = "hello"
    row.align()
    (built,) = read_as(AGENT_FRAMEWORK, [row], session_id="s").items
    assert (built.text, built.additional_properties) == ("hello", {})


def understood(*contents: Content, role: str = "assistant") -> list[Part]:
    return message_of(AGENT_FRAMEWORK, [Message(role, list(contents))]).parts


def test_contents_are_understood() -> None:
    assert understood(Content.from_text("no", additional_properties={"model_output_kind": "refusal"})) == [
        RefusalPart("no")
    ]
    assert understood(Content.from_text_reasoning(text="hm")) == [ReasoningPart(text="hm")]
    assert understood(*EVERY_KIND[5:8]) == [
        ToolCall(id="c1", name="weather", arguments={"city": "Oslo"}),
        ToolCall(id="c2", name="weather", arguments={"city": "Rome"}),
        ToolCall(id="c3", name="weather", raw_arguments="not json"),
    ]
    assert understood(*EVERY_KIND[8:10], role="tool") == [
        ToolResult(tool_call_id="c1", content="sunny"),
        ImagePart(data=PIXEL, media_type="image/png"),
        ToolResult(tool_call_id="c2", content="none", is_error=True),
    ]
    assert understood(Content.from_uri("https://x.test/a.mp3", media_type="audio/mpeg")) == [
        AudioPart(url="https://x.test/a.mp3", media_type="audio/mpeg")
    ]
    assert understood(Content.from_data(b"%PDF", "application/pdf", name="a.pdf")) == [
        FilePart(data=base64.b64encode(b"%PDF").decode(), media_type="application/pdf", name="a.pdf")
    ]
    assert understood(Content.from_hosted_file("file-1")) == [FilePart(file_id="file-1")]
    assert isinstance(understood(Content.from_hosted_vector_store("vs-1"))[0], OtherPart)


def test_usage_is_kept_with_an_answer() -> None:
    row = message_of(AGENT_FRAMEWORK, [Message("assistant", ["hi", EVERY_KIND[10]], message_id="r1")])
    assert row.parts == [TextPart("hi")]
    assert row.provider_metadata == {"usage": {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}}
    assert row.provider_message_id == "r1"


def test_no_secret_of_a_tool_s_failure_is_stored() -> None:
    row = message_of(AGENT_FRAMEWORK, [Message("tool", [EVERY_KIND[9]])])
    assert "secret" not in json.dumps(row.provider_payload)


def row(role: Role, *parts: Part, **fields: Any) -> SessionMessage:
    return SessionMessage(role=role, parts=list(parts), message_id="m1", **fields)


def test_calls_nobody_answers_any_more_are_told_as_interrupted() -> None:
    asked = Content.from_function_call("c2", "weather")
    history = [
        Message("assistant", [CALL, asked, Content.from_function_call("c3", "weather")]),
        Message("assistant", [Content.from_function_approval_request("a1", asked)]),
    ]
    answer = Message("tool", [Content.from_function_result("c3", result="sunny")])
    told = with_interrupted(history, [answer])
    assert [
        content.call_id for message in told for content in message.contents if content.type == "function_result"
    ] == ["c1"]
    assert told[1].role == "tool"
    assert told[1].contents[0].exception is not None


class TestRowsOfOtherOrigin:
    def built(self, message: SessionMessage) -> list[Message]:
        return read_as(AGENT_FRAMEWORK, [message], session_id="s").items

    def notes(self, message: SessionMessage) -> tuple[list[str], list[str]]:
        crossing = read_as(AGENT_FRAMEWORK, [message], session_id="s").report.crossing
        return [note.part for note in crossing.converted], [note.part for note in crossing.dropped]

    def test_an_answer_with_calls(self) -> None:
        message = row(
            Role.ASSISTANT,
            ReasoningPart(text="hm"),
            TextPart("Let me see."),
            ToolCall(id="c1", name="weather", arguments={"city": "Oslo"}),
            ToolCall(id="c2", name="weather", raw_arguments="{broken"),
            OtherPart(data={"type": "web_search"}),
            metadata={"name": "guide"},
        )
        (built,) = self.built(message)
        assert (built.role, built.author_name, built.message_id) == ("assistant", "guide", "m1")
        assert [content.type for content in built.contents] == ["text", "function_call", "function_call"]
        assert [content.arguments for content in built.contents[1:]] == [{"city": "Oslo"}, "{broken"]
        assert self.notes(message) == ([], ["reasoning", "other"])

    def test_results_with_a_picture_beside_them(self) -> None:
        message = row(
            Role.TOOL,
            ToolResult(tool_call_id="c1", content="sunny"),
            ToolResult(tool_call_id="c2", content="gone", is_error=True),
            ImagePart(data=PIXEL, media_type="image/png"),
        )
        (built,) = self.built(message)
        first, second = built.contents
        assert (first.call_id, first.result, first.exception) == ("c1", "sunny", None)
        assert (second.call_id, second.result, second.exception) == ("c2", "gone", "gone")
        assert [item.type for item in second.items or ()] == ["text", "data"]
        assert self.notes(message) == (["image"], [])

    def test_media(self) -> None:
        message = row(
            Role.USER,
            ImagePart(url="https://x.test/cat.png"),
            AudioPart(data="UklGRg==", media_type="audio/wav"),
            FilePart(url="https://x.test/a.pdf", name="a.pdf"),
            FilePart(file_id="file-abc"),
        )
        (built,) = self.built(message)
        assert [content.type for content in built.contents] == ["uri", "data", "uri", "text"]
        assert built.contents[3].text == "[A file was here that this model cannot be given.]"
        assert self.notes(message) == (["file"], [])

    def test_a_refusal_is_told_as_text(self) -> None:
        message = row(Role.ASSISTANT, RefusalPart("No."))
        assert [built.text for built in self.built(message)] == ["No."]
        assert self.notes(message) == (["refusal"], [])

    def test_instructions_are_left_to_the_agent(self) -> None:
        message = row(Role.SYSTEM, TextPart("Be brief."), kind=MessageKind.INSTRUCTIONS)
        assert self.built(message) == []
        assert self.notes(message) == ([], ["text"])

    def test_nothing_is_made_of_what_cannot_be_said(self) -> None:
        assert self.built(row(Role.ASSISTANT, ReasoningPart(text="hm"))) == []

    def test_a_system_message_stays_one(self) -> None:
        assert [(built.role, built.text) for built in self.built(row(Role.SYSTEM, TextPart("Note")))] == [
            ("system", "Note")
        ]
