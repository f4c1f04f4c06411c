"""A send that runs tools is one: nothing of another comes between its turns, in this process or another."""

from __future__ import annotations

import asyncio
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import (
    IncompleteStreamError,
    ProviderUnavailableError,
    Session,
    SessionBusyError,
    SessionManager,
    StorageError,
)
from langswarm_sessions.testing.storage_kit import dead_owner
from tests.session.kit import OpenManager, rows_of, until
from tests.tool_calls.kit import BOTH, Tools, called, roles, shown
from tests.tool_calls.programs import PRELOAD, run_tools_in_turn
from tests.tool_calls.programs import open_manager as open_shared


async def test_another_send_waits_for_the_whole(session: Session) -> None:
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done", "second answered"])
    first = asyncio.ensure_future(session.send_message("first", tools=tools.all, run_tools=True))
    await tools.started.wait()
    second = asyncio.ensure_future(session.send_message("second"))
    await asyncio.sleep(0)
    tools.go_on.set()
    assert (await first).content == "done"
    assert (await second).content == "second answered"
    assert shown(await session.get_messages())[-3:] == ["done", "second", "second answered"]


async def test_another_manager_waits_for_the_whole(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    other = await open_manager(turn_wait=0.2).get_session("s")
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    first = asyncio.ensure_future(session.send_message("first", tools=tools.all, run_tools=True))
    await tools.started.wait()
    with pytest.raises(SessionBusyError):
        await other.send_message("second")
    tools.go_on.set()
    assert (await first).content == "done"
    assert (await other.send_message("third")).content == "Mock response to: third"


async def test_the_lease_is_beaten_while_tools_run(open_manager: OpenManager) -> None:
    manager = open_manager(lease_seconds=0.1)
    session = await manager.create_session("user", "mock", "m", session_id="s")
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    send = asyncio.ensure_future(session.send_message("go", tools=tools.all, run_tools=True))
    await tools.started.wait()

    async def expiry() -> Any:
        [row] = await rows_of(manager, "SELECT lease_expires_at, lease_turn_id FROM sessions")
        assert row["lease_turn_id"] is not None
        return row["lease_expires_at"]

    first = await expiry()

    async def moved() -> bool:
        return bool(await expiry() > first)

    await until(moved)
    tools.go_on.set()
    assert (await send).content == "done"


async def test_a_lease_lost_while_tools_run_ends_them(open_manager: OpenManager) -> None:
    manager = open_manager(lease_seconds=0.1)
    session = await manager.create_session("user", "mock", "m", session_id="s")
    tools = Tools(held=True)
    session.provider_session.set_responses([BOTH, "done"])
    send = asyncio.ensure_future(session.send_message("go", tools=tools.all, run_tools=True))
    await tools.started.wait()
    storage: Any = manager._services.storage
    dead = dead_owner()

    def let_it_look_dead(connection: Any) -> None:
        from sqlalchemy import text

        connection.execute(text("UPDATE sessions SET lease_pid = :pid, lease_started = 1"), {"pid": dead.pid})

    await storage._runner.write(let_it_look_dead)
    other = await open_manager().get_session("s")
    assert (await other.send_message("mine now")).content == "Mock response to: mine now"
    with pytest.raises(IncompleteStreamError, match="another process took the session over"):
        await asyncio.wait_for(send, 20)
    assert tools.cancelled.is_set()
    assert [row["state"] for row in await rows_of(manager, "SELECT state FROM turns ORDER BY turn_index")] == [
        "completed",
        "completed",
    ]


def test_two_processes_run_tools_in_turn(own_folder: Path) -> None:
    (own_folder / "logs").mkdir()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    asyncio.run(_created(own_folder))
    talks: list[tuple[Any, Any]] = []
    for number in range(2):
        heard, said = context.Pipe(duplex=False)
        process = context.Process(target=run_tools_in_turn, args=(own_folder, number, 5, said))
        process.start()
        said.close()
        talks.append((process, heard))
    answered: list[str] = [text for _, heard in talks for text in heard.recv()]
    for process, _ in talks:
        process.join()
    stored = asyncio.run(_transcript(own_folder))
    assert len(stored) == 4 * len(answered) == 40
    for at in range(0, len(stored), 4):
        exchange = stored[at : at + 4]
        assert roles(exchange) == ["user", "assistant", "tool", "assistant"]
        assert exchange[3].content == f"answer to {exchange[0].content}"


async def _created(folder: Path) -> None:
    async with open_shared(folder, {}) as manager:
        await manager.create_session("user", "mock", "m", session_id="s")


async def _transcript(folder: Path) -> Any:
    async with open_shared(folder, {}) as manager:
        return await (await manager.get_session("s")).get_messages()


async def test_a_result_that_cannot_be_stored_ends_the_send(session: Session, manager: SessionManager) -> None:
    storage: Any = manager._services.storage
    append, tools = storage.append_messages, Tools(held=True)

    async def full(*_: Any, **__: Any) -> Any:
        raise StorageError("The disk is full.")

    session.provider_session.set_responses([BOTH, "done"])
    storage.append_messages = full
    try:
        with pytest.raises(StorageError, match="disk is full"):
            await session.send_message("go", tools=tools.all, run_tools=True)
    finally:
        storage.append_messages = append
    assert tools.cancelled.is_set(), "the other tool was ended"
    tools.go_on.set()
    assert (await session.resume_tools(tools.all)).content == "done"


async def test_hooks_and_events_hear_of_one_send(open_manager: OpenManager) -> None:
    from langswarm_sessions.interfaces import SessionLifecycleHook

    heard: list[str] = []

    class Hook(SessionLifecycleHook):
        async def on_message_sent(self, session_id: str, message: Any) -> None:
            heard.append(message.content)

        async def on_session_error(self, session_id: str, error: Exception) -> None:
            heard.append(type(error).__name__)

    manager = open_manager("memory", hooks=[Hook()])
    session = await manager.create_session("user", "mock", "m", session_id="s")
    events = manager.session_events()
    session.provider_session.set_responses([BOTH, called("place"), "done"])
    await session.send_message("go", tools=Tools().all, run_tools=True)
    assert heard == ["done"]
    assert (await anext(events)).type == "message_sent"
    session.provider_session.fail_next(ProviderUnavailableError("down", retryable=False))
    with pytest.raises(ProviderUnavailableError):
        await session.send_message("go")
    assert heard == ["done", "ProviderUnavailableError"]
    assert (await anext(events)).type == "turn_failed"
