"""What the Gemini provider really sends through both of its APIs, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidInputError, InvalidRequestError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import (
    FilePart,
    ImagePart,
    Part,
    ReasoningPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
)
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.base import answer_message
from langswarm_sessions.records import TurnOptions
from tests.support.gemini_server import Gate, GeminiServer, Reply, ToolCall, faults
from tests.support.gemini_server.asking import (
    CLOCK,
    MODEL,
    Open,
    ask,
    body_of,
    connection,
    either_api,
    opened,
    state,
    user,
)
from tests.support.gemini_server.plugin import gemini_server

__all__ = ["connection", "gemini_server", "opened"]


async def test_native_turns_carry_the_delta_and_everything_that_is_not_inherited(
    opened: Open, gemini_server: GeminiServer
) -> None:
    session = opened(temperature=0.2)
    options = TurnOptions(tools=(CLOCK,))
    first = await ask(session, user("one"), keep_native=True, instructions="Be brief.", options=options)
    await ask(session, user("two"), keep_native=True, native=state(first), instructions="Be kind.", options=options)
    bodies = [body_of(gemini_server, at) for at in range(2)]
    assert [body["store"] for body in bodies] == [True, True]
    assert [body["system_instruction"] for body in bodies] == ["Be brief.", "Be kind."]
    assert bodies[0]["tools"] == bodies[1]["tools"]
    assert bodies[0]["generation_config"] == bodies[1]["generation_config"] == {"temperature": 0.2}
    assert "previous_interaction_id" not in bodies[0]
    assert bodies[1]["previous_interaction_id"] == first.native_id
    assert bodies[1]["input"] == [{"type": "user_input", "content": [{"type": "text", "text": "two"}]}]


async def test_a_delta_that_is_not_to_be_kept_is_not(opened: Open, gemini_server: GeminiServer) -> None:
    session = opened()
    first = await ask(session, user("one"), keep_native=True)
    second = await ask(session, user("two"), native=state(first))
    assert second.native_id is None
    assert body_of(gemini_server)["store"] is False
    assert gemini_server.state.kept_ids() == [first.native_id]


@either_api
async def test_an_answer_is_put_together_from_its_pieces(
    native: bool, opened: Open, gemini_server: GeminiServer
) -> None:
    gemini_server.script(
        Reply(thought="Two times.", text="Let me look.", tool_calls=(ToolCall("clock", {"z": "UTC"}),))
    )
    request = ProviderRequest(messages=(user(),), keep_native=native, options=TurnOptions(tools=(CLOCK,)))
    events = [event async for event in opened().stream_turn(request)]
    started, completed = events[0], events[-1]
    assert isinstance(started, Started)
    assert isinstance(completed, Completed)
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Let ", "me ", "look."]
    reasoning, text, call = completed.parts
    assert isinstance(reasoning, ReasoningPart)
    assert reasoning.text.strip() == "Two times."
    assert text == TextPart("Let me look.")
    assert isinstance(call, Call)
    assert (call.name, call.arguments) == ("clock", {"z": "UTC"})
    assert call.id
    usage = completed.usage
    assert usage.reasoning_tokens > 0
    assert usage.cached_tokens > 0
    assert usage.output_tokens > usage.reasoning_tokens, "thoughts are part of what was made"
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert completed.finish_reason == "tool_calls"
    assert completed.model == MODEL
    assert completed.request_id == started.request_id is not None
    assert completed.native_id == started.native_id == (gemini_server.asked[0].response_id if native else None)
    assert (completed.payload or {})["model"] == MODEL


async def test_arguments_that_are_no_object_are_kept_as_they_came(opened: Open, gemini_server: GeminiServer) -> None:
    gemini_server.script(Reply(tool_calls=(ToolCall("clock", text='{"zone": UTC'),)))
    session = opened()
    asked = await ask(session, user(), keep_native=True)
    (call,) = asked.parts
    assert isinstance(call, Call)
    assert (call.raw_arguments, call.arguments) == ('{"zone": UTC', {})
    result = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="?", is_error=True)])
    gemini_server.forget()
    await ask(session, user(), answer_message(asked), result, keep_native=True)
    body = body_of(gemini_server)
    assert body["input"][2]["arguments"] == {"raw_arguments": '{"zone": UTC'}
    assert (body["input"][3]["is_error"], body["input"][3]["name"]) == (True, "clock")


@pytest.mark.parametrize(
    ("status", "expected"),
    [("incomplete", "max_output_tokens"), ("requires_continuation", "max_output_tokens"), ("something_new", "stop")],
)
async def test_why_an_interaction_ended(status: str, expected: str, opened: Open, gemini_server: GeminiServer) -> None:
    gemini_server.script(Reply(text="half", status=status))
    assert (await ask(opened(), user(), keep_native=True)).finish_reason == expected
    assert len(gemini_server.asked) == 1, "the SDK continues nothing by itself"


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("MAX_TOKENS", "max_output_tokens"), ("CONTINUATION", "max_output_tokens"), ("SAFETY", "content_filter")],
)
async def test_why_generated_content_ended(
    finish: str, expected: str, opened: Open, gemini_server: GeminiServer
) -> None:
    gemini_server.script(Reply(text="half", finish=finish))
    completed = await ask(opened(), user())
    assert (completed.finish_reason, answer_message(completed).content) == (expected, "half")
    assert len(gemini_server.asked) == 1, "the SDK continues nothing by itself"


@either_api
async def test_what_the_model_thought_is_replayed_signed(
    native: bool, opened: Open, gemini_server: GeminiServer
) -> None:
    session = opened()
    gemini_server.script(Reply(thought="Hm.", tool_calls=(ToolCall("clock"), ToolCall("clock"))))
    asked = await ask(session, user(), keep_native=native)
    results = [ToolResult(tool_call_id=part.id, content="12") for part in asked.parts if isinstance(part, Call)]
    told = SessionMessage(role=Role.TOOL, parts=[*results])
    await ask(session, user(), answer_message(asked), told, keep_native=native)
    items = (asked.payload or {})["items"]
    signature = next(item.get("signature") or item.get("thoughtSignature") for item in items if _is_signed(item))
    body = body_of(gemini_server)
    sent = body["input"] if native else [part for content in body["contents"] for part in content["parts"]]
    signed = [item.get("signature") or item.get("thoughtSignature") for item in sent if _is_signed(item)]
    assert [_bytes(text) for text in signed] == [_bytes(signature)]


async def test_thoughts_of_another_model_are_not_replayed(opened: Open, gemini_server: GeminiServer) -> None:
    gemini_server.script(Reply(thought="Hm.", text="yes"))
    answer = answer_message(await ask(opened(), user()))
    answer.provider_payload = {**(answer.provider_payload or {}), "model": "gemini-3.8-flash"}
    await ask(opened(), user(), answer, user("more"))
    assert body_of(gemini_server)["contents"][1] == {"role": "model", "parts": [{"text": "yes"}]}


@either_api
async def test_media_go_in(native: bool, opened: Open, gemini_server: GeminiServer) -> None:
    raw = b"\xfb\xff\xfe data"
    data = base64.b64encode(raw).decode()
    parts: list[Part] = [
        TextPart("look"),
        ImagePart(data=data, media_type="image/png"),
        ImagePart(url=f"data:image/webp;base64,{data}"),
        FilePart(url="https://example.com/a.pdf"),
        FilePart(file_id="files/abc", media_type="text/csv"),
    ]
    await ask(opened(), SessionMessage(role=Role.USER, parts=parts), keep_native=native)
    body = body_of(gemini_server)
    files = "https://generativelanguage.googleapis.com/v1beta/files/abc"
    if native:
        blocks = body["input"][0]["content"][1:]
        assert [(block["type"], block["mime_type"]) for block in blocks] == [
            ("image", "image/png"),
            ("image", "image/webp"),
            ("document", "application/pdf"),
            ("document", "text/csv"),
        ]
        found = [block.get("data") for block in blocks[:2]]
        assert [block.get("uri") for block in blocks[2:]] == ["https://example.com/a.pdf", files]
    else:
        sent = body["contents"][0]["parts"][1:]
        assert [part["inlineData"]["mimeType"] for part in sent[:2]] == ["image/png", "image/webp"]
        found = [part["inlineData"]["data"] for part in sent[:2]]
        assert [part["fileData"] for part in sent[2:]] == [
            {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf"},
            {"mimeType": "text/csv", "fileUri": files},
        ]
    assert [_bytes(text) for text in found] == [raw, raw]


@either_api
async def test_what_cannot_be_encoded_is_refused_before_it_is_sent(
    native: bool, opened: Open, gemini_server: GeminiServer
) -> None:
    foreign = SessionMessage(role=Role.USER, parts=[FilePart(file_id="file-of-another")])
    with pytest.raises(InvalidRequestError, match="'file'"):
        await ask(opened(), foreign, keep_native=native)
    broken = SessionMessage(role=Role.USER, parts=[ImagePart(data="!no base64!", media_type="image/png")])
    with pytest.raises(InvalidRequestError):
        await ask(opened(), broken, keep_native=native)
    with pytest.raises(InvalidInputError):
        await ask(opened(), user(), keep_native=native, options=TurnOptions(tools=({"name": ""},)))
    assert gemini_server.asked == []


@either_api
async def test_a_reader_that_leaves_ends_the_request_at_once(
    native: bool, opened: Open, gemini_server: GeminiServer
) -> None:
    gate = Gate()
    gate.permit()
    gemini_server.script(Reply(chunks=("half ", "of it"), gate=gate))
    events = opened().stream_turn(ProviderRequest(messages=(user(),), keep_native=native))
    async for event in events:
        if isinstance(event, TextDelta):
            break
    await events.aclose()
    gemini_server.wait_until_idle()


@either_api
async def test_a_cancelled_request_is_ended(native: bool, opened: Open, gemini_server: GeminiServer) -> None:
    gate = Gate()
    gemini_server.fault(faults.delay(gate))
    asking = asyncio.create_task(ask(opened(), user(), keep_native=native))
    await gate.arrived()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    gemini_server.wait_until_idle()


def _is_signed(item: dict[str, Any]) -> bool:
    return bool(item.get("signature") or item.get("thoughtSignature"))


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text.replace("+", "-").replace("/", "_"))
