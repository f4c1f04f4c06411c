"""One writer: across managers, processes and deaths."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from langswarm_sessions import (
    ConfigurationError,
    IncompleteStreamError,
    Session,
    SessionArchivedError,
    SessionBusyError,
    SessionManager,
    TurnState,
)
from langswarm_sessions.records import Lease
from tests.session.kit import Gate, OpenManager, in_database, leftovers, until

HOLDS_A_TURN = """
import asyncio, sys
from langswarm_sessions import SessionManager

async def main():
    manager = SessionManager("sqlite", storage_config={"db_path": sys.argv[1]}, lease_seconds=float(sys.argv[2]))
    session = await manager.open_session("s", user_id="user", provider="mock", model="m")
    async def forever():
        yield "part "
        print("in the turn", flush=True)
        await asyncio.Event().wait()
    session.provider_session.set_responses([forever()])
    await session.send_message("of the dead", idempotency_key=sys.argv[3] if len(sys.argv) > 3 else None)

asyncio.run(main())
"""


async def test_two_managers_never_interleave(open_manager: OpenManager) -> None:
    managers = [open_manager() for _ in range(3)]
    await managers[0].create_session("user", "mock", "m", session_id="s")
    sessions = [await manager.get_session("s") for manager in managers]
    await asyncio.gather(*(sessions[number % 3].send_message(f"t{number}") for number in range(18)))
    messages = await sessions[0].get_messages()
    assert len(messages) == 36
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        assert answer.content == f"Mock response to: {question.content}"
        assert answer.turn_id == question.turn_id
    assert len({message.content for message in messages}) == 36


async def test_waiters_are_served_in_the_order_they_came(session: Session) -> None:
    gate = Gate("held")
    session.provider_session.set_responses([gate])
    calls = [asyncio.ensure_future(session.send_message("0"))]
    await gate.asked.wait()
    for number in range(1, 8):
        calls.append(asyncio.ensure_future(session.send_message(str(number))))
        await asyncio.sleep(0)
    gate.let()
    await asyncio.gather(*calls)
    assert [message.content for message in await session.get_messages(role="user")] == [str(n) for n in range(8)]


async def test_waiters_of_several_managers_are_served_in_the_order_they_came(
    open_manager: OpenManager, own_folder: Path
) -> None:
    first = await open_manager().create_session("user", "mock", "m", session_id="s")
    gate = Gate("held")
    first.provider_session.set_responses([gate])
    calls = [asyncio.ensure_future(first.send_message("0"))]
    await gate.asked.wait()
    for number in range(1, 5):
        elsewhere = await open_manager().get_session("s")
        calls.append(asyncio.ensure_future(elsewhere.send_message(str(number))))
        await until(partial(_are_waiting, number, own_folder / "sessions.db"))
    gate.let()
    await asyncio.gather(*calls)
    assert [message.content for message in await first.get_messages(role="user")] == [str(n) for n in range(5)]


@pytest.mark.parametrize("across", [False, True], ids=["one manager", "two managers"])
async def test_waiting_too_long_is_session_busy(open_manager: OpenManager, across: bool) -> None:
    first = await open_manager(turn_wait=0.05).create_session("user", "mock", "m", session_id="s")
    second = await open_manager(turn_wait=0.05).get_session("s") if across else first
    gate = Gate("held")
    first.provider_session.set_responses([gate])
    call = asyncio.ensure_future(first.send_message("one"))
    await gate.asked.wait()
    with pytest.raises(SessionBusyError, match="turn_wait=") as caught:
        await second.send_message("two")
    assert caught.value.retryable
    assert caught.value.session_id == "s"
    gate.let()
    await call
    await second.send_message("three")
    assert [message.content for message in await first.get_messages(role="user")] == ["one", "three"]


async def test_a_starved_loop_keeps_its_lease(open_manager: OpenManager, own_folder: Path) -> None:
    """The loop sleeps for twice the lease; another process that waits all the while must not get in."""
    session = await open_manager(lease_seconds=1.0).create_session("user", "mock", "m", session_id="s")

    async def starving() -> AsyncIterator[str]:
        others.append(_start(SENDS_ONE, str(own_folder / "sessions.db")))
        await until(partial(_are_waiting, 1, own_folder / "sessions.db"))
        time.sleep(2)  # noqa: ASYNC251 - the point: nothing of this loop runs
        assert others[0].poll() is None, "the other process got in"
        yield "still mine"

    others: list[subprocess.Popen[bytes]] = []
    session.provider_session.set_responses([starving()])
    try:
        assert (await session.send_message("mine")).content == "still mine"
    finally:
        ended = await asyncio.to_thread(others[0].wait, 20)
    assert ended == 0
    said = [(message.content, message.status.value) for message in await session.get_messages()]
    assert said == [
        ("mine", "completed"),
        ("still mine", "completed"),
        ("theirs", "completed"),
        ("Mock response to: theirs", "completed"),
    ]


SENDS_ONE = """
import asyncio, sys
from langswarm_sessions import SessionManager

