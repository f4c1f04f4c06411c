"""Sessions on OpenAI conversations: whatever fails, what the server holds has every message of the user once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions import IncompleteStreamError, ProviderUnavailableError, RetryPolicy, Session, SessionManager
from tests.e2e.openai_kit import CLOCK, Say, kinds, said, sent, turns_of
from tests.session.kit import OpenManager, until
from tests.support.openai_server import Gate, OpenAIServer, Reply, ToolCall, faults
from tests.support.recorded import Recorded

MODEL = "gpt-6-astra"
LOG: dict[str, Any] = {"native": "log", "conversation_metadata": {"who": "ada"}, "metadata": {"what": "turn"}}
FIRST_TEXT = 5
"""Events of a stream up to its first piece of text."""


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    """A session on a conversation, with one turn behind it."""
    session = await manager.create_session("user", "openai", MODEL, strategy="hybrid", provider_config=LOG)
    await session.send_message("one")
    return session


def asked(server: OpenAIServer, method: str, ending: str) -> int:
    """Return how many requests of a method went to a place."""
    paths = [record.path.partition("?")[0] for record in server.requests if record.method == method]
    return sum(path.endswith(ending) for path in paths)


def check_held(server: OpenAIServer, session: Session, *texts: str) -> None:
    """Demand that the session's conversation holds these messages of the user, and none holds one twice."""
    for conversation in server.conversation_ids:
        held = server.held_texts(conversation)
        assert len(held) == len(set(held)), f"said twice: {held}"
    assert session.provider_session_id is not None
    assert server.held_texts(session.provider_session_id) == list(texts)


async def test_turns_go_to_one_conversation(manager: SessionManager, server: OpenAIServer, say: Say) -> None:
    session = await manager.create_session("user", "openai", MODEL, strategy="native", provider_config=LOG)
    assert server.conversation_ids == [], "opened by the first turn"
    for text in ("albatross", "bee", "cat"):
        await say(session, text)
    (conversation,) = server.conversation_ids
    assert session.provider_session_id == conversation
    bodies = [sent(server, at) for at in range(3)]
    assert [body["conversation"] for body in bodies] == [conversation] * 3
    assert all("previous_response_id" not in body for body in bodies)
    assert [body["input"] for body in bodies] == [[said("user", text)] for text in ("albatross", "bee", "cat")]
    assert bodies[0]["metadata"] == {"what": "turn"}
    (opened,) = [record.body for record in server.requests if record.path == "/v1/conversations"]
    assert opened == {"metadata": {"who": "ada"}}
    check_held(server, session, "albatross", "bee", "cat")
    assert [(turn["state"], turn["mode"]) for turn in await turns_of(manager, session)] == [("completed", "native")] * 3
    assert asked(server, "GET", "/items") == 0, "nothing is looked up while all is well"


async def test_tools_are_answered_in_the_conversation(
    manager: SessionManager, server: OpenAIServer, session: Session
) -> None:
    server.script(Reply(reasoning="Two.", tool_calls=(ToolCall("clock"), ToolCall("clock"))), "noon here, one there")
    calls = (await session.send_message("what time?", tools=[CLOCK])).tool_calls
    results = [{"tool_call_id": call.id, "content": "12"} for call in calls]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    assert kinds(sent(server)) == ["function_call_output", "function_call_output"]
    check_held(server, session, "one", "what time?")


BEFORE_TEXT: dict[str, Callable[[], faults.Fault]] = {
    "dropped before it arrived": faults.drop,
    "dropped after it was answered": lambda: faults.drop(stored=True),
    "cut at once, lost": lambda: faults.cut_stream(after_events=0, stored=False),
    "cut at once, finished": lambda: faults.cut_stream(after_events=0),
    "cut before text, lost": lambda: faults.cut_stream(after_events=4, stored=False),
    "cut before text, finished": lambda: faults.cut_stream(after_events=4),
    "cut before text, lost to the log": lambda: faults.cut_stream(after_events=4, entered=False),
    "ended before text, lost": lambda: faults.end_stream(after_events=4, stored=False),
    "ended before text, finished": lambda: faults.end_stream(after_events=4),
    "error event": lambda: faults.error_event(after_events=4),
    "nested error event": lambda: faults.error_event(after_events=4, nested=True),
    "failed response": lambda: faults.failed_response(after_events=4),
    "garbage event": lambda: faults.corrupt_event(after_events=4),
    "bad gateway": faults.html_bad_gateway,
    "server error": lambda: faults.http_error(500),
    "rate limit": lambda: faults.rate_limit(retry_after=None),
    "locked": lambda: faults.http_error(400, code="conversation_locked"),
    "empty body": faults.empty_body,
}


