"""Chunks of a chat model become one answer: parts, calls, usage, why it ended."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk

from langswarm_sessions.errors import IncompleteStreamError
from langswarm_sessions.interfaces.provider import Completed, ProviderEvent, ProviderRequest, TextDelta
from langswarm_sessions.messages import (
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    text_of,
)
from langswarm_sessions.records import Usage
from langswarm_sessions_langchain import LangChainProvider, to_langchain
from langswarm_sessions_langchain.provider.answers import finish_reason_of
from tests.support.chat_model import JudgedChat, Reply


async def events_of(model: Any, *, streamed: bool = True) -> list[ProviderEvent]:
    session = LangChainProvider(model, name="mychat").open("s", "m", {})
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),), streamed=streamed)
    return [event async for event in session.stream_turn(request)]


async def answer(reply: Reply, **fields: Any) -> Completed:
    model = JudgedChat(**fields)
    model.party.say(reply)
    last = (await events_of(model))[-1]
    assert isinstance(last, Completed)
    return last


def chunk(content: Any = "", **fields: Any) -> AIMessageChunk:
    return AIMessageChunk(content=content, **fields)


async def test_text_usage_and_names() -> None:
    completed = await answer("Good day to you.")
    assert completed.parts == (TextPart("Good day to you."),)
    assert completed.usage == Usage(
        input_tokens=2, output_tokens=4, total_tokens=6, cached_tokens=1, reasoning_tokens=2
    )
    assert completed.model == "judged-1-0613"
    assert completed.provider_message_id == "chatcmpl-77"
    assert completed.finish_reason == "stop"
    assert completed.native_id is None


async def test_a_model_that_does_not_stream_gives_one_piece() -> None:
    model = JudgedChat(streams=False)
    model.party.say("All at once.")
    *before, last = await events_of(model)
    assert [event.text for event in before if isinstance(event, TextDelta)] == ["All at once."]
    assert isinstance(last, Completed)
    assert (last.model, last.usage.output_tokens) == ("judged-1", 3)


@pytest.mark.parametrize(
    "model",
    [FakeListChatModel(responses=["plain words"]), GenericFakeChatModel(messages=iter([AIMessage("plain words")]))],
)
async def test_models_that_say_nothing_about_their_answers(model: Any) -> None:
    last = (await events_of(model))[-1]
    assert isinstance(last, Completed)
    assert text_of(last.parts) == "plain words"
    assert (last.finish_reason, last.model, last.usage, last.provider_message_id) == ("stop", "m", Usage(), None)


async def test_reasoning_in_blocks_beside_the_content_and_as_a_summary() -> None:
    blocks = AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Yes."}])
    assert (await answer(blocks)).parts == (ReasoningPart(text="hm"), TextPart("Yes."))
    beside = AIMessage("Yes.", additional_kwargs={"reasoning_content": "hm"})
    assert (await answer(beside)).parts == (ReasoningPart(text="hm"), TextPart("Yes."))
    summary = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert (await answer(AIMessage([summary, "Yes."]))).parts == (ReasoningPart(text="hm"), TextPart("Yes."))
    older = AIMessage("Yes.", additional_kwargs={"reasoning": summary})
    assert (await answer(older)).parts == (ReasoningPart(text="hm"), TextPart("Yes."))


async def test_a_refusal_is_said_to_who_reads_along() -> None:
    model = JudgedChat()
    model.party.say(AIMessage("", additional_kwargs={"refusal": "I will not."}))
    events = await events_of(model)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I will not."
    last = events[-1]
    assert isinstance(last, Completed)
    assert last.parts == (RefusalPart("I will not."),)


async def test_half_of_an_argument_reaches_no_tool() -> None:
    pieces = [
        chunk(tool_call_chunks=[tool_call_chunk(name="pay", args='{"amount": 1', id="c1", index=0)]),
        chunk(tool_call_chunks=[tool_call_chunk(name="pay", args='{"amount": 2}', id="c2", index=1)]),
        chunk(tool_call_chunks=[tool_call_chunk(name="ping", args="", id="c3", index=2)]),
        chunk(response_metadata={"finish_reason": "length"}),
    ]
    completed = await answer(pieces)
    assert completed.parts == (
        ToolCall(id="c2", name="pay", arguments={"amount": 2}),
        ToolCall(id="c3", name="ping"),
        ToolCall(id="c1", name="pay", raw_arguments='{"amount": 1'),
    )
    assert completed.finish_reason == "max_output_tokens"
    assert isinstance(completed.raw, AIMessage)
    assert [call["name"] for call in completed.raw.invalid_tool_calls] == ["pay"]


async def test_calls_without_ids_get_their_own() -> None:
    pieces = [chunk(tool_call_chunks=[tool_call_chunk(name="f", args="{}", id=id_)]) for id_ in (None, "c1", "c1", "")]
    made = [part for part in (await answer(pieces)).parts if isinstance(part, ToolCall)]
    ids = [call.id for call in made]
    assert ids[1] == "c1"
    assert len({*ids}) == 4
    assert all(ids)
    again = [part.id for part in (await answer(pieces)).parts if isinstance(part, ToolCall)]
    assert {*again} & {*ids} == {"c1"}


async def test_the_stored_answer_is_langchains_again() -> None:
    said = AIMessage(
        [{"type": "text", "text": "Look.", "annotations": [{"url": "https://h"}]}],
        id="msg_9",
        tool_calls=[{"name": "clock", "args": {"zone": "UTC"}, "id": "c1", "type": "tool_call"}],
    )
    completed = await answer(said)
    message = SessionMessage(
        role=Role.ASSISTANT, parts=list(completed.parts), provider_payload=dict(completed.payload or {})
    )
    restored = to_langchain(message)
    assert restored == completed.raw
    assert restored.id == completed.provider_message_id == "msg_9"
    assert isinstance(restored, AIMessage)
    assert restored.tool_calls == said.tool_calls


async def test_a_stream_of_a_known_provider_that_gives_no_reason_was_cut() -> None:
    cut = [chunk("Half an", response_metadata={"model_provider": "openai"})]
    with pytest.raises(IncompleteStreamError, match="before the answer was complete"):
        await answer(cut)
    assert text_of((await answer([chunk("Whole.")])).parts) == "Whole."


async def test_a_stream_without_any_chunk_was_cut() -> None:
    with pytest.raises(IncompleteStreamError):
        await answer([])


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        ({}, "stop"),
        ({"finish_reason": "STOP"}, "stop"),
        ({"stop_reason": "end_turn"}, "stop"),
        ({"stop_reason": "tool_use"}, "tool_calls"),
        ({"stopReason": "max_tokens"}, "max_output_tokens"),
        ({"done_reason": "length"}, "max_output_tokens"),
        ({"finish_reason": "SAFETY"}, "content_filter"),
        ({"stop_reason": "refusal"}, "refusal"),
        ({"status": "completed"}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        ({"finish_reason": "pause_turn"}, "pause_turn"),
    ],
)
def test_why_an_answer_ended(about: dict[str, Any], reason: str) -> None:
    assert finish_reason_of(about, []) == reason


def test_gemini_says_stop_when_it_calls() -> None:
    assert finish_reason_of({"finish_reason": "STOP"}, [ToolCall(id="c", name="f")]) == "tool_calls"


async def test_the_request_id_is_kept_where_the_model_shows_headers() -> None:
    said = AIMessage("x", response_metadata={"headers": {"x-request-id": "req_5"}})
    assert (await answer(said)).request_id == "req_5"
