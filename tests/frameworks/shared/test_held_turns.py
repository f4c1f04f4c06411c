"""Turns that are held while somebody else answers."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from opentelemetry.trace import StatusCode

from langswarm_sessions import SessionBusyError, SessionManager, SessionMessage, create_session_manager
from langswarm_sessions.errors import SessionArchivedError, StorageError, TurnConflictError
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import Amendment, Usage
from langswarm_sessions.session import Session
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.turns import HeldTurn
from tests.support.recorded import Recorded


async def say(session: Session, text: str, turn: HeldTurn) -> None:
    await session.amend(Amendment(append=(SessionMessage(role="user", content=text),), held=turn.lease))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def state_of(manager: SessionManager, turn: HeldTurn) -> TurnState | None:
    record = await manager._services.storage.load_turn(turn.lease.session_id, turn.lease.turn_id)
    return None if record is None else record.state


async def test_runs_and_sends_take_turns(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")

    async def run(name: str) -> None:
        async with session.hold_turn() as turn:
            await say(session, f"{name}1", turn)
            await asyncio.sleep(0)
            await say(session, f"{name}2", turn)

    await asyncio.gather(run("a"), run("b"), session.send_message("c"), run("d"))
    told = [message.content for message in await session.get_messages()]
    assert told == ["a1", "a2", "b1", "b2", "c", "Mock response to: c", "d1", "d2"]


async def test_others_that_begin_in_other_threads_cost_no_word(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    is_over = threading.Event()
    failed: list[BaseException] = []

    async def hold_many() -> None:
        while not is_over.is_set():
            _ = [session.hold_turn() for _ in range(20)]

    def run() -> None:
        try:
            asyncio.run(hold_many())
        except BaseException as error:  # noqa: BLE001 - told below
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(2)]
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        async with session.hold_turn() as turn:
            _ = [session.hold_turn() for _ in range(50)]
            for thread in threads:
                thread.start()
            for number in range(100):
                await say(session, f"word {number}", turn)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
        sys.setswitchinterval(switching)
    assert not failed
    assert len(await session.get_messages()) == 100


async def test_one_in_another_process_is_waited_for(tmp_path: Path) -> None:
    config = {"db_path": str(tmp_path / "chat.db")}
    async with (
        create_session_manager(storage="sqlite", storage_config=config) as here,
        create_session_manager(storage="sqlite", storage_config=config, turn_wait=0.05) as there,
    ):
        session = await here.create_session("user", "mock", "mock-model", session_id="s")
        async with session.hold_turn():
            with pytest.raises(SessionBusyError):
                await (await there.get_session("s")).send_message("me, too")
        assert (await (await there.get_session("s")).send_message("now")).content == "Mock response to: now"


async def test_how_it_ends_is_stored_with_its_usage(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    done = session.hold_turn()
    await done.take()
    done.release(usage=Usage(input_tokens=3, output_tokens=2, total_tokens=5))
    await done.end()
    assert await state_of(manager, done) is TurnState.COMPLETED
    assert (await session.get_metrics()).total_tokens == 5
    broken = session.hold_turn()
    with pytest.raises(ZeroDivisionError):
        async with broken:
            raise ZeroDivisionError
    assert await state_of(manager, broken) is TurnState.INTERRUPTED


async def test_a_counter_that_fails_holds_nobody_up(manager: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Usage:
        raise AttributeError

    session = await manager.create_session("user", "mock", "mock-model")
    async with session.hold_turn() as turn:
        turn.count(broken)
    assert await state_of(manager, turn) is TurnState.COMPLETED
    assert (await session.send_message("now")).content == "Mock response to: now"
    assert "could not be counted (AttributeError)" in caplog.text


async def test_nothing_is_written_under_a_lease_that_was_given_back(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    async with session.hold_turn() as turn:
        pass
    with pytest.raises(TurnConflictError):
        await say(session, "late", turn)
    assert await session.get_messages() == []


async def test_one_that_steps_aside_makes_way_for_its_own_task_alone(tmp_path: Path) -> None:
    async with create_session_manager(storage="memory", turn_wait=0.05) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        turn = session.hold_turn(steps_aside=True)
        await turn.take()
        with pytest.raises(SessionBusyError):
            await asyncio.create_task(session.send_message("somebody else"))
        assert (await session.send_message("it itself")).content == "Mock response to: it itself"
        assert await state_of(manager, turn) is TurnState.INTERRUPTED


async def test_waiting_that_is_cancelled_leaves_no_place_in_line(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    async with session.hold_turn():
        waiting = asyncio.create_task(session.hold_turn().take())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert (await session.send_message("next")).content == "Mock response to: next"


async def test_closing_the_manager_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    manager = create_session_manager(storage="memory")
    session = await manager.create_session("user", "mock", "mock-model")
    turn = session.hold_turn()
    await turn.take()
    await manager.close()
    assert not turn.is_held
    assert caplog.records == []


async def test_closing_the_manager_leaves_one_that_was_released_complete(tmp_path: Path) -> None:
    config = {"db_path": str(tmp_path / "chat.db")}
    manager = create_session_manager(storage="sqlite", storage_config=config)
    session = await manager.create_session("user", "mock", "mock-model")
    turn = session.hold_turn()
    await turn.take()
    turn.release()
    await manager.close()
    async with create_session_manager(storage="sqlite", storage_config=config) as later:
        assert await state_of(later, turn) is TurnState.COMPLETED


def test_a_loop_that_ends_gives_it_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = {"db_path": str(tmp_path / "chat.db")}

    async def leave() -> None:
        manager = create_session_manager(storage="sqlite", storage_config=config)
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        await session.hold_turn().take()

    async def go_on() -> str:
        async with create_session_manager(storage="sqlite", storage_config=config, turn_wait=1) as manager:
            return (await (await manager.get_session("s")).send_message("next")).content

    asyncio.run(leave())
    gc.collect()
    assert asyncio.run(go_on()) == "Mock response to: next"
    assert caplog.records == []


def test_one_released_on_a_loop_that_stopped_is_let_go_of_for_all(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def opened() -> SessionManager:
        storage = SQLiteSessionStorage(db_path=str(tmp_path / "chat.db"))
        return SessionManager(storage=storage, lease_seconds=1, turn_wait=20)

    async def say(manager: SessionManager, text: str) -> None:
        await (await manager.get_session("s")).send_message(text)

    async def leave() -> HeldTurn:
        turn = (await manager.create_session("user", "mock", "mock-model", session_id="s")).hold_turn()
        await turn.take()
        return turn

    async def others() -> None:
        async with opened() as other:
            await asyncio.gather(say(manager, "one"), say(other, "two"))

    async def end() -> TurnState | None:
        await turn.end()
        return await state_of(manager, turn)

    manager, loop = opened(), asyncio.new_event_loop()
    turn = loop.run_until_complete(leave())
    turn.abort()
    asyncio.run(others())
    assert loop.run_until_complete(end()) is TurnState.INTERRUPTED
    loop.run_until_complete(manager.close())
    loop.close()
    assert caplog.records == []


async def test_an_archived_session_refuses(manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model")
    await session.archive()
    with pytest.raises(SessionArchivedError):
        await session.hold_turn().take()


async def failing(*_: object) -> None:
    raise StorageError("The database is away.")


async def test_an_end_that_is_not_stored_is_raised_where_it_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = Recorded()
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        monkeypatch.setattr(manager._services.storage, "finish_turn", failing)
        with pytest.raises(StorageError, match="away"):
            async with session.hold_turn():
                pass
    [span] = [span for span in recorded.spans if span.name.startswith("invoke_agent")]
    assert span.status.status_code is StatusCode.ERROR
    assert caplog.records == []


async def test_an_end_that_is_not_stored_and_nobody_waits_for_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with create_session_manager(storage="memory") as manager:
        session = await manager.create_session("user", "mock", "mock-model", session_id="s")
        monkeypatch.setattr(manager._services.storage, "finish_turn", failing)
        turn = session.hold_turn()
        await turn.take()
        task = turn._task
        turn.release()
        assert task is not None
        await asyncio.wait({task})
        await asyncio.sleep(0)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "session s could not be stored (StorageError)" in record.getMessage()


async def test_what_went_wrong_in_the_block_is_told_before_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with create_session_manager(storage="memory") as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        monkeypatch.setattr(manager._services.storage, "finish_turn", failing)
        with pytest.raises(ZeroDivisionError):
            async with session.hold_turn():
                raise ZeroDivisionError
    assert "could not be stored" in caplog.text


ENDS: dict[str | None, Callable[[HeldTurn], None]] = {
    None: HeldTurn.release,
    "paused": HeldTurn.pause,
    "abandoned": HeldTurn.abort,
    "cancelled": lambda turn: turn.abort(asyncio.CancelledError()),
    "ZeroDivisionError": lambda turn: turn.abort(ZeroDivisionError()),
    "langswarm_sessions.StorageError": lambda turn: turn.abort(StorageError("away")),
}


@pytest.mark.parametrize(("outcome", "end"), ENDS.items(), ids=map(str, ENDS))
async def test_how_it_ends_is_told(outcome: str | None, end: Callable[[HeldTurn], None]) -> None:
    recorded = Recorded()
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        turn = session.hold_turn()
        await turn.take()
        turn.count(lambda: Usage(input_tokens=3, output_tokens=2, total_tokens=5))
        await say(session, "said", turn)
        end(turn)
        turn.release()  # too late
        await turn.end()
        stored = await manager._services.storage.load_turn(turn.lease.session_id, turn.lease.turn_id)
        tokens = (await session.get_metrics()).total_tokens
        assert [message.content for message in await session.get_messages()] == ["said"]
    error_type = None if outcome == "paused" else outcome
    span = recorded.span("invoke_agent session")
    assert (span.attributes or {}).get("error.type") == error_type
    assert span.status.status_code is (StatusCode.UNSET if error_type is None else StatusCode.ERROR)
    assert [event.name for event in span.events] == ["langswarm.session.turn_paused"] * (outcome == "paused")
    [point] = recorded.points("langswarm.session.turn.duration")
    assert (point.attributes or {}).get("error.type") == error_type
    assert stored is not None
    assert stored.state is (TurnState.COMPLETED if outcome is None else TurnState.INTERRUPTED)
    assert (stored.error_type or "") == ((outcome or "").rpartition(".")[2] if "Error" in (outcome or "") else "")
    assert tokens == (0 if outcome == "paused" else 5), "the run that goes on with it counts them"


@pytest.mark.parametrize(
    ("error", "outcome"), [(ZeroDivisionError(), "ZeroDivisionError"), (asyncio.CancelledError(), "cancelled")]
)
async def test_a_block_that_is_left_with_an_error_tells_of_it(error: BaseException, outcome: str) -> None:
    recorded = Recorded()
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        with pytest.raises(type(error)):
            async with session.hold_turn():
                raise error
    assert (recorded.span("invoke_agent session").attributes or {})["error.type"] == outcome


async def test_it_does_not_hold_on_to_what_was_at_hand_where_it_was_broken_off(manager: SessionManager) -> None:
    class Local: ...

    session = await manager.create_session("user", "mock", "mock-model")
    turn, seen = session.hold_turn(), list[weakref.ref[Local]]()

    async def run() -> None:
        local = Local()
        seen.append(weakref.ref(local))
        async with turn:
            raise ConnectionError(local.__class__.__name__)

    with suppress(ConnectionError):
        await run()
    gc.collect()
    assert await state_of(manager, turn) is TurnState.INTERRUPTED
    assert seen[0]() is None


async def test_one_that_its_manager_ends_is_cancelled_and_one_that_was_taken_over_lost() -> None:
    recorded = Recorded()
    async with create_session_manager(storage="memory", telemetry=recorded.telemetry()) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        lost = session.hold_turn()
        await lost.take()
        lost._lost()
        await lost.end()
        await session.hold_turn().take()
    told = [span.attributes or {} for span in recorded.spans if span.name == "invoke_agent session"]
    assert [attributes["error.type"] for attributes in told] == ["lease_lost", "cancelled"]


def test_one_whose_loop_is_closed_under_it_is_abandoned() -> None:
    async def hold() -> HeldTurn:
        turn = (await manager.create_session("user", "mock", "mock-model")).hold_turn()
        await turn.take()
        return turn

    recorded = Recorded()
    manager = create_session_manager(storage="memory", telemetry=recorded.telemetry())
    loop = asyncio.new_event_loop()
    turn = loop.run_until_complete(hold())
    loop.close()
    assert turn.interrupt() is None
    assert (recorded.span("invoke_agent session").attributes or {})["error.type"] == "abandoned"
    asyncio.run(manager.close())
