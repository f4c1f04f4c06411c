"""What a chat model is given of a conversation: its own words as they came, others' as any model takes them."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

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
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions_langchain import from_langchain
from langswarm_sessions_langchain.provider.answers import completed_answer
from langswarm_sessions_langchain.provider.mapping import Speaker, given_messages
from tests.support.chat_model import judge

ME = Speaker(provider="mychat", model="m", chat_model="package.Chat/m")
ANOTHER = Speaker(provider="mychat", model="m", chat_model="package.Chat/other")


def say(role: Role, *parts: Part | str, **fields: Any) -> SessionMessage:
    return SessionMessage(role=role, parts=[TextPart(p) if isinstance(p, str) else p for p in parts], **fields)


def user(*parts: Part | str, **fields: Any) -> SessionMessage:
    return say(Role.USER, *parts, **fields)


def said_by(speaker: Speaker, message: AIMessage) -> SessionMessage:
    """Return a chat model's answer as it is stored."""
    return answer_message(completed_answer(message, speaker=speaker, names=["m"]))


def sent(*messages: SessionMessage, instructions: str | None = None) -> list[BaseMessage]:
    return given_messages(messages, instructions=instructions, speaker=ME)


THINKING = AIMessage(
    [
        {"type": "thinking", "thinking": "hm", "signature": "sig", "index": 0},
        {"type": "text", "text": "Hello.", "index": 1},
        {"type": "tool_use", "id": "toolu_1", "name": "clock", "input": {"zone": "UTC"}, "index": 2},
    ],
    tool_calls=[{"name": "clock", "args": {"zone": "UTC"}, "id": "toolu_1", "type": "tool_call"}],
    response_metadata={"model_provider": "anthropic", "stop_reason": "tool_use", "id": "msg_1"},
    id="msg_1",
)


def test_its_own_answers_come_back_as_they_came() -> None:
    told = sent(user("hi"), said_by(ME, THINKING), say(Role.TOOL, ToolResult(tool_call_id="toolu_1", content="noon")))
    answer = told[1]
    assert isinstance(answer, AIMessage)
    assert answer.content == THINKING.content
    assert answer.tool_calls == THINKING.tool_calls
    assert answer.response_metadata == {"model_provider": "anthropic", "stop_reason": "tool_use"}
    assert isinstance(told[2], ToolMessage)
    assert told[2].tool_call_id == "toolu_1"


@pytest.mark.parametrize("speaker", [ANOTHER, Speaker(provider="x", model="m", chat_model=ME.chat_model)])
def test_others_answers_come_as_text_and_calls(speaker: Speaker) -> None:
    answer = sent(user("hi"), said_by(speaker, THINKING))[1]
    assert answer == AIMessage("Hello.", tool_calls=THINKING.tool_calls)


def test_an_edited_answer_is_not_its_own_any_more() -> None:
    message = said_by(ME, THINKING)
    message.content = "Edited."
    message.align()
    assert sent(user("hi"), message)[1] == AIMessage("Edited.", tool_calls=THINKING.tool_calls)


def test_answers_of_other_providers_leave_reasoning_ids_and_blocks_behind() -> None:
    answer = say(
        Role.ASSISTANT,
        ReasoningPart(text="secret thoughts"),
        OtherPart(data={"type": "web_search_call", "id": "ws_1"}),
        "It is noon.",
        RefusalPart(" I will not say more."),
        ImagePart(url="https://h/a.png"),
        provider_message_id="msg_77",
        provider_metadata={"model": "gpt", "usage": {"input_tokens": 3}},
        provider_payload={"provider": "openai", "model": "gpt", "items": [{"type": "message"}]},
    )
    assert sent(user("time?"), answer)[1] == AIMessage(
        "It is noon. I will not say more.\n[An image was here that this model cannot be given.]"
    )


def test_what_openai_keeps_under_an_id_is_not_referred_to() -> None:
    own = AIMessage(
        [
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "thought"}]},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
            {"type": "reasoning", "id": "rs_3", "reasoning": "r", "extras": {"encrypted_content": "gBBB"}},
            {"type": "text", "text": "Hello.", "id": "msg_1", "phase": "final"},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
        ],
        tool_calls=[{"name": "f", "args": {}, "id": "call_1", "type": "tool_call"}],
        additional_kwargs={"reasoning": {"id": "rs_4", "summary": []}, "kept": 1},
        response_metadata={"id": "resp_1", "model_provider": "openai", "status": "completed"},
    )
    answer = sent(user("hi"), said_by(ME, own))[1]
    assert answer.content == [
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAA"},
        {"type": "reasoning", "id": "rs_3", "reasoning": "r", "extras": {"encrypted_content": "gBBB"}},
        {"type": "text", "text": "Hello.", "phase": "final"},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"},
    ]
    assert answer.additional_kwargs == {"kept": 1}
    assert "id" not in answer.response_metadata


