"""What telemetry says of leases: waits, takeovers and losses, each as it happens; and nothing of a turn alone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint
from sqlalchemy import Connection, text

from langswarm_sessions import (
    IncompleteStreamError,
    Session,
    SessionBusyError,
    SessionManager,
    StorageError,
    TurnConflictError,
)
from langswarm_sessions.records import Begun, Lease
from langswarm_sessions.turns.send.foreign import HeldTurn
from tests.session.kit import Gate, OpenManager, in_database, until
from tests.support.recorded import Recorded

WAITS = "langswarm.session.lease.wait"
TAKEOVERS = "langswarm.session.lease.takeovers"
LOST = "langswarm.session.lease.lost"
STORAGE = "langswarm.storage.operation.duration"
ALL = (WAITS, TAKEOVERS, LOST)
PROVIDER = {"gen_ai.provider.name": "mock"}

DIES_IN_A_TURN = """
import asyncio, sys
from langswarm_sessions import SessionManager

async def main():
    manager = SessionManager("sqlite", storage_config={"db_path": sys.argv[1]}, lease_seconds=3600)
    session = await manager.open_session("s", user_id="user", provider="mock", model="m")
    async def forever():
        yield "part "
        print("in the turn", flush=True)
        await asyncio.Event().wait()
    session.provider_session.set_responses([forever()])
    await session.send_message("of the dead")

