"""A caller that is cancelled, at whatever await: nothing is left held, and the next turn works at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from sqlalchemy import Connection

from langswarm_sessions import Session, SessionError, SessionLifecycleHook, SessionManager, SessionMiddleware
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import BeginTurn, SessionContext
from langswarm_sessions.storage.sql.begin import begin_turn
from tests.session.kit import OpenManager, leftovers, until

MOST_STEPS = 120


class _Stepped(Coroutine[Any, Any, Any]):
    """A coroutine that tells when it was suspended."""

    def __init__(self, inner: Coroutine[Any, Any, Any], suspended: Callable[[], None]) -> None:
        self._inner = inner
        self._suspended = suspended

    def send(self, value: Any) -> Any:
        yielded = self._inner.send(value)
        self._suspended()
        return yielded

    def throw(self, *error: Any) -> Any:
        yielded = self._inner.throw(*error)
        self._suspended()
        return yielded

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        raise AssertionError("run it as a task")


class Cancels:
    """Counts the suspensions of all tasks, and cancels a task when the wanted ones come."""

    def __init__(self, *at: int) -> None:
        self.at = set(at)
        self.steps = 0
        self.struck = 0
        self.victim: asyncio.Task[Any] | None = None

    def suspended(self) -> None:
        self.steps += 1
        if self.steps in self.at and self.victim is not None and not self.victim.done():
            self.struck += 1
            asyncio.get_running_loop().call_soon(self.victim.cancel)

    @asynccontextmanager
    async def counting(self) -> AsyncGenerator[None, None]:
        loop = asyncio.get_running_loop()
        before = loop.get_task_factory()

        def factory(of: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
            return asyncio.Task(_Stepped(work, self.suspended), loop=of, **options)

        loop.set_task_factory(factory)
        try:
            yield
        finally:
            loop.set_task_factory(before)


async def in_pieces() -> AsyncIterator[str]:
    """Answer like the mock's pattern, suspending before every piece."""
    for piece in ("Mock ", "response ", "to: a question"):
        await asyncio.sleep(0)
        yield piece
    await asyncio.sleep(0)


async def whole(session: Session) -> None:
    await session.send_message("a question")


async def streamed(session: Session) -> None:
    async for _ in session.send_message_stream("a question"):
        await asyncio.sleep(0)


async def streamed_within(session: Session) -> None:
    async with session.send_message_stream("a question") as stream:
        async for _ in stream:
            pass


async def keyed(session: Session) -> None:
    await session.send_message("a question", idempotency_key="key")


class Slow(SessionMiddleware, SessionLifecycleHook):
    """Suspends wherever it is called."""

    async def process_message(
        self, session_id: str, message: SessionMessage, context: SessionContext
    ) -> SessionMessage:
        await asyncio.sleep(0)
        return message

    async def on_message_sent(self, session_id: str, message: SessionMessage) -> None:
        await asyncio.sleep(0)


Call = Callable[[Session], Awaitable[None]]
CALLS: list[Call] = [whole, streamed, streamed_within, keyed]


@pytest.mark.parametrize("slow", [False, True], ids=["bare", "middleware and hook"])
@pytest.mark.parametrize("call", CALLS)
async def test_cancelled_at_every_await(open_manager: OpenManager, backend: str, call: Call, slow: bool) -> None:
    own = [Slow()] if slow else []
    manager = open_manager(backend, middleware=own, hooks=own)
    for step in range(1, MOST_STEPS):
        session = await manager.create_session("user", "mock", "m", session_id=f"s{step}")
        if not await _cancelled(manager, session, call, Cancels(step)):
            assert step > 8, "a turn has more awaits than that"
            return
    pytest.fail("a turn has fewer awaits than that")


@pytest.mark.parametrize("call", [whole, streamed_within])
@pytest.mark.parametrize("gap", [1, 2, 4])
async def test_cancelled_again_while_it_ends(open_manager: OpenManager, backend: str, call: Call, gap: int) -> None:
    own = [Slow()]
    manager = open_manager(backend, middleware=own, hooks=own)
    for step in range(1, MOST_STEPS, 2):
        session = await manager.create_session("user", "mock", "m", session_id=f"s{step}")
        if not await _cancelled(manager, session, call, Cancels(step, step + gap)):
            return
    pytest.fail("a turn has fewer awaits than that")