def test_one_system_message_says_it_all() -> None:
    cached = from_langchain(SystemMessage([{"type": "text", "text": "Kept.", "cache_control": {"type": "ephemeral"}}]))
    told = sent(
        say(Role.SYSTEM, "Old instructions.", kind=MessageKind.INSTRUCTIONS),
        user("hi"),
        say(Role.SYSTEM, "From now on in French."),
        user("encore"),
        instructions="Be brief.",
    )
    assert told[0] == SystemMessage("Be brief.\n\nFrom now on in French.")
    assert [message.text for message in told[1:]] == ["hi", "encore"]
    assert sent(cached, user("hi"), instructions="Be brief.")[0].content == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Kept.", "cache_control": {"type": "ephemeral"}},
    ]


def test_users_content_names_and_ids() -> None:
    blocks: list[str | dict[Any, Any]] = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://h/a.png"}},
    ]
    told = sent(
        user("look", ImagePart(data="aGk=", media_type="image/png"), FilePart(url="https://h/a.pdf"), message_id="u1"),
        from_langchain(HumanMessage(blocks)),
        user(AudioPart(transcript="spoken")),
        user("hi", metadata={"name": "ada"}),
        user("hi", metadata={"name": "Ada, Countess"}),
    )
    assert told[0].content == [
        {"type": "text", "text": "look"},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
        {"type": "file", "url": "https://h/a.pdf"},
    ]
    assert told[0].id == "u1"
    assert told[1].content == blocks
    assert told[2].content == "spoken"
    assert [message.name for message in told[3:]] == ["ada", None]


def test_calls_and_results_keep_together_under_ids_that_every_model_takes() -> None:
    strange = "functions.clock:0"
    calls = [ToolCall(id=strange, name="clock"), ToolCall(id="b" * 60, name="clock"), ToolCall(id="ok_1", name="clock")]
    image = ImagePart(data="aGk=", media_type="image/png")
    told = sent(
        user("time?"),
        say(Role.ASSISTANT, *calls),
        say(
            Role.TOOL,
            ToolResult(tool_call_id="ok_1", content="13:00", is_error=True, name="clock"),
            ToolResult(tool_call_id=strange, content="12:00"),
        ),
        say(Role.TOOL, ToolResult(tool_call_id="b" * 60, content="chart"), image),
        user("again"),
        say(Role.ASSISTANT, ToolCall(id="ok_1", name="clock", raw_arguments='{"zone": "U')),
        say(Role.TOOL, ToolResult(tool_call_id="ok_1", content="not understood")),
    )
    judge(told)
    first, second = (message for message in told if isinstance(message, AIMessage))
    results = [message for message in told if isinstance(message, ToolMessage)]
    ids = [call["id"] for call in first.tool_calls]
    assert ids[2] == "ok_1"
    assert [result.tool_call_id for result in results] == ["ok_1", ids[0], ids[1], second.tool_calls[0]["id"]]
    assert (results[0].status, results[0].name, results[0].content) == ("error", "clock", "13:00")
    assert results[2].content == [
        {"type": "text", "text": "chart"},
        {"type": "image", "base64": "aGk=", "mime_type": "image/png"},
    ]
    assert second.tool_calls[0]["args"] == {}
    assert told == sent(*_same_again(calls, image))


def _same_again(calls: list[ToolCall], image: ImagePart) -> list[SessionMessage]:
    return [
        user("time?"),
        say(Role.ASSISTANT, *calls),
        say(Role.TOOL, ToolResult(tool_call_id="ok_1", content="13:00", is_error=True, name="clock")),
        say(Role.TOOL, ToolResult(tool_call_id=calls[0].id, content="12:00")),
        say(Role.TOOL, ToolResult(tool_call_id="b" * 60, content="chart"), image),
        user("again"),
        say(Role.ASSISTANT, ToolCall(id="ok_1", name="clock", raw_arguments='{"zone": "U')),
        say(Role.TOOL, ToolResult(tool_call_id="ok_1", content="not understood")),
    ]


def test_a_langchain_result_keeps_its_form() -> None:
    result = ToolMessage([{"type": "text", "text": "a"}], tool_call_id="call_1", artifact={"rows": 3}, name="query")
    asked = say(Role.ASSISTANT, ToolCall(id="call_1", name="query"))
    told = sent(user("hi"), asked, from_langchain(result))[2]
    assert isinstance(told, ToolMessage)
    assert (told.content, told.artifact, told.name) == (result.content, {"rows": 3}, "query")