asyncio.run(main())
"""


class Measured:
    """Managers over one database whose telemetry is kept."""

    def __init__(self, open_manager: OpenManager, recorded: Recorded) -> None:
        self._open_manager = open_manager
        self._recorded = recorded

    def manager(self, **settings: Any) -> SessionManager:
        return self._open_manager(telemetry=self._recorded.telemetry(), **settings)

    def counted(self, metric: str) -> list[tuple[float, dict[str, Any]]]:
        points = self._recorded.points(metric)
        assert all(isinstance(point, NumberDataPoint) for point in points)
        return [(point.value, dict(point.attributes or {})) for point in points if isinstance(point, NumberDataPoint)]

    def measured(self, metric: str) -> list[tuple[float, dict[str, Any]]]:
        """Return the longest measure and the attributes of each series."""
        points = [point for point in self._recorded.points(metric) if isinstance(point, HistogramDataPoint)]
        return [(point.max, dict(point.attributes or {})) for point in points]

    def events(self, name: str) -> list[dict[str, Any]]:
        spans = self._recorded.spans
        return [dict(event.attributes or {}) for span in spans for event in span.events if event.name == name]


@pytest.fixture
def measured(open_manager: OpenManager, recorded: Recorded) -> Measured:
    return Measured(open_manager, recorded)


async def held(session: Session, *pieces: str) -> tuple[Gate, asyncio.Future[Any]]:
    """Begin a turn of the session that goes on until its gate is opened."""
    gate = Gate(*(pieces or ("held",)))
    session.provider_session.set_responses([gate])
    call = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    return gate, call


async def test_a_turn_that_nobody_holds_up_tells_nothing(measured: Measured, recorded: Recorded) -> None:
    session = await measured.manager().create_session("user", "mock", "m")
    await session.send_message("one")
    await session.send_message("two")
    assert [name for name in ALL if recorded.points(name)] == []
    assert [event.name for span in recorded.spans for event in span.events if "lease" in event.name] == []


@pytest.mark.parametrize("across", [False, True], ids=["one manager", "two managers"])
async def test_a_wait_is_measured_and_an_event(measured: Measured, own_folder: Path, across: bool) -> None:
    first = await measured.manager().create_session("user", "mock", "m", session_id="s")
    second = await measured.manager().get_session("s") if across else first
    gate, call = await held(first)
    waiter = asyncio.ensure_future(second.send_message("two"))
    if across:
        await until(partial(_are_waiting, own_folder / "sessions.db"))
    await asyncio.sleep(0.1)  # what is measured
    gate.let()
    await asyncio.gather(call, waiter)
    [(seconds, attributes)] = measured.measured(WAITS)
    assert attributes == {**PROVIDER, "langswarm.lease.held_by": "another_manager" if across else "this_manager"}
    assert 0.09 <= seconds < 10
    [event] = measured.events("langswarm.session.lease_waited")
    assert event.pop("langswarm.lease.wait_seconds") == pytest.approx(seconds, abs=0.001)
    assert event == {"langswarm.lease.held_by": attributes["langswarm.lease.held_by"]}


async def test_the_storage_is_blamed_for_its_own_time_alone(
    measured: Measured, recorded: Recorded, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await measured.manager().create_session("user", "mock", "m", session_id="s")
    elsewhere = measured.manager()
    second = await elsewhere.get_session("s")
    storage = elsewhere._services.storage
    begin_turn: Callable[..., Awaitable[Any]] = storage.begin_turn

    async def slow_in_the_end(begin: Any) -> Any:
        begun = await begin_turn(begin)
        if isinstance(begun, Begun):
            await asyncio.sleep(0.2)
        return begun

    monkeypatch.setattr(storage, "begin_turn", slow_in_the_end)
    gate, call = await held(first)
    waiter = asyncio.ensure_future(second.send_message("two"))
    await until(partial(_are_waiting, own_folder / "sessions.db"))
    await asyncio.sleep(0.3)
    gate.let()
    await asyncio.gather(call, waiter)
    spans = [span for span in recorded.spans if span.name == "langswarm.storage.load"]
    longest_span = max((span.end_time or 0) - (span.start_time or 0) for span in spans) / 1e9
    [longest] = [seconds for seconds, which in measured.measured(STORAGE) if "load" in which.values()]
    [(waited, _)] = measured.measured(WAITS)
    assert waited >= 0.29
    assert 0.19 <= longest <= longest_span - waited + 0.05


@pytest.mark.parametrize("across", [False, True], ids=["one manager", "two managers"])
async def test_who_waits_in_vain_says_so(measured: Measured, across: bool) -> None:
    first = await measured.manager(turn_wait=0.05).create_session("user", "mock", "m", session_id="s")
    second = await measured.manager(turn_wait=0.05).get_session("s") if across else first
    gate, call = await held(first)
    with pytest.raises(SessionBusyError):
        await second.send_message("two")
    [(seconds, attributes)] = measured.measured(WAITS)
    assert seconds > 0
    assert attributes["error.type"] == "langswarm_sessions.SessionBusyError"
    [event] = measured.events("langswarm.session.lease_waited")
    assert event["error.type"] == attributes["error.type"]
    gate.let()
    await call


async def test_who_is_cancelled_while_it_waits_says_so(measured: Measured) -> None:
    manager = measured.manager()
    session = await manager.create_session("user", "mock", "m", session_id="s")
    gate, call = await held(session)
    waiter = asyncio.ensure_future(session.send_message("two"))
    engine: Any = manager._runtime.engine
    await until(lambda: len(engine._gates._lines["s"]) == 2)
    waiter.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiter
    await until(lambda: bool(measured.measured(WAITS)))
    [(_, attributes)] = measured.measured(WAITS)
    assert attributes["error.type"] == "cancelled"
    gate.let()
    await call


async def test_a_dead_process_is_a_takeover(measured: Measured, own_folder: Path) -> None:
    path = own_folder / "sessions.db"
    child = _start(DIES_IN_A_TURN, str(path))
    assert child.stdout is not None
    try:
        assert await asyncio.to_thread(child.stdout.readline) == b"in the turn\n"
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()
    session = await measured.manager().get_session("s")
    await session.send_message("alive")
    await session.send_message("alive still")
    assert measured.counted(TAKEOVERS) == [(1, PROVIDER)]
    assert measured.events("langswarm.session.lease_taken_over") == [{}]
    assert measured.counted(LOST) == []


async def test_a_turn_that_finds_itself_taken_over_is_a_loss(measured: Measured) -> None:
    slow = measured.manager()
    session = await slow.create_session("user", "mock", "m", session_id="s")
    gate, call = await held(session, "too late")
    await _expire(slow)
    elsewhere = await measured.manager().get_session("s")
    await elsewhere.send_message("two")
    gate.let()
    with pytest.raises(TurnConflictError):
        await call
    assert measured.counted(TAKEOVERS) == [(1, PROVIDER)]
    assert measured.counted(LOST) == [(1, PROVIDER)]
    assert measured.events("langswarm.session.lease_lost") == [{}]


async def test_a_turn_whose_keeper_finds_the_lease_gone_is_one_loss(measured: Measured) -> None:
    slow = measured.manager(lease_seconds=0.2)
    session = await slow.create_session("user", "mock", "m", session_id="s")
    gate, call = await held(session, "never")
    engine: Any = slow._runtime.engine
    beat, engine._keeper._storage.beat = engine._keeper._storage.beat, _all_lost
    with pytest.raises(IncompleteStreamError):
        await asyncio.wait_for(call, 5)
    engine._keeper._storage.beat = beat
    assert gate.closed
    assert measured.counted(LOST) == [(1, PROVIDER)]


async def test_a_held_run_that_was_taken_over_is_a_loss(measured: Measured) -> None:
    slow = measured.manager()
    session = await slow.create_session("user", "mock", "m", session_id="s")
    engine: Any = slow._runtime.engine
    turn: HeldTurn = engine.hold(session.record)
    async with turn:
        await _expire(slow)
        await (await measured.manager().get_session("s")).send_message("two")
    assert measured.counted(LOST) == [(1, PROVIDER)]


async def test_an_answer_that_could_not_be_stored_is_no_loss(
    measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = measured.manager()
    session = await manager.create_session("user", "mock", "m")
    storage = manager._services.storage
    finish_turn: Callable[..., Awaitable[Any]] = storage.finish_turn

    async def stored_but_unconfirmed(finish: Any) -> Any:
        await finish_turn(finish)
        raise StorageError("The confirmation was lost.")

    monkeypatch.setattr(storage, "finish_turn", stored_but_unconfirmed)
    monkeypatch.setattr("langswarm_sessions.turns.send.round.stored_after_all", _unknown)
    with pytest.raises(StorageError):
        await session.send_message("one")
    assert measured.counted(LOST) == []


async def _unknown(*_: object) -> None:
    return None


def _start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE)


def _all_lost(leases: Sequence[Lease], _: object) -> list[Lease]:
    return [*leases]


def _are_waiting(path: Path) -> bool:
    return len(in_database(path, "SELECT * FROM session_waiters")) == 1


async def _expire(manager: SessionManager) -> None:
    def expire(connection: Connection) -> None:
        connection.execute(text("UPDATE sessions SET lease_expires_at = created_at"))

    storage: Any = manager._services.storage
    await storage._runner.write(expire)
