"""Our messages as entries and chat messages: legal whatever the history is, and the same the next time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from mistralai.client import models

from langswarm_sessions.messages import (
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.mistral.answers import EntryDraft, as_json, completed_answer, usage_of
from langswarm_sessions.providers.mistral.mapping import NO_ANSWER, Target, entries_of, wire_call_id
from langswarm_sessions.providers.mistral.reconcile import answer_to, entries_after
from langswarm_sessions.providers.mistral.replay import payload_of
from langswarm_sessions.providers.mistral.streams import ChatReader
from langswarm_sessions.records import Usage

MODEL = "mistral-medium-latest"


def user(text: str) -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


def assistant(text: str, made: Sequence[ToolCall] = (), *, refuses: bool = False) -> SessionMessage:
    spoken: Part = RefusalPart(text) if refuses else TextPart(text)
    parts: list[Part] = [ReasoningPart(text="hm"), *([spoken] if text else []), *made]
    return SessionMessage(role=Role.ASSISTANT, parts=parts)


def tool(call_id: str) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call_id, content="noon")])


def test_call_ids_are_nine_letters_or_digits_and_always_the_same() -> None:
    assert wire_call_id("rXo8OuL9G") == "rXo8OuL9G"
    mapped = {wire_call_id(f"call_{at}") for at in range(1000)}
    assert len(mapped) == 1000
    assert all(len(call_id) == 9 and call_id.isalnum() and call_id.isascii() for call_id in mapped)
    assert wire_call_id("call_1") == "rKSxKBV4V", "stored conversations depend on it"


def test_system_messages_go_in_front_and_the_last_words_are_the_users() -> None:
    told = [SessionMessage(role=Role.SYSTEM, content="A."), user("hi"), SessionMessage(role=Role.SYSTEM, content="B.")]
    mapped = entries_of(told, model=MODEL, target=Target.CONVERSATION)
    assert mapped.system == ("A.",)
    assert [entry["content"] for entry in mapped.entries] == ["hi", "B."]
    later = entries_of([*told, user("two")], model=MODEL, target=Target.CONVERSATION)
    assert later.system == ("A.", "B.")


def test_words_after_a_result_nobody_answered_are_set_apart() -> None:
    made = ToolCall(id="call_1", name="clock")
    entries = entries_of([assistant("", [made]), tool("call_1"), user("so?")], model=MODEL, target=Target.CHAT).entries
    assert [entry.get("content") for entry in entries[2:]] == [NO_ANSWER, "so?"]


def answer(model: str = MODEL) -> SessionMessage:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "s"}
    entries: list[dict[str, Any]] = [
        {"type": "tool.execution", "id": "t", "name": "web_search", "arguments": "{}"},
        {"type": "message.output", "id": "m", "content": [thinking, {"type": "text", "text": "Yes."}]},
        {"type": "function.call", "id": "f", "tool_call_id": "rXo8OuL9G", "name": "clock", "arguments": '{"a":1}'},
    ]
    made = ToolCall(id="rXo8OuL9G", name="clock", arguments={"a": 1})
    return SessionMessage(
        role=Role.ASSISTANT, parts=[TextPart("Yes."), made], provider_payload=payload_of(entries, model=model)
    )


def kinds(message: SessionMessage) -> list[Any]:
    entries = entries_of([message, tool("rXo8OuL9G")], model=MODEL, target=Target.CHAT).entries
    return [entry.get("content", entry["type"]) for entry in entries[:-1]]


def test_an_answer_is_replayed_to_its_own_model_as_long_as_it_says_the_same() -> None:
    first, second = kinds(answer())
    assert [chunk["type"] for chunk in first] == ["thinking", "text"]
    assert second == "function.call"
    assert kinds(answer("another")) == ["Yes.", "function.call"]
    edited = answer()
    edited.content = "No."
    edited.align()
    assert kinds(edited) == ["No.", "function.call"]


IN = {"type": "message.input", "role": "user", "content": "two"}
OUT = {"type": "message.output", "id": "o", "content": "yes"}
CALL = {"type": "function.call", "id": "c", "tool_call_id": "rXo8OuL9G", "name": "clock", "arguments": "{}"}
RESULT = {"type": "function.result", "tool_call_id": "rXo8OuL9G", "result": "noon"}
STEP = {"type": "tool.execution", "id": "t", "name": "web_search", "arguments": "{}"}


@pytest.mark.parametrize(
    ("new", "inputs", "found"),
    [
        ([IN, OUT], [IN], [OUT]),
        ([{**IN, "content": [{"type": "text", "text": "two"}]}, OUT], [IN], [OUT]),
        ([RESULT, OUT], [RESULT], [OUT]),
        ([IN, CALL, CALL], [IN], [CALL, CALL]),
        ([IN, STEP, OUT], [IN], [STEP, OUT]),
        ([{"type": "message.input", "role": "assistant", "content": "yes"}, IN, OUT], [OUT, IN], [OUT]),
        ([IN], [IN], None),
        ([IN, {**OUT, "content": ""}], [IN], None),
        ([IN, STEP], [IN], None),
        ([OUT], [IN], None),
        ([IN, IN, OUT], [IN], None),
        ([IN, OUT, IN, OUT], [IN], None),
        ([{**IN, "content": "three"}, OUT], [IN], None),
        ([{**IN, "content": [{"type": "image_url"}, {"type": "text", "text": "two"}]}, OUT], [IN], None),
        ([{**RESULT, "tool_call_id": "x"}, OUT], [RESULT], None),
        ([IN, OUT], [IN, RESULT], None),
    ],
)
def test_an_answer_is_told_from_what_else_a_log_may_hold(
    new: list[dict[str, Any]], inputs: list[dict[str, Any]], found: list[dict[str, Any]] | None
) -> None:
    assert answer_to(new, inputs) == found


def test_what_is_new_comes_after_what_is_known() -> None:
    assert entries_after([{"id": "a"}, {"id": "b"}, {"id": "c"}], "b") == [{"id": "c"}]
    assert entries_after([{"id": "a"}], "a") == []
    assert entries_after([{"id": "a"}], "z") is None


def chunk(*pieces: dict[str, Any], content: object = "", finish: str | None = None) -> models.CompletionChunk:
    delta = {"content": content, "tool_calls": list(pieces)}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return models.CompletionChunk.model_validate({"id": "c", "model": MODEL, "choices": [choice]})


def piece(arguments: object, **about: Any) -> dict[str, Any]:
    return {"function": {"name": "clock", "arguments": arguments}, **about}


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk(piece('{"a":1}', id="AAAAAAAAA", index=0), piece('{"a":2}', id="BBBBBBBBB", index=1))],
        [chunk(piece('{"a":1}', id="AAAAAAAAA")), chunk(piece('{"a":2}', id="BBBBBBBBB"))],
        [chunk(piece('{"a"', id="AAAAAAAAA")), chunk(piece(":1}")), chunk(piece('{"a":2}', id="BBBBBBBBB", index=1))],
        [chunk(piece({"a": 1}, id="AAAAAAAAA"), piece({"a": 2}, id="BBBBBBBBB"))],
    ],
)
def test_parallel_calls_are_told_apart_however_they_come(chunks: list[models.CompletionChunk]) -> None:
    reader = ChatReader()
    for one in [*chunks, chunk(finish="tool_calls")]:
        reader.take(one)
    done = completed_answer(reader.entries, model=MODEL, usage=None, answer_id="c", finish_reason=reader.finish_reason)
    assert [(part.id, part.arguments) for part in done.parts if isinstance(part, ToolCall)] == [
        ("AAAAAAAAA", {"a": 1}),
        ("BBBBBBBBB", {"a": 2}),
    ]


def test_calls_without_ids_are_given_some() -> None:
    reader = ChatReader()
    reader.take(chunk(piece("{}", index=0), piece("{}", index=1), finish="tool_calls"))
    given = [entry["tool_call_id"] for entry in reader.entries]
    assert len(set(given)) == 2
    assert all(wire_call_id(call_id) == call_id for call_id in given)


def test_content_of_every_kind_is_kept() -> None:
    draft = EntryDraft()
    odd: Any = models.MessageOutputEntry.model_validate(
        {"content": [{"type": "tool_reference", "tool": "web_search", "title": "x", "url": "https://x"}]}
    ).content
    assert draft.say("m", "Yes") + draft.say("m", odd) + draft.say("m", "!") == "Yes!"
    done = completed_answer(draft.entries, model=MODEL, usage=None, answer_id="c")
    assert [part.type for part in done.parts] == ["text", "other", "text"]
    unknown: Any = chunk(content=[{"type": "new_kind", "x": 1}]).choices[0].delta.content
    assert as_json(unknown[0]) == {"type": "new_kind", "x": 1}


def test_tokens_of_every_kind_are_counted() -> None:
    conversation = models.ConversationUsageInfo(
        prompt_tokens=188, completion_tokens=55, total_tokens=7355, connector_tokens=7112
    )
    assert usage_of(conversation) == Usage(input_tokens=7300, output_tokens=55, total_tokens=7355)
    told = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "num_cached_tokens": 8}
    assert usage_of(models.UsageInfo.model_validate(told)) == Usage(
        input_tokens=10, output_tokens=2, total_tokens=12, cached_tokens=8
    )
    assert usage_of(None) == Usage()
