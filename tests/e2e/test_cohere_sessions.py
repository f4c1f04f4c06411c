"""Sessions over the real Cohere SDK: what goes over the wire, what the database has of it, and failures on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    IncompleteStreamError,
    RateLimitError,
    Session,
    SessionManager,
    create_session_manager,
)
from langswarm_sessions.providers.cohere import CohereConnection
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.e2e.openai_kit import CLOCK, Say, turns_of
from tests.session.kit import OpenManager, rows_of, until
from tests.support.cohere_server import CohereServer, Gate, Reply, ToolCall, faults
from tests.support.recorded import Recorded

pytest_plugins = ["tests.support.cohere_server.plugin"]

MODEL = "command-a-03-2025"

FIRST_TEXT = 3
"""Events of a stream up to its first piece of text."""

ASKS_TWICE = Reply(plan="I need two times.", tool_calls=(ToolCall("clock"), ToolCall("clock")))


@pytest.fixture
async def cohere_connection(cohere_environment: CohereServer) -> AsyncIterator[CohereConnection]:
    """A connection let in by the environment; afterwards every request has come to its end."""
    connection = connect_cohere(None)
    yield connection
    await connection.aclose()
    cohere_environment.wait_until_idle()


@pytest.fixture
def cohere_manager(
    cohere_connection: CohereConnection, open_manager: OpenManager, recorded: Recorded
) -> SessionManager:
    """A manager over a database file whose Cohere is the test's server."""
    return open_manager(providers={"cohere": cohere_connection}, telemetry=recorded.telemetry())


@pytest.fixture
async def session(cohere_manager: SessionManager) -> Session:
    """A session with one turn behind it."""
    session = await cohere_manager.create_session("user", "cohere", MODEL)
    await session.send_message("one")
    return session


def sent(server: CohereServer, at: int = -1) -> dict[str, Any]:
    """Return the body of one request."""
    return dict(server.requests[at].body or {})


def messages_of(server: CohereServer, at: int = -1) -> list[dict[str, Any]]:
    """Return the messages of one request."""
    messages: list[dict[str, Any]] = sent(server, at)["messages"]
    return messages


