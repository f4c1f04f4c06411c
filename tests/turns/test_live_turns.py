"""The running turns of one manager, started and ended on several loops and threads."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from typing import Any

from langswarm_sessions import SessionManager, SessionMessage
from langswarm_sessions.config import OnDisconnect
from langswarm_sessions.turns.readers.live import LiveTurns
from langswarm_sessions.turns.readers.log import TurnLog


def log() -> TurnLog:
    return TurnLog(paced=False, idle_seconds=1, on_disconnect=OnDisconnect.INTERRUPT)


async def ended() -> Any: ...


def plain_task(loop: asyncio.AbstractEventLoop, coro: Any) -> asyncio.Task[Any]:
    return asyncio.Task(coro, loop=loop)


async def test_a_turn_is_known_until_it_has_ended() -> None:
    live = LiveTurns()
    task = asyncio.get_running_loop().create_task(ended())
    held = log()
    live.add("s", task, held)
    assert live.of("s") == live.everywhere() == [(task, held)]
    await task
    await asyncio.sleep(0)
    assert not live.of("s")
    assert not live.everywhere()


async def test_the_end_of_one_turn_forgets_no_turn_that_another_loop_starts_just_then() -> None:
    live = LiveTurns()
    loop = asyncio.get_running_loop()
    other: asyncio.Task[Any] = loop.create_task(asyncio.Event().wait())
    starting = threading.Thread(target=lambda: live.add("s", other, log()))

    class Interleaved(dict[str, Any]):
        def __delitem__(self, key: str) -> None:
            starting.start()
            starting.join(0.2)  # as far as it comes: it has to wait
            super().__delitem__(key)

    live._turns = Interleaved()
    first = loop.create_task(ended())
    live.add("s", first, log())
    await first
    await asyncio.sleep(0)
    await asyncio.to_thread(starting.join)
    assert [task for task, _ in live.of("s")] == [other]
    other.cancel()


async def test_turns_are_made_by_a_factory_of_tasks_that_knows_no_contexts(manager: SessionManager) -> None:
    loop = asyncio.get_running_loop()
    asked_in: ContextVar[str] = ContextVar("asked_in")
    heard: list[str] = []

    class Hears:
        async def process_message(self, session_id: str, message: SessionMessage, context: object) -> None:
            heard.append(asked_in.get())

    manager.add_middleware(Hears())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    session = await manager.create_session("user", "mock", "mock-model")
    loop.set_task_factory(plain_task)
    try:
        token = asked_in.set("here")
        stream = session.send_message_stream("hi")
        asked_in.reset(token)
        assert "".join([chunk async for chunk in stream]) == "Mock response to: hi"
    finally:
        loop.set_task_factory(None)
    assert heard == ["here", "here"]
