"""Checks: many writers at once lose nothing.

As little as can be is left to luck. One writer is held in the middle of its list while the others write theirs; then
all of them begin each of their writes at the same moment, with lists too long to be written before the others begin.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from langswarm_sessions_langchain.testing.holding import GRACE_SECONDS
from langswarm_sessions_langchain.testing.kit import NotApplicable, Rig, all_of, check, in_thread
from langswarm_sessions_langchain.testing.lists import ROUNDS, expect_whole_lists, list_of
from langswarm_sessions_langchain.testing.other_process import Writer, add_halting, held_list, stop_in
from langswarm_sessions_langchain.testing.subject import Face

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

T = TypeVar("T")

GROUP = "concurrency"
WRITERS = 4
PROCESSES = 2


@check(GROUP, "A server with threads shares one history among them.")
async def threads(rig: Rig) -> str | None:
    """Threads that write to one history."""
    rig.needs(Face.BLOCKING)
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await _write_in_threads(rig, session_id, [history] * WRITERS)
    return None


@check(GROUP, "Each request opens the history anew.")
async def threads_of_their_own(rig: Rig) -> str | None:
    """Threads, each with a history of its own on one session."""
    rig.needs(Face.BLOCKING)
    session_id = rig.new_session_id()
    await _write_in_threads(rig, session_id, [await rig.open(session_id) for _ in range(WRITERS)])
    return None


@check(GROUP, "`abatch` and web servers write from many tasks.")
async def tasks(rig: Rig) -> str | None:
    """Tasks that write to one history."""
    rig.needs(Face.ASYNC)
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await _write_in_tasks(rig, session_id, [history] * WRITERS)
    return None


@check(GROUP, "Each request opens the history anew.")
async def tasks_of_their_own(rig: Rig) -> str | None:
    """Tasks, each with a history of its own on one session."""
    rig.needs(Face.ASYNC)
    session_id = rig.new_session_id()
    await _write_in_tasks(rig, session_id, [await rig.open(session_id) for _ in range(WRITERS)])
    return None


@check(GROUP, "Servers run as several processes; a user's second tab meets another one.")
async def processes(rig: Rig) -> str | None:
    """Processes that write to one session at the same time; this one reads."""
    opens = rig.subject.elsewhere
    if opens is None:
        raise NotApplicable("what it keeps cannot be reached from another process")
    session_id = rig.new_session_id()
    async with AsyncExitStack() as stack:
        start = partial(Writer.started, opens, session_id, face=rig.face)
        writers = await all_of(*(stack.enter_async_context(start(name=str(at))) for at in range(PROCESSES)))

        async def write_all(at: int) -> None:
            if _holds(at):
                await writers[0].write_while(all_of(*(other.write() for other in writers[1:])))
            else:
                await all_of(*(writer.write() for writer in writers))

        await _in_rounds(rig, session_id, write_all, writers=PROCESSES)
    return None


async def _in_rounds(rig: Rig, session_id: str, write_all: Callable[[int], Awaitable[object]], *, writers: int) -> None:
    """Let all writers add their lists, round by round, and look at what is there after each."""
    for at in range(len(ROUNDS)):
        await write_all(at)
        expect_whole_lists(await rig.said(await rig.open(session_id)), writers=writers, rounds=at + 1)


def _holds(at: int) -> bool:
    return ROUNDS[at].passes is not None or ROUNDS[at].part is not None


async def _write_in_threads(rig: Rig, session_id: str, histories: Sequence[BaseChatMessageHistory]) -> None:
    calls = 0

    async def write_all(at: int) -> None:
        nonlocal calls
        start = threading.Barrier(len(histories))

        def write(by: int) -> None:
            start.wait()
            histories[by].add_messages(list_of(str(by), at))

        if not _holds(at):
            await all_of(*(in_thread(partial(write, by)) for by in range(len(histories))))
            return
        hold = _Hold()
        messages, stop = held_list("0", at, hold.halt), stop_in(at, calls)
        first = in_thread(partial(add_halting, histories[0], messages, stop, hold.halt))
        theirs = [partial(kept.add_messages, list_of(str(by), at)) for by, kept in enumerate(histories) if by]
        calls = await hold.during(first, all_of(*map(in_thread, theirs)))

    await _in_rounds(rig, session_id, write_all, writers=len(histories))


async def _write_in_tasks(rig: Rig, session_id: str, histories: Sequence[BaseChatMessageHistory]) -> None:
    async def write_all(at: int) -> None:
        hold = _Hold()
        first = histories[0].aadd_messages(held_list("0", at, hold.halt))
        others = all_of(*(kept.aadd_messages(list_of(str(by), at)) for by, kept in enumerate(histories) if by))
        if ROUNDS[at].passes is None:  # where all tasks have one thread, they change places where they wait
            await all_of(first, others)
        else:
            await hold.during(first, others)

    await _in_rounds(rig, session_id, write_all, writers=len(histories))


class _Hold:
    """Keeps one writer where it is until the others have written."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reached, self._go_on = asyncio.Event(), threading.Event()

    def halt(self) -> None:
        """Stop the thread that calls this, though not for ever: it may be what the others wait for."""
        self._loop.call_soon_threadsafe(self._reached.set)
        self._go_on.wait(GRACE_SECONDS)

    async def during(self, first: Coroutine[Any, Any, T], others: Coroutine[Any, Any, object]) -> T:
        """Let one write, and the others when it is held or has ended; return what the one returned."""
        outcomes: list[T] = []

        async def begin() -> None:
            try:
                outcomes.append(await first)
            finally:
                self._reached.set()

        async def go_between() -> None:
            await self._reached.wait()
            try:
                await others
            finally:
                self._go_on.set()

        await all_of(begin(), go_between())
        return outcomes[0]