@pytest.mark.parametrize("how", BEFORE_TEXT)
async def test_a_message_is_entered_once_whatever_fails(
    how: str, session: Session, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    server.fault(BEFORE_TEXT[how]())
    assert (await say(session, "two")).content == "[2] You said: two"
    check_held(server, session, "one", "two")
    assert (await say(session, "three")).content == "[3] You said: three"
    check_held(server, session, "one", "two", "three")
    assert [turn["state"] for turn in await turns_of(manager, session)] == ["completed"] * 3
    rebuilt = how == "cut before text, lost to the log"
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, int(rebuilt), 0]
    assert len(server.conversation_ids) == 1 + rebuilt


@pytest.mark.parametrize("how", ["cut", "ended", "error", "failed"])
async def test_a_turn_that_fails_after_text_is_not_doubled_by_the_next(
    how: str, session: Session, manager: SessionManager, server: OpenAIServer
) -> None:
    after = FIRST_TEXT
    breaks: dict[str, faults.Fault] = {
        "cut": faults.cut_stream(after_events=after),
        "ended": faults.end_stream(after_events=after),
        "error": faults.error_event(after_events=after),
        "failed": faults.failed_response(after_events=after),
    }
    server.fault(breaks[how])
    server.script("[2] never heard whole")
    with pytest.raises((IncompleteStreamError, ProviderUnavailableError)):
        async for _ in session.send_message_stream("two"):
            pass
    assert (await session.send_message("three")).content == "[2] You said: three"
    check_held(server, session, "one", "three")
    assert len(server.conversation_ids) == 2, "what the first one holds is not known"


@pytest.mark.parametrize("stored", [True, False], ids=["finished", "lost"])
@pytest.mark.parametrize("breaks", [faults.cut_stream, faults.end_stream])
async def test_a_plain_call_that_breaks_after_text_is_made_good(
    breaks: Callable[..., faults.Fault], stored: bool, session: Session, server: OpenAIServer
) -> None:
    server.fault(breaks(after_events=FIRST_TEXT + 1, stored=stored))
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert len(server.creates) == (2 if stored else 3)
    check_held(server, session, "one", "two")