async def _cancelled(manager: SessionManager, session: Session, call: Call, cancels: Cancels) -> bool:
    """Cancel a call and look at what is left; return whether it was cancelled before its end."""
    session.provider_session.set_responses([in_pieces()])
    async with cancels.counting():
        cancels.victim = asyncio.ensure_future(call(session))
        with suppress(asyncio.CancelledError):
            await cancels.victim
    await until(lambda: _nothing_left(manager), seconds=3)
    session.provider_session.set_responses([])
    await asyncio.wait_for(session.send_message("the next one"), 3)
    messages = await session.get_messages()
    assert [message.content for message in messages[-2:]] == ["the next one", "Mock response to: the next one"]
    assert [message.seq for message in messages] == list(range(1, len(messages) + 1))
    asked = [message for message in messages if message.content == "a question"]
    assert len(asked) <= 1
    if asked and asked[0].status == "completed":
        assert [message.content for message in messages[:2]] == ["a question", "Mock response to: a question"]
    elif asked:
        assert asked[0].status == "interrupted"
        assert all(message.status == "interrupted" for message in messages[1:-2])
        assert len(messages) <= 4
    if call is keyed:
        again = await session.send_message("a question", idempotency_key="key")
        assert again.content == "Mock response to: a question"
    return cancels.struck > 0


async def _nothing_left(manager: SessionManager) -> bool:
    return not await leftovers(manager)


@pytest.mark.parametrize("call", [whole, streamed_within])
async def test_cancelled_while_waiting_in_line(open_manager: OpenManager, backend: str, call: Call) -> None:
    """Waiters that go away are forgotten; those behind them are served."""
    from tests.session.kit import Gate

    manager = open_manager(backend)
    session = await manager.create_session("user", "mock", "m")
    gate = Gate("first")
    session.provider_session.set_responses([gate])
    first = asyncio.ensure_future(session.send_message("one"))
    await gate.asked.wait()
    leaving = asyncio.ensure_future(call(session))
    last = asyncio.ensure_future(session.send_message("three"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    gate.let()
    assert (await first).content == "first"
    assert (await last).content == "Mock response to: three"
    assert [message.content for message in await session.get_messages(role="user")] == ["one", "three"]


async def test_cancelled_in_the_middle_of_the_transaction_that_begins_a_turn(
    open_manager: OpenManager, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can no longer be stopped: it is undone."""
    inside, cancelled = threading.Event(), threading.Event()

    def begin_and_wait(connection: Connection, begin: BeginTurn) -> Any:
        begun = begin_turn(connection, begin)
        inside.set()
        assert cancelled.wait(5)
        return begun

    manager = open_manager(backend)
    session = await manager.create_session("user", "mock", "m")
    with monkeypatch.context() as patch:
        patch.setattr("langswarm_sessions.storage.sql.storage.begin_turn", begin_and_wait)
        call = asyncio.ensure_future(session.send_message("never"))
        assert await asyncio.to_thread(inside.wait, 5)
        call.cancel()
        asyncio.get_running_loop().call_later(0.01, cancelled.set)
        with pytest.raises(asyncio.CancelledError):
            await call
        await until(lambda: _nothing_left(manager), seconds=3)
    assert session.provider_session.requests == []
    assert (await session.send_message("next")).content == "Mock response to: next"


async def test_closing_the_manager_ends_turns_as_interrupted(open_manager: OpenManager) -> None:
    """Neither the turn that runs nor those in line are cancelled from their callers' view: they are told."""
    from tests.session.kit import Gate

    manager = open_manager()
    session = await manager.create_session("user", "mock", "m", session_id="s")
    gate = Gate("some ", "more", open_pieces=1)
    session.provider_session.set_responses([gate])
    running = asyncio.ensure_future(session.send_message("one"))
    waiting = asyncio.ensure_future(session.send_message("two"))
    await gate.asked.wait()
    await manager.close()
    for call in (running, waiting):
        with pytest.raises(SessionError, match="its manager closed"):
            await call
    reopened = await open_manager().get_session("s")
    first = (await reopened.get_messages())[0]
    assert (first.content, first.status) == ("one", "interrupted")
    assert (await reopened.send_message("three")).content == "Mock response to: three"
