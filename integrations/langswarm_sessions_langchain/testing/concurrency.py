"""Checks: many writers at once lose nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langswarm_sessions_langchain.testing.kit import Broken, NotApplicable, Rig, all_of, check, expect, in_thread
from langswarm_sessions_langchain.testing.other_process import WRITES, Writer, pair
from langswarm_sessions_langchain.testing.subject import Face

if TYPE_CHECKING:
    from langchain_core.chat_history import BaseChatMessageHistory

GROUP = "concurrency"
WRITERS = 6
PROCESSES = 2


def _turn(writer: int, at: int) -> list[BaseMessage]:
    question, answer = pair(str(writer), at)
    return [HumanMessage(question), AIMessage(answer)]


@check(GROUP, "A server with threads shares one history among them.")
async def threads(rig: Rig) -> str | None:
    """Threads that write to one history."""
    rig.needs(Face.BLOCKING)
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await _write_in_threads([history] * WRITERS)
    _nothing_lost(await rig.said(await rig.open(session_id)), WRITERS)
    return None


@check(GROUP, "Each request opens the history anew.")
async def threads_of_their_own(rig: Rig) -> str | None:
    """Threads, each with a history of its own on one session."""
    rig.needs(Face.BLOCKING)
    session_id = rig.new_session_id()
    await _write_in_threads([await rig.open(session_id) for _ in range(WRITERS)])
    _nothing_lost(await rig.said(await rig.open(session_id)), WRITERS)
    return None


@check(GROUP, "`abatch` and web servers write from many tasks.")
async def tasks(rig: Rig) -> str | None:
    """Tasks that write to one history."""
    rig.needs(Face.ASYNC)
    session_id = rig.new_session_id()
    history = await rig.open(session_id)
    await _write_in_tasks([history] * WRITERS)
    _nothing_lost(await rig.said(await rig.open(session_id)), WRITERS)
    return None


@check(GROUP, "Each request opens the history anew.")
async def tasks_of_their_own(rig: Rig) -> str | None:
    """Tasks, each with a history of its own on one session."""
    rig.needs(Face.ASYNC)
    session_id = rig.new_session_id()
    await _write_in_tasks([await rig.open(session_id) for _ in range(WRITERS)])
    _nothing_lost(await rig.said(await rig.open(session_id)), WRITERS)
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
        for _ in range(WRITES):
            await all_of(*(writer.write_turn() for writer in writers))
    _nothing_lost(await rig.said(await rig.open(session_id)), PROCESSES)
    return None


async def _write_in_threads(histories: Sequence[BaseChatMessageHistory]) -> None:
    start = threading.Barrier(len(histories))

    def write(writer: int, history: BaseChatMessageHistory) -> None:
        start.wait()
        for at in range(WRITES):
            history.add_messages(_turn(writer, at))

    await all_of(*(in_thread(partial(write, *numbered)) for numbered in enumerate(histories)))


async def _write_in_tasks(histories: Sequence[BaseChatMessageHistory]) -> None:
    async def write(history: BaseChatMessageHistory, writer: int) -> None:
        for at in range(WRITES):
            await history.aadd_messages(_turn(writer, at))

    await all_of(*(write(history, writer) for writer, history in enumerate(histories)))


def _nothing_lost(said: Sequence[str], writers: int) -> None:
    turns = [pair(str(writer), at) for writer in range(writers) for at in range(WRITES)]
    expected = {text for turn in turns for text in turn}
    lost = expected - {*said}
    expect(not lost, f"{len(lost)} of {len(expected)} messages were lost")
    expect(len(said) == len(expected), f"{len(expected)} were added, {len(said)} came back")
    place = {text: at for at, text in enumerate(said)}
    for earlier, later in itertools.pairwise(turns):
        if earlier[0][0] == later[0][0] and place[earlier[0]] > place[later[0]]:
            raise Broken("the order in which one writer wrote was not kept")
    torn = sum(place[answer] != place[question] + 1 for question, answer in turns)
    expect(not torn, f"{torn} of {len(turns)} questions stand apart from their answers, which were added with them")
