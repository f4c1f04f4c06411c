"""Sessions over the real OpenAI SDK when answers fail, break off or are left: what is sent next, what is stored."""

from __future__ import annotations

import asyncio

import pytest

from langswarm_sessions import IncompleteStreamError, RateLimitError, Session, SessionManager
from tests.e2e.openai_kit import Say, said, sent, turns_of
from tests.session.kit import until
from tests.support.openai_server import Gate, OpenAIServer, Reply, faults
from tests.support.recorded import Recorded

MODEL = "gpt-6-astra"
FIRST_TEXT = 5
"""Events of a stream up to its first piece of text."""

strategies = pytest.mark.parametrize("strategy", ["native", "client"])


@pytest.fixture
async def session(request: pytest.FixtureRequest, manager: SessionManager) -> Session:
    """A session with one turn behind it; of the test's strategy, if it has one."""
    strategy = request.node.callspec.params.get("strategy", "native")
    session = await manager.create_session("user", "openai", MODEL, strategy=strategy)
    await session.send_message("one")
    return session


@strategies
async def test_a_rate_limit_is_waited_out(
    strategy: str, session: Session, manager: SessionManager, server: OpenAIServer, recorded: Recorded, say: Say
) -> None:
    server.fault(faults.rate_limit(retry_after=0.05))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert len(server.creates) == 3
    assert sent(server) == sent(server, -2), "the same request, not another one"
    assert (await session.get_metrics()).retries == 1
    assert [turn["retries"] for turn in await turns_of(manager, session)] == [0, 1]
    (retry,) = [event for span in recorded.spans for event in span.events if event.name == "langswarm.turn.retry"]
    assert dict(retry.attributes or {})["langswarm.retry.delay_seconds"] == 0.05


@strategies
async def test_a_rate_limit_that_stays_fails_the_turn_alone(
    strategy: str, session: Session, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    server.fault(faults.rate_limit(retry_after=None), times=3)
    with pytest.raises(RateLimitError):
        await say(session, "two")
    assert len(server.creates) == 4
    assert (await say(session, "three")).content == "[2] You said: three"
    assert [turn["state"] for turn in await turns_of(manager, session)] == ["completed", "failed", "completed"]
    assert server.model_views[-1].user_texts == ["one", "three"]


@pytest.mark.parametrize("how", ["stream left", "call cancelled"])
@strategies
async def test_an_interrupted_answer_is_carried_into_the_next_turn(
    strategy: str, how: str, session: Session, manager: SessionManager, server: OpenAIServer
) -> None:
    gate = Gate()
    server.script(Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    await (leave(session) if how == "stream left" else cancel(session, gate))
    server.wait_until_idle()
    assert (await session.send_message("three")).content == "[3] You said: three"
    new = [said("user", "two"), said("assistant", "half "), said("user", "three")]
    body = sent(server)
    if strategy == "native":
        assert body["previous_response_id"] == server.creates[0].response_id, "not the node nobody heard of"
        assert body["input"] == new
    else:
        assert body["input"] == [said("user", "one"), said("assistant", "[1] You said: one"), *new]
    assert [turn["state"] for turn in await turns_of(manager, session)] == ["completed", "interrupted", "completed"]
    stored = [(message.content, message.status.value) for message in await session.get_messages()]
    assert stored[2:4] == [("two", "interrupted"), ("half ", "interrupted")]


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


BREAKS = {
    "connection breaks": faults.cut_stream,
    "stream just ends": faults.end_stream,
}


@pytest.mark.parametrize("how", BREAKS)
@strategies
async def test_a_stream_cut_after_text_fails_the_turn_alone(
    strategy: str, how: str, session: Session, manager: SessionManager, server: OpenAIServer
) -> None:
    server.script("[2] never heard whole")
    server.fault(BREAKS[how](after_events=FIRST_TEXT))
    stream = session.send_message_stream("two")
    assert await anext(stream) == "[2] "
    with pytest.raises(IncompleteStreamError):
        await anext(stream)
    assert len(server.creates) == 2, "what was shown cannot be taken back"
    turns = await turns_of(manager, session)
    assert [(turn["state"], turn["error_type"]) for turn in turns] == [
        ("completed", None),
        ("failed", "IncompleteStreamError"),
    ]
    assert [(message.content, message.status.value) for message in await session.get_messages()][2:] == [
        ("two", "failed")
    ]
    assert (await session.send_message("three")).content == "[2] You said: three"
    assert server.model_views[-1].user_texts == ["one", "three"]


@pytest.mark.parametrize("how", BREAKS)
@strategies
async def test_a_cut_that_nobody_saw_is_retried(
    strategy: str, how: str, session: Session, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    server.fault(BREAKS[how](after_events=FIRST_TEXT - 1))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert sent(server) == sent(server, -2), "from the same node, whatever became of the other branch"
    assert [(turn["state"], turn["retries"]) for turn in await turns_of(manager, session)] == [
        ("completed", 0),
        ("completed", 1),
    ]
    assert [message.content for message in await session.get_messages()][2:] == ["two", "[2] You said: two"]


@strategies
async def test_a_plain_call_cut_after_text_is_retried_whole(
    strategy: str, session: Session, server: OpenAIServer
) -> None:
    server.fault(faults.cut_stream(after_events=FIRST_TEXT))
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert len(server.creates) == 3
    assert (await session.send_message("three")).content == "[3] You said: three"
