"""Recorded once, never silently rerun."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import (
    AuthenticationError,
    Session,
    SessionError,
    SessionManager,
    ToolCall,
    TurnConflictError,
)
from tests.session.kit import Gate, OpenManager, rows_of


def asked(session: Session) -> int:
    return len(session.provider_session.requests)


async def test_the_same_key_returns_the_recorded_answer_without_a_call(session: Session) -> None:
    first = await session.send_message("pay", idempotency_key="k")
    again = await session.send_message("pay", idempotency_key="k")
    assert (again.message_id, again.content, again.seq) == (first.message_id, first.content, first.seq)
    assert again.provider_metadata == first.provider_metadata
    assert asked(session) == 1
    assert len(await session.get_messages()) == 2
    assert (await session.get_metrics()).total_messages == 2


async def test_a_recorded_answer_can_be_streamed(session: Session) -> None:
    first = await session.send_message("pay", idempotency_key="k")
    stream = session.send_message_stream("pay", idempotency_key="k")
    assert "".join([chunk async for chunk in stream]) == first.content
    assert stream.message.message_id == first.message_id
    assert asked(session) == 1


async def test_the_key_with_another_input_is_a_conflict(session: Session) -> None:
    await session.send_message("pay", idempotency_key="k")
    with pytest.raises(TurnConflictError, match="new key"):
        await session.send_message("pay twice", idempotency_key="k")
    assert asked(session) == 1
    assert len(await session.get_messages()) == 2


async def test_the_key_belongs_to_its_session(session: Session, open_manager: OpenManager) -> None:
    await session.send_message("pay", idempotency_key="k")
    other = await open_manager("memory").create_session("user", "mock", "m")
    assert (await other.send_message("other", idempotency_key="k")).content == "Mock response to: other"


async def test_the_key_of_a_pending_turn_waits_for_it(session: Session) -> None:
    gate = Gate("done")
    session.provider_session.set_responses([gate])
    first = asyncio.ensure_future(session.send_message("pay", idempotency_key="k"))
    await gate.asked.wait()
    again = asyncio.ensure_future(session.send_message("pay", idempotency_key="k"))
    await asyncio.sleep(0)
    assert not again.done()
    gate.let()
    assert (await again).message_id == (await first).message_id
    assert asked(session) == 1


async def test_the_key_of_a_pending_turn_waits_for_it_across_managers(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    gate = Gate("done")
    session.provider_session.set_responses([gate])
    first = asyncio.ensure_future(session.send_message("pay", idempotency_key="k"))
    await gate.asked.wait()
    elsewhere = await open_manager().get_session("s")
    again = asyncio.ensure_future(elsewhere.send_message("pay", idempotency_key="k"))
    other = asyncio.ensure_future(elsewhere.send_message("else", idempotency_key="k"))
    gate.let()
    assert (await again).message_id == (await first).message_id
    with pytest.raises(TurnConflictError):
        await other
    assert elsewhere.provider_session.requests == []


async def test_after_a_failure_it_is_rerun_in_place(session: Session) -> None:
    await session.send_message("before")
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("pay", idempotency_key="k")
    reply = await session.send_message("pay", idempotency_key="k")
    messages = await session.get_messages()
    assert [message.content for message in messages] == [
        "before",
        "Mock response to: before",
        "pay",
        "Mock response to: pay",
    ]
    assert {message.status for message in messages} == {"completed"}
    assert reply.message_id == messages[-1].message_id
    assert (await session.get_metrics()).total_messages == 4
    assert (await session.send_message("pay", idempotency_key="k")).message_id == reply.message_id


async def test_a_rerun_after_other_turns_moves_to_the_end(session: Session) -> None:
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("pay", idempotency_key="k")
    await session.send_message("meanwhile")
    await session.send_message("pay", idempotency_key="k")
    said = [message.content for message in await session.get_messages()]
    assert said == ["meanwhile", "Mock response to: meanwhile", "pay", "Mock response to: pay"]
    told = [text for role, text in session.provider_session.seen if role == "user"]
    assert told == ["meanwhile", "pay"]


async def test_an_interrupted_turn_is_rerun_with_its_key(session: Session) -> None:
    async with session.send_message_stream("pay", idempotency_key="k") as stream:
        await anext(stream)
    reply = await session.send_message("pay", idempotency_key="k")
    messages = await session.get_messages()
    assert [message.content for message in messages if message.status == "completed"] == ["pay", reply.content]
    assert [message.seq for message in messages] == sorted(message.seq or 0 for message in messages)
    assert len([message for message in messages if message.content == "pay"]) == 1


@pytest.mark.parametrize("native", ["node", "log"])
async def test_an_interrupted_turn_rerun_after_another_is_given_to_the_provider_once(
    manager: SessionManager, native: str
) -> None:
    session = await manager.create_session("user", "mock", "m", provider_config={"native": native})
    async with session.send_message_stream("pay", idempotency_key="k") as stream:
        await anext(stream)
    await session.send_message("meanwhile")
    await session.send_message("pay", idempotency_key="k")
    told = [text for role, text in session.provider_session.seen if role == "user"]
    assert told.count("pay") == 1


async def test_a_failed_turn_without_a_key_is_never_rerun_by_itself(session: Session) -> None:
    session.provider_session.fail_next("auth")
    with pytest.raises(AuthenticationError):
        await session.send_message("pay")
    await session.send_message("pay")
    assert [message.status for message in await session.get_messages()] == ["failed", "completed", "completed"]


async def test_sixteen_at_once_with_one_key_are_one_turn(open_manager: OpenManager, backend: str) -> None:
    manager = open_manager(backend)
    session = await manager.create_session("user", "mock", "m")
    replies = await asyncio.gather(*(session.send_message("pay", idempotency_key="k") for _ in range(16)))
    assert len({reply.message_id for reply in replies}) == 1
    assert asked(session) == 1
    assert await rows_of(manager, "SELECT COUNT(*) AS turns FROM turns") == [{"turns": 1}]


async def test_tool_results_can_be_sent_again_with_their_key(session: Session) -> None:
    session.provider_session.set_responses([ToolCall(id="c1", name="clock", arguments={}), "noon"])
    await session.send_message("time?")
    first = await session.send_tool_results([{"tool_call_id": "c1", "content": "12"}], idempotency_key="k")
    again = await session.send_tool_results([{"tool_call_id": "c1", "content": "12"}], idempotency_key="k")
    assert again.message_id == first.message_id
    assert asked(session) == 2
    with pytest.raises(TurnConflictError):
        await session.send_tool_results([{"tool_call_id": "c1", "content": "13"}], idempotency_key="k")
    with pytest.raises(SessionError, match="asks for no tool"):
        await session.send_tool_results([{"tool_call_id": "c1", "content": "12"}], idempotency_key="another")


@pytest.mark.parametrize("key", ["", " ", "x" * 256, 5, "a\x00b"])
async def test_a_bad_key_is_refused_by_name(session: Session, key: Any) -> None:
    with pytest.raises(ValueError, match="idempotency_key"):
        await session.send_message("hi", idempotency_key=key)
    assert await session.get_messages() == []