async def main():
    async with SessionManager("sqlite", storage_config={"db_path": sys.argv[1]}) as manager:
        session = await manager.get_session("s")
        await session.send_message("theirs")

asyncio.run(main())
"""


async def test_an_expired_lease_nobody_took_stays_valid(manager: SessionManager, session: Session) -> None:
    gate = Gate("late")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    await _expire(manager)
    gate.let()
    assert (await call).content == "late"


async def test_a_fenced_out_writer_stores_nothing(open_manager: OpenManager) -> None:
    """Taken over because its lease expired unbeaten, the first turn must not write over the second's."""
    slow = open_manager()
    session = await slow.create_session("user", "mock", "m", session_id="s")
    gate = Gate("too late")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    await _expire(slow)
    elsewhere = await open_manager().get_session("s")
    await elsewhere.send_message("two")
    gate.let()
    with pytest.raises(Exception, match=r"took|taken over"):
        await call
    said = [(message.content, message.status.value) for message in await session.get_messages()]
    assert said == [("one", "interrupted"), ("two", "completed"), ("Mock response to: two", "completed")]
    assert (await session.send_message("three")).content == "Mock response to: three"


async def test_the_keeper_ends_a_turn_whose_lease_was_taken(open_manager: OpenManager) -> None:
    slow = open_manager(lease_seconds=0.2)
    session = await slow.create_session("user", "mock", "m", session_id="s")
    gate = Gate("part ", "never", open_pieces=1)
    session.provider_session.set_responses([gate])
    engine: Any = slow._runtime.engine
    beat = engine._keeper._storage.beat
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    engine._keeper._storage.beat = _all_lost
    with pytest.raises(IncompleteStreamError, match="took the session over"):
        await asyncio.wait_for(call, 5)
    engine._keeper._storage.beat = beat
    assert gate.closed
    assert not await leftovers(slow)


@pytest.mark.parametrize("key", [None, "k"])
async def test_a_killed_process_is_taken_over_at_once(
    open_manager: OpenManager, own_folder: Path, key: str | None
) -> None:
    path = own_folder / "sessions.db"
    arguments = [str(path), "3600", *([key] if key else [])]
    child = _start(HOLDS_A_TURN, *arguments)
    assert child.stdout is not None
    try:
        assert await asyncio.to_thread(child.stdout.readline) == b"in the turn\n"
        assert in_database(path, "SELECT lease_pid FROM sessions") == [{"lease_pid": child.pid}]
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    session = await open_manager().get_session("s")
    started = time.monotonic()
    await session.send_message("alive")
    assert time.monotonic() - started < 10, "of a lease of an hour"
    said = [(message.content, message.status.value) for message in await session.get_messages()]
    assert said == [
        ("of the dead", "interrupted"),
        ("alive", "completed"),
        ("Mock response to: alive", "completed"),
    ]
    if key:
        await session.send_message("of the dead", idempotency_key=key)
        assert [message.content for message in await session.get_messages(role="user")] == ["alive", "of the dead"]
        assert {message.status.value for message in await session.get_messages()} == {"completed"}


async def test_a_key_of_a_killed_process_is_rerun_in_place(open_manager: OpenManager, own_folder: Path) -> None:
    arguments = [str(own_folder / "sessions.db"), "3600", "k"]
    child = _start(HOLDS_A_TURN, *arguments)
    assert child.stdout is not None
    try:
        assert await asyncio.to_thread(child.stdout.readline) == b"in the turn\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    session = await open_manager().get_session("s")
    reply = await session.send_message("of the dead", idempotency_key="k")
    assert [message.content for message in await session.get_messages()] == ["of the dead", reply.content]
    assert await session.send_message("of the dead", idempotency_key="k") == reply


