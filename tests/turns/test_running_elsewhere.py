"""Handles of running turns that are read, waited for, ended and kept on other loops and threads than the turn's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from langswarm_sessions import IncompleteStreamError, Session, SessionError, SessionManager
from langswarm_sessions.turns import RunningTurn
from langswarm_sessions.turns.readers.running import RunningTurns
from tests.session.kit import Gate, leftovers, until

T = TypeVar("T")

PIECES = ("one ", "two ", "three")


async def start(session: Session) -> tuple[RunningTurn, Gate]:
    gate = Gate(*PIECES)
    session.provider_session.set_responses([gate])
    turn = await session.start_turn("count")
    await gate.asked.wait()
    return turn, gate


async def read(turn: RunningTurn) -> str:
    return "".join([chunk.text async for chunk in turn.read()])


class Elsewhere:
    """Runs something on a loop of its own, which has nothing else to wake it."""

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self.found: list[object] = []
        self.waits = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._thread.start()

    async def _run(self) -> None:
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(self.waits.set))
        try:
            self.found.append(await self._work())
        except SessionError as error:
            self.found.append(error)

    async def end(self) -> object:
        await until(lambda: bool(self.found))
        await asyncio.to_thread(self._thread.join)
        return self.found[0]


async def test_readers_and_waiters_on_other_loops_are_woken(session: Session) -> None:
    turn, gate = await start(session)
    reading, waiting = Elsewhere(lambda: read(turn)), Elsewhere(turn.result)
    for other in (reading, waiting):
        await asyncio.to_thread(other.waits.wait)
    gate.let()
    assert (await turn.result()).content == "".join(PIECES)
    assert await reading.end() == "".join(PIECES)
    assert getattr(await waiting.end(), "content", None) == "".join(PIECES)
    assert await Elsewhere(lambda: read(turn)).end() == "".join(PIECES), "also after its end"


async def test_another_loop_may_end_a_turn(session: Session, manager: SessionManager) -> None:
    turn, gate = await start(session)
    gate.let(1)
    async for _ in turn.read():
        break
    assert await Elsewhere(turn.cancel).end() is None
    assert turn.is_done
    assert [(m.content, str(m.status)) for m in await session.get_messages()] == [
        ("count", "interrupted"),
        ("one ", "interrupted"),
    ]
    assert isinstance(await Elsewhere(turn.result).end(), IncompleteStreamError)
    assert await leftovers(manager) == []


async def test_a_reader_whose_loop_is_gone_hinders_nobody(session: Session) -> None:
    turn, gate = await start(session)

    async def leave() -> None:
        for work in (turn.result(), read(turn)):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(work, 0.01)

    assert await Elsewhere(leave).end() is None
    gate.let()
    assert (await turn.result()).content == "".join(PIECES)


def test_a_turn_whose_own_loop_is_gone_is_waited_for_by_nobody() -> None:
    manager = SessionManager(storage="memory", lease_seconds=1)
    loop = asyncio.new_event_loop()

    async def begin() -> RunningTurn:
        turn, gate = await start(await manager.create_session("user", "mock", "mock-model", session_id="s"))
        gate.let(1)
        async for _ in turn.read():
            break
        return turn

    turn = loop.run_until_complete(begin())
    loop.close()

    async def look_later() -> None:
        assert turn.is_done
        async with asyncio.timeout(5):
            await turn.cancel()
            with pytest.raises(IncompleteStreamError, match="loop that the turn ran on was closed"):
                await turn.result()
            chunks = turn.read()
            assert (await anext(chunks)).text == "one "
            with pytest.raises(IncompleteStreamError):
                await anext(chunks)
        await manager.close()

    asyncio.run(look_later())


async def test_an_answer_that_was_stored_while_the_turn_was_cancelled_is_its_answer(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = session._runtime.services.storage
    finish, storing, may_store = storage.finish_turn, asyncio.Event(), asyncio.Event()

    async def held(_: object, finished: Any) -> Any:
        storing.set()
        await may_store.wait()
        return await finish(finished)

    monkeypatch.setattr(type(storage), "finish_turn", held)
    turn = await session.start_turn("hi")
    await storing.wait()
    cancelling = asyncio.ensure_future(turn.cancel())
    await until(lambda: turn._log.interruption is not None)
    may_store.set()
    await cancelling
    stored = (await session.get_messages())[-1]
    assert (stored.content, str(stored.status)) == ("Mock response to: hi", "completed")
    assert await turn.result() == stored
    assert await read(turn) == stored.content


def test_turns_are_kept_from_several_threads() -> None:
    turns = RunningTurns()
    late: Any = type("Turn", (), {"session_id": "s", "id": "late", "is_done": False})()
    starting = threading.Thread(target=lambda: turns.add(late))

    class Ended:
        session_id, id = "s", "ended"

        @property
        def is_done(self) -> bool:
            if starting.ident is None:
                starting.start()
                starting.join(0.2)  # as far as it comes: it has to wait
            return True

    ended: Any = Ended()
    turns.add(ended)
    starting.join()
    assert turns.get("s", "late") is late
    assert turns.get("s", "ended") is ended
