"""The root of a turn shows what went in and what came out, however the turn went: backends list conversations by it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions import (
    ImagePart,
    InvalidRequestError,
    RetryPolicy,
    Session,
    SessionManager,
    SessionMessage,
    SessionMiddleware,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.messages import Role
from langswarm_sessions.records import Amendment
from langswarm_sessions_langchain import SessionRunnable
from tests.support.recorded import Recorded

Shown = tuple[object, object]
PLAIN = "text/plain"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "LANGSWARM_SESSIONS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def manager(recorded: Recorded) -> AsyncIterator[SessionManager]:
    retry = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)
    telemetry = recorded.telemetry(capture_content="SPAN_ONLY")
    async with SessionManager("memory", telemetry=telemetry, retry=retry) as made:
        yield made


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    return await manager.create_session("user", "mock", "m", session_id="s")


def turns(recorded: Recorded) -> list[ReadableSpan]:
    return [span for span in recorded.spans if span.name == "invoke_agent session"]


def shown(span: ReadableSpan, side: str) -> Shown:
    attributes = span.attributes or {}
    return attributes.get(f"{side}.value"), attributes.get(f"{side}.mime_type")


def chat_said(recorded: Recorded, name: str) -> list[Any]:
    found = [
        json.loads(str(value))
        for span in recorded.spans
        if span.name.startswith("chat") and (value := (span.attributes or {}).get(name)) is not None
    ]
    return found


async def test_a_send_and_a_stream(session: Session, recorded: Recorded) -> None:
    await session.send_message("one")
    async for _ in session.send_message_stream("two"):
        pass
    first, second = turns(recorded)
    assert (shown(first, "input"), shown(first, "output")) == (("one", PLAIN), ("Mock response to: one", PLAIN))
    assert (shown(second, "input"), shown(second, "output")) == (("two", PLAIN), ("Mock response to: two", PLAIN))


async def test_text_with_media_is_shown_as_text(session: Session, recorded: Recorded) -> None:
    await session.send_message([TextPart("what is it?"), ImagePart(data="QUJD", media_type="image/png")])
    [turn] = turns(recorded)
    assert shown(turn, "input") == ("what is it?\n[image/png]", PLAIN)
    assert "QUJD" not in turn.to_json()


async def test_a_stream_broken_off_shows_what_came(session: Session, recorded: Recorded) -> None:
    session.provider_session.set_responses(["one two three"])
    stream = session.send_message_stream("count")
    async for _ in stream:
        break
    await stream.aclose()
    [turn] = turns(recorded)
    assert shown(turn, "input") == ("count", PLAIN)
    assert str(shown(turn, "output")[0]).startswith("one")
    [[answer]] = chat_said(recorded, "gen_ai.output.messages")
    assert answer["role"] == "assistant"
    assert answer["parts"][0]["content"].startswith("one")


async def test_a_cancelled_send_shows_what_came(session: Session, recorded: Recorded) -> None:
    asked = asyncio.Event()

    async def held_back() -> AsyncIterator[str]:
        yield "one "
        asked.set()
        await asyncio.Event().wait()

    session.provider_session.set_responses([held_back()])
    task = asyncio.create_task(session.send_message("count"))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    [turn] = turns(recorded)
    assert shown(turn, "input") == ("count", PLAIN)
    assert shown(turn, "output") == ("one ", PLAIN)


async def test_a_failed_turn_shows_its_input_alone(session: Session, recorded: Recorded) -> None:
    session.provider_session.fail_next(InvalidRequestError("bad"))
    with pytest.raises(InvalidRequestError):
        await session.send_message("hi")
    [turn] = turns(recorded)
    assert shown(turn, "input") == ("hi", PLAIN)
    assert shown(turn, "output") == (None, None)
    [sent] = chat_said(recorded, "gen_ai.input.messages")
    assert sent == [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
    assert chat_said(recorded, "gen_ai.output.messages") == []


async def test_every_attempt_says_what_it_sent(session: Session, recorded: Recorded) -> None:
    session.provider_session.fail_next("unavailable")
    await session.send_message("hi")
    assert len(chat_said(recorded, "gen_ai.input.messages")) == 2
    assert len(chat_said(recorded, "gen_ai.output.messages")) == 1


async def test_tool_calls_and_results(session: Session, recorded: Recorded) -> None:
    session.provider_session.set_responses([[ToolCall(id="c1", name="clock", arguments={"zone": "UTC"})], "noon"])
    clock = {"name": "clock", "description": "Tells the time.", "parameters": {"type": "object"}}
    await session.send_message("time?", tools=[clock])
    await session.send_tool_results([ToolResult(tool_call_id="c1", content="12:00")])
    asked, answered = turns(recorded)
    assert shown(asked, "input") == ("time?", PLAIN)
    value, mime_type = shown(asked, "output")
    assert mime_type == "application/json"
    call = {"type": "tool_call", "id": "c1", "name": "clock", "arguments": {"zone": "UTC"}}
    assert json.loads(str(value)) == [{"role": "assistant", "parts": [call]}]
    value, mime_type = shown(answered, "input")
    assert mime_type == "application/json"
    result = {"type": "tool_call_response", "id": "c1", "response": "12:00"}
    assert json.loads(str(value)) == [{"role": "tool", "parts": [result]}]
    assert shown(answered, "output") == ("noon", PLAIN)
    told = {"type": "function", "name": "clock", "description": "Tells the time.", "parameters": {"type": "object"}}
    assert chat_said(recorded, "gen_ai.tool.definitions")[0] == [told]


async def test_a_tool_that_is_broken_off_shows_what_it_was_asked(session: Session, recorded: Recorded) -> None:
    runs = asyncio.Event()

    async def clock(zone: str) -> str:
        """Tell the time."""
        runs.set()
        await asyncio.Event().wait()
        return "12:00"

    session.provider_session.set_responses([[ToolCall(id="c1", name="clock", arguments={"zone": "UTC"})]])
    task = asyncio.create_task(session.send_message("time?", tools=[clock], run_tools=True))
    await runs.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    tool = dict(recorded.span("execute_tool clock").attributes or {})
    assert tool["gen_ai.tool.call.arguments"] == '{"zone":"UTC"}'
    assert "gen_ai.tool.call.result" not in tool


async def test_tools_that_are_run_are_one_turn(session: Session, recorded: Recorded) -> None:
    async def clock() -> str:
        """Tell the time."""
        return "12:00"

    session.provider_session.set_responses([[ToolCall(id="c1", name="clock")], "noon"])
    await session.send_message("time?", tools=[clock], run_tools=True)
    [turn] = turns(recorded)
    assert (shown(turn, "input"), shown(turn, "output")) == (("time?", PLAIN), ("noon", PLAIN))
    tool = dict(recorded.span("execute_tool clock").attributes or {})
    assert (tool["gen_ai.tool.call.arguments"], tool["gen_ai.tool.call.result"]) == ("{}", "12:00")


async def test_a_recorded_answer_is_shown_again(session: Session, recorded: Recorded) -> None:
    await session.send_message("hi", idempotency_key="k")
    await session.send_message("hi", idempotency_key="k")
    first, again = turns(recorded)
    assert shown(first, "output") == shown(again, "output") == ("Mock response to: hi", PLAIN)
    assert shown(first, "input") == shown(again, "input") == ("hi", PLAIN)


async def test_instructions_are_told_apart(manager: SessionManager, recorded: Recorded) -> None:
    session = await manager.create_session("user", "mock", "m", session_id="s", provider_config={"instructions": "Be."})
    await session.send_message("hi")
    assert chat_said(recorded, "gen_ai.system_instructions") == [[{"type": "text", "content": "Be."}]]


async def test_a_wrapped_runnable(manager: SessionManager, recorded: Recorded) -> None:
    chain = SessionRunnable(RunnableLambda(lambda _: "from the chain"), manager=manager, user_id="user")
    await chain.ainvoke("hi", {"configurable": {"session_id": "r"}})
    [turn] = turns(recorded)
    assert (shown(turn, "input"), shown(turn, "output")) == (("hi", PLAIN), ("from the chain", PLAIN))


async def test_a_summary_is_told_on_a_span_of_its_own(recorded: Recorded) -> None:
    telemetry = recorded.telemetry(capture_content="SPAN_ONLY")
    async with SessionManager("memory", telemetry=telemetry, summarizer="mock/writer") as manager:
        session = await manager.create_session(
            "user", "mock", "m", strategy="client", session_config={"max_messages": 4}
        )
        for number in range(4):
            await session.send_message(f"question {number}")
    written = next(dict(span.attributes or {}) for span in recorded.spans if span.name == "chat writer")
    assert "question 0" in str(written["gen_ai.input.messages"])
    assert "Mock response" in str(written["gen_ai.output.messages"])
    assert [shown(turn, "input")[0] for turn in turns(recorded)] == [f"question {number}" for number in range(4)]


async def test_a_run_of_somebody_else_shows_its_first_input_and_its_last_answer(
    session: Session, recorded: Recorded
) -> None:
    async with session.hold_turn() as turn:
        user, assistant = Role.USER, Role.ASSISTANT
        for role, text in ((user, "question"), (assistant, "wait"), (user, "well?"), (assistant, "answer")):
            await session.amend(Amendment(append=(SessionMessage(role=role, content=text),), held=turn.lease))
    [run] = turns(recorded)
    assert (shown(run, "input"), shown(run, "output")) == (("question", PLAIN), ("answer", PLAIN))


class Censor(SessionMiddleware):
    async def process_message(self, session_id: str, message: SessionMessage, context: Any) -> None:
        message.content = message.content.replace("secret", "***")


async def test_the_root_shows_what_middleware_let_pass(recorded: Recorded) -> None:
    telemetry = recorded.telemetry(capture_content="SPAN_ONLY")
    async with SessionManager("memory", telemetry=telemetry, middleware=[Censor()]) as manager:
        session = await manager.create_session("user", "mock", "m")
        session.provider_session.set_responses(["a secret answer"])
        await session.send_message("a secret")
    [turn] = turns(recorded)
    assert (shown(turn, "input"), shown(turn, "output")) == (("a ***", PLAIN), ("a *** answer", PLAIN))
    [[sent]] = chat_said(recorded, "gen_ai.input.messages")
    assert sent["parts"] == [{"type": "text", "content": "a ***"}]
