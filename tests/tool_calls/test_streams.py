"""Streams of a send that runs tools: the text of every round in order, and leaving in the middle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager, create_session_manager
from langswarm_sessions.config import OnDisconnect
from tests.session.kit import until
from tests.tool_calls.kit import BOTH, Tools, called, roles, shown


async def test_the_text_of_every_round_comes_in_order(session: Session) -> None:
    session.provider_session.set_responses([BOTH, called("place"), "all is done"])
    stream = session.send_message_stream("go", tools=Tools().all, run_tools=True)
    assert "".join([chunk async for chunk in stream]) == "all is done"
    assert stream.message.content == "all is done"
    assert roles(await session.get_messages()) == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]


async def test_leaving_while_tools_run_cancels_them(session: Session) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    stream = session.send_message_stream("go", tools=tools.all, run_tools=True)
    reading = asyncio.ensure_future(anext(stream))

    async def stored() -> bool:
        return len(await session.get_messages()) == 3 and tools.started.is_set()

    await until(stored)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await stream.aclose()
    assert tools.cancelled.is_set()
    assert shown(await session.get_messages()) == ["go", ["c1", "c2"], ["in s of user"]]
    tools.go_on.set()
    assert (await session.resume_tools(tools.all)).content == "done"


async def test_a_turn_that_survives_its_reader_runs_its_tools(manager: SessionManager) -> None:
    config = {"on_disconnect": OnDisconnect.FINISH}
    session = await manager.create_session("user", "mock", "m", session_id="s", session_config=config)
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    stream = session.send_message_stream("go", tools=tools.all, run_tools=True)
    reading = asyncio.ensure_future(anext(stream))
    await tools.started.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    tools.go_on.set()

    async def answered() -> bool:
        return "done" in shown(await session.get_messages())

    await until(answered)


async def test_running_turns_run_tools_and_are_cancelled_in_them(session: Session) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done", called("place"), "two words"])
    turn = await session.start_turn("go", tools=tools.all, run_tools=True)
    await tools.started.wait()
    await turn.cancel()
    assert turn.is_done
    assert tools.cancelled.is_set()
    tools.go_on.set()
    assert (await session.resume_tools(tools.all)).content == "done"
    turn = await session.start_turn("again", tools=tools.all, run_tools=True)
    assert "".join([chunk.text async for chunk in turn.read()]) == "two words"


async def test_a_recorded_send_streams_all_it_said(session: Session) -> None:
    session.provider_session.set_responses([BOTH, "done"])
    tools = Tools()
    await session.send_message("go", tools=tools.all, run_tools=True, idempotency_key="key")
    stream = session.send_message_stream("go", tools=tools.all, run_tools=True, idempotency_key="key")
    assert "".join([chunk async for chunk in stream]) == "done"
    assert len(tools.runs) == 2


def test_blocking_streams_run_tools() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        session = manager.create_session("user", "mock", "m")
        session.provider_session.set_responses([called("place"), "done"])
        stream = session.send_message_stream("go", tools=Tools().all[1:], run_tools=True)
        assert "".join(stream) == "done"


async def test_closing_the_manager_ends_running_tools(open_manager: Any) -> None:
    manager = open_manager()
    session = await manager.create_session("user", "mock", "m", session_id="s")
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH])
    await session.start_turn("go", tools=tools.all, run_tools=True)
    await tools.started.wait()
    await manager.close()
    assert tools.cancelled.is_set()