async def test_a_reader_that_leaves_does_not_double_its_message(session: Session, server: OpenAIServer) -> None:
    gate = Gate()
    server.script(Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    async with session.send_message_stream("two") as stream:
        assert await anext(stream) == "half "
    gate.open()
    server.wait_until_idle()
    assert (await session.send_message("three")).content == "[3] You said: three"
    check_held(server, session, "one", "two", "three")


PATIENT = RetryPolicy(max_attempts=200, initial_delay=0.01, max_delay=0.01, jitter=0)


@pytest.mark.parametrize("arrives", ["never", "finished", "running"])
async def test_a_timeout_without_a_byte(
    arrives: str, server: OpenAIServer, open_manager: OpenManager, say: Say
) -> None:
    manager = open_manager(retry=PATIENT)
    seconds = 4 if arrives == "running" else 0.5  # half of it is how long an answer still being made is waited for
    session = await manager.create_session("user", "openai", MODEL, provider_config={**LOG, "timeout": seconds})
    await session.send_message("one")
    gate = Gate()
    hold: dict[str, faults.Fault] = {"never": faults.delay(gate), "finished": faults.delay(gate, stored=True)}
    server.fault(hold.get(arrives, faults.run_on(gate, after_events=None)))
    asking = asyncio.ensure_future(say(session, "two"))
    if arrives == "running":  # the second request finds the conversation locked by the first
        await until(lambda: [record.status for record in server.creates][2:] != [])
        gate.open()
    assert (await asking).content == "[2] You said: two"
    gate.open()
    server.wait_until_idle()
    check_held(server, session, "one", "two")
    await say(session, "three")
    check_held(server, session, "one", "two", "three")
    assert len(server.conversation_ids) == 1


async def test_an_answer_still_being_made_is_waited_for(
    session: Session, server: OpenAIServer, recorded: Recorded, say: Say
) -> None:
    gate = Gate()
    server.fault(faults.run_on(gate, after_events=4))
    asking = asyncio.ensure_future(say(session, "two"))
    await until(lambda: asked(server, "GET", server.model_views[-1].response_id) > 0)
    gate.open()
    answer = await asking
    assert answer.content == "[2] You said: two"
    assert answer.provider_metadata["usage"]["total_tokens"] > 0, "read from the response itself"
    assert len(server.creates) == 2, "adopted, not asked for again"
    (event,) = [
        event for span in recorded.spans for event in span.events if event.name == "langswarm.session.turn_reconciled"
    ]
    assert dict(event.attributes or {}) == {"langswarm.reconcile.outcome": "adopted"}
    check_held(server, session, "one", "two")
    await say(session, "three")
    check_held(server, session, "one", "two", "three")


async def test_an_answer_that_is_never_made_is_not_waited_for_without_end(
    server: OpenAIServer, manager: SessionManager, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config={**LOG, "timeout": 0.6})
    await session.send_message("one")
    first = session.provider_session_id
    gate = Gate()
    server.fault(faults.run_on(gate, after_events=4))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert session.provider_session_id != first
    gate.open()
    server.wait_until_idle()
    check_held(server, session, "one", "two")
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 1]


@pytest.mark.parametrize("how", ["deleted", "forgotten", "orphan call", "foreign message"])
async def test_a_conversation_that_is_lost_or_torn_heals(
    how: str, session: Session, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    first = session.provider_session_id
    assert first is not None
    if how == "deleted":
        with server.client() as client:
            client.conversations.delete(first)
    elif how == "forgotten":
        server.forget()
    elif how == "orphan call":  # an aborted answer left its call behind
        server.enter(first, {"type": "function_call", "call_id": "call_9", "name": "clock", "arguments": "{}"})
    else:
        server.enter(first, {"type": "message", "role": "user", "content": "somebody else"})
        server.fault(faults.drop())
    assert (await say(session, "two")).content == "[2] You said: two"
    assert session.provider_session_id != first
    check_held(server, session, "one", "two")
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 1]


async def test_a_first_turn_that_fails_leaves_no_conversation_behind(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config=LOG)
    server.fault(faults.rate_limit(retry_after=None))
    server.fault(faults.drop(stored=True))
    assert (await say(session, "one")).content == "[1] You said: one"
    assert len(server.creates) == 3
    assert server.conversation_ids == [session.provider_session_id]
    opened = [record for record in server.requests if (record.method, record.path) == ("POST", "/v1/conversations")]
    assert len(opened) == 2, "the refused one was used again, the doubtful one was deleted"


async def test_the_kind_of_conversation_may_be_changed(
    manager: SessionManager, server: OpenAIServer, session: Session
) -> None:
    await session.provider_session.update_provider_config({"native": "node"})
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert [item["role"] for item in sent(server)["input"]] == ["user", "assistant", "user"]
    assert "conversation" not in sent(server)
    await session.provider_session.update_provider_config({"native": None})
    assert (await session.send_message("three")).content == "[3] You said: three"
    assert "previous_response_id" in sent(server)
    await session.provider_session.update_provider_config({"native": "none"})
    assert (await session.send_message("four")).content == "[4] You said: four"
    assert sent(server)["store"] is False
    await session.provider_session.update_provider_config({"native": "log"})
    assert (await session.send_message("five")).content == "[5] You said: five"
    check_held(server, session, "one", "two", "three", "four", "five")