async def test_a_waiter_that_was_killed_holds_nobody_up(open_manager: OpenManager, own_folder: Path) -> None:
    path = own_folder / "sessions.db"
    session = await open_manager().create_session("user", "mock", "m", session_id="s")
    gate = Gate("held")
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    child = _start(SENDS_ONE, str(path))
    await until(partial(_are_waiting, 1, path))
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    gate.let()
    await call
    started = time.monotonic()
    await session.send_message("two")
    assert time.monotonic() - started < 2, "of the five seconds that a waiter is waited for"
    assert in_database(path, "SELECT * FROM session_waiters") == []


def _are_waiting(count: int, path: Path) -> bool:
    return len(in_database(path, "SELECT * FROM session_waiters")) == count


def _all_lost(leases: list[Lease], _: object) -> list[Lease]:
    return list(leases)


def _start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    heard = subprocess.PIPE if program is HOLDS_A_TURN else subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=heard)


async def _expire(manager: SessionManager) -> None:
    def expire(connection: Connection) -> None:
        connection.execute(text("UPDATE sessions SET lease_expires_at = created_at"))

    storage: Any = manager._services.storage
    await storage._runner.write(expire)


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_beat_that_falls_on_the_finish_takes_nothing_back(
    session: Session, manager: SessionManager, monkeypatch: pytest.MonkeyPatch, streamed: bool
) -> None:
    """The lease of a turn that has just been stored is no more: that is no loss."""
    keeper, storage = manager._runtime.engine._keeper, manager._services.storage
    finish_turn = storage.finish_turn

    async def finish_and_beat(finish: Any) -> Any:
        finished = await finish_turn(finish)
        await asyncio.to_thread(keeper._beat, list(keeper._held.values()))
        await asyncio.sleep(0)
        return finished

    monkeypatch.setattr(storage, "finish_turn", finish_and_beat)
    for number in range(3):
        if streamed:
            stream = session.send_message_stream(f"q{number}")
            assert "".join([chunk async for chunk in stream]) == f"Mock response to: q{number}"
        else:
            assert (await session.send_message(f"q{number}")).content == f"Mock response to: q{number}"
    assert {message.status for message in await session.get_messages()} == {TurnState.COMPLETED}
    assert await leftovers(manager) == []


async def test_a_waiter_that_is_refused_leaves_the_line(open_manager: OpenManager, own_folder: Path) -> None:
    first = await open_manager().create_session("user", "mock", "m", session_id="s")
    elsewhere = open_manager()
    gate = Gate("held")
    first.provider_session.set_responses([gate])
    call = asyncio.ensure_future(first.send_message("one"))
    await gate.asked.wait()
    waiter = asyncio.ensure_future((await elsewhere.get_session("s")).send_message("two"))
    await until(partial(_are_waiting, 1, own_folder / "sessions.db"))
    await first.archive()
    with pytest.raises(SessionArchivedError):
        await waiter
    assert _are_waiting(0, own_folder / "sessions.db")
    gate.let()
    await call


async def test_a_waiter_that_is_cancelled_while_it_asks_leaves_the_line(
    open_manager: OpenManager, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await open_manager().create_session("user", "mock", "m", session_id="s")
    elsewhere = open_manager()
    storage = elsewhere._services.storage
    begin_turn, asks_again = storage.begin_turn, asyncio.Event()

    async def begin_and_then_hang(begin: Any) -> Any:
        if begin.ticket is None:
            return await begin_turn(begin)
        asks_again.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(storage, "begin_turn", begin_and_then_hang)
    gate = Gate("held")
    first.provider_session.set_responses([gate])
    call = asyncio.ensure_future(first.send_message("one"))
    await gate.asked.wait()
    waiter = asyncio.ensure_future((await elsewhere.get_session("s")).send_message("two"))
    await asks_again.wait()
    waiter.cancel()
    await asyncio.wait([waiter])
    assert _are_waiting(0, own_folder / "sessions.db")
    gate.let()
    await call


@pytest.mark.parametrize("seconds", [0, 0.09, -1, float("nan"), "15"])
def test_a_lease_too_short_to_be_beaten_is_refused(seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"lease_seconds must be a finite number of seconds, 0.1 or more"):
        SessionManager("memory", lease_seconds=seconds)