@pytest.mark.parametrize("strategy", ["hybrid", "client"])
async def test_every_turn_sends_the_window(
    strategy: str, cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    session = await cohere_manager.create_session("user", "cohere", MODEL, strategy=strategy)
    for text in ("albatross", "bee", "cat"):
        await say(session, text)
    assert [len(messages_of(cohere_server, at)) for at in range(3)] == [1, 3, 5]
    assert messages_of(cohere_server)[:3] == messages_of(cohere_server, 1), "the prefix stays as it was"
    assert cohere_server.model_views[-1].user_texts == ["albatross", "bee", "cat"]
    assert session.provider_session_id is None
    turns = await turns_of(cohere_manager, session)
    assert [(turn["state"], turn["mode"]) for turn in turns] == [("completed", "client")] * 3
    assert (await session.get_provider_metadata())["native"] == "none"


async def test_native_turns_are_refused_before_anything_is_stored(cohere_manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="native"):
        await cohere_manager.create_session("user", "cohere", MODEL, strategy="native")
    with pytest.raises(ConfigurationError, match="'none'"):
        await cohere_manager.create_session("user", "cohere", MODEL, provider_config={"native": "log"})
    assert await rows_of(cohere_manager, "SELECT session_id FROM sessions") == []


async def test_parallel_tool_calls_go_round_with_their_plan(
    cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    session = await cohere_manager.create_session("user", "cohere", MODEL)
    cohere_server.script(ASKS_TWICE, "noon here, one there")
    asked = await say(session, "what time?", tools=[CLOCK])
    assert asked.content == "", "a plan is no answer"
    assert asked.provider_metadata["finish_reason"] == "tool_calls"
    first, second = asked.tool_calls
    results = [{"tool_call_id": second.id, "content": "13"}, {"tool_call_id": first.id, "content": "12"}]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    _, calls, *outputs = messages_of(cohere_server)
    assert calls["tool_plan"] == "I need two times."
    assert [call["id"] for call in calls["tool_calls"]] == [first.id, second.id]
    assert [(output["tool_call_id"], output["content"]) for output in outputs] == [(first.id, "12"), (second.id, "13")]
    assert sent(cohere_server)["tools"] == sent(cohere_server, 0)["tools"]
    assert (await say(session, "thanks")).content == "[2] You said: thanks"
    assert cohere_server.model_views[-1].roles == ["user", "assistant", "tool", "tool", "assistant", "user"]


async def test_a_call_nobody_answered_is_answered_for_them(
    cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    session = await cohere_manager.create_session("user", "cohere", MODEL)
    cohere_server.script(Reply(tool_calls=(ToolCall("clock"),)))
    (call,) = (await say(session, "what time?", tools=[CLOCK])).tool_calls
    assert (await say(session, "never mind")).content == "[2] You said: never mind"
    answered = {"role": "tool", "tool_call_id": call.id, "content": INTERRUPTED_RESULT}
    assert messages_of(cohere_server)[-2:] == [answered, {"role": "user", "content": "never mind"}]
    assert [message.role.value for message in await session.get_messages()] == ["user", "assistant"] * 2


async def test_another_process_replays_what_the_first_one_heard(
    session: Session, cohere_manager: SessionManager, cohere_server: CohereServer
) -> None:
    cohere_server.script(Reply(thinking="Two is next.", text="two"))
    answer = await session.send_message("count")
    assert [part.type for part in answer.parts] == ["reasoning", "text"]
    reopened = await cohere_manager.get_session(session.session_id)
    await reopened.send_message("on")
    thinking = {"type": "thinking", "thinking": "Two is next."}
    assert messages_of(cohere_server)[3]["content"] == [thinking, {"type": "text", "text": "two"}]


async def test_instructions_lead_and_change_with_the_session(
    cohere_manager: SessionManager, cohere_server: CohereServer
) -> None:
    session = await cohere_manager.create_session(
        "user", "cohere", MODEL, provider_config={"instructions": "Be brief.", "temperature": 0.5}
    )
    await session.send_message("one")
    await session.provider_session.update_provider_config({"instructions": "Be kind.", "temperature": None})
    await session.send_message("two")
    assert [view.instructions for view in cohere_server.model_views] == ["Be brief.", "Be kind."]
    assert [sent(cohere_server, at).get("temperature") for at in range(2)] == [0.5, None]
    assert cohere_server.model_views[-1].roles == ["system", "user", "assistant", "user"]


async def test_too_long_a_window_is_trimmed_and_sent_once_more(
    session: Session, cohere_server: CohereServer, say: Say
) -> None:
    for text in ("two", "three", "four"):
        await session.send_message(text)
    cohere_server.window = cohere_server.model_views[-1].token_count
    assert (await say(session, "five")).content.endswith("You said: five")
    assert len(messages_of(cohere_server)) < len(messages_of(cohere_server, -2))
    assert len(await session.get_messages()) == 10, "the transcript is whole"


async def test_usage_and_spans_name_what_was_asked(
    session: Session, cohere_server: CohereServer, recorded: Recorded
) -> None:
    cohere_server.script(Reply(text="hello", cached_tokens=2.0))
    usage = (await session.send_message("two")).provider_metadata["usage"]
    assert usage["cached_tokens"] == 2
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    chats = [dict(span.attributes or {}) for span in recorded.spans if span.name.startswith("chat")]
    assert chats[-1]["gen_ai.provider.name"] == "cohere"
    assert chats[-1]["gen_ai.request.model"] == MODEL
    assert chats[-1]["server.address"] == "127.0.0.1"


async def test_a_rate_limit_is_waited_out(
    session: Session, cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    cohere_server.fault(faults.rate_limit(retry_after=0.05))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert sent(cohere_server) == sent(cohere_server, -2), "the same request, not another one"
    assert [turn["retries"] for turn in await turns_of(cohere_manager, session)] == [0, 1]


async def test_a_rate_limit_that_stays_fails_the_turn_alone(
    session: Session, cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    cohere_server.fault(faults.rate_limit(retry_after=None), times=3)
    with pytest.raises(RateLimitError):
        await say(session, "two")
    assert len(cohere_server.requests) == 4
    assert (await say(session, "three")).content == "[2] You said: three"
    assert [turn["state"] for turn in await turns_of(cohere_manager, session)] == ["completed", "failed", "completed"]


@pytest.mark.parametrize("how", ["stream left", "call cancelled"])
async def test_an_interrupted_answer_is_carried_into_the_next_turn(
    how: str, session: Session, cohere_manager: SessionManager, cohere_server: CohereServer
) -> None:
    gate = Gate()
    cohere_server.script(Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    await (leave(session) if how == "stream left" else cancel(session, gate))
    cohere_server.wait_until_idle()
    assert cohere_server.requests[-1].outcome == "client_gone"
    assert (await session.send_message("three")).content == "[3] You said: three"
    assert messages_of(cohere_server)[2:] == [
        {"role": "user", "content": "two"},
        {"role": "assistant", "content": "half "},
        {"role": "user", "content": "three"},
    ]
    states = [turn["state"] for turn in await turns_of(cohere_manager, session)]
    assert states == ["completed", "interrupted", "completed"]


async def leave(session: Session) -> None:
    async with session.send_message_stream("two") as stream:
        assert await anext(stream) == "half "


async def cancel(session: Session, gate: Gate) -> None:
    asking = asyncio.create_task(session.send_message("two"))
    await gate.arrived(2)
    running = session._runtime.engine._live
    await until(lambda: any(log.text for _, log in running.of(session.session_id)))  # the first chunk is heard
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


BREAKS: dict[str, faults.Fault] = {
    "connection breaks": faults.cut_stream(after_events=FIRST_TEXT - 1),
    "stream just ends": faults.end_stream(after_events=FIRST_TEXT - 1),
    "answer fails": faults.failed_answer(after_events=FIRST_TEXT - 1),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_a_break_that_nobody_saw_is_retried(
    how: str, session: Session, cohere_manager: SessionManager, cohere_server: CohereServer, say: Say
) -> None:
    cohere_server.fault(BREAKS[how])
    assert (await say(session, "two")).content == "[2] You said: two"
    assert [turn["retries"] for turn in await turns_of(cohere_manager, session)] == [0, 1]
    assert [message.content for message in await session.get_messages()][2:] == ["two", "[2] You said: two"]


async def test_a_break_after_text_fails_the_turn_alone(
    session: Session, cohere_manager: SessionManager, cohere_server: CohereServer
) -> None:
    cohere_server.script("[2] never heard whole")
    cohere_server.fault(faults.cut_stream(after_events=FIRST_TEXT))
    stream = session.send_message_stream("two")
    assert await anext(stream) == "[2] "
    with pytest.raises(IncompleteStreamError):
        await anext(stream)
    assert len(cohere_server.requests) == 2, "what was shown cannot be taken back"
    assert (await session.send_message("three")).content == "[2] You said: three"
    assert cohere_server.model_views[-1].user_texts == ["one", "three"]


def test_a_blocking_manager_answers_too(cohere_environment: CohereServer) -> None:
    with create_session_manager("memory", providers={"cohere": connect_cohere(None)}, blocking=True) as manager:
        session = manager.create_session("user", "cohere", MODEL)
        assert session.send_message("one").content == "[1] You said: one"
        assert "".join(session.send_message_stream("two")) == "[2] You said: two"
