"""The runs of the SDK that hold a session, each from its first read to its last word."""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from agents import RunContextWrapper
from agents import Usage as UsedByRun

from langswarm_sessions.errors import SessionError
from langswarm_sessions.records import Lease, Usage
from langswarm_sessions.turns import HeldTurn
from langswarm_sessions_frameworks.conversation import Conversation

__all__ = ["Runs"]

logger = logging.getLogger(__name__)

_RUNNER = "agents.run"
"""The module that runs agents. What fails leaves its context to the garbage collector, in the frames of the error."""


@dataclass(slots=True)
class _Run:
    turn: HeldTurn
    is_over: bool = False


class Runs:
    """Lets one run of a session begin after the other.

    The SDK says when a run reads its history, not when it has ended. A run lets go of the session with its last word,
    when it pauses for an approval, when its coroutine or the task it runs in ends, when that task begins another run of
    the session, or when nobody holds its context any more.

    Args:
        conversation: The session.
    """

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._runs: weakref.WeakKeyDictionary[RunContextWrapper[Any], _Run] = weakref.WeakKeyDictionary()

    async def begin(self, context: RunContextWrapper[Any]) -> None:
        """Wait until no other run or turn holds the session, and hold it for this one; again, it does nothing.

        Args:
            context: The run's own.

        Raises:
            SessionBusyError: Another one held it for longer than the manager's turn_wait.
        """
        if context in self._runs:
            return
        task, ran = asyncio.current_task(), list[weakref.ref[Any]]()
        if task is not None:
            asyncio.get_running_loop().call_soon(lambda: ran.extend(map(weakref.ref, _run_of(task))))
        turn = await self._conversation.hold(steps_aside=True)
        self._runs[context] = _Run(turn)
        used = context.usage  # the SDK goes on counting in it
        turn.count(lambda: _usage_of(used))
        weakref.finalize(context, turn.abort).atexit = False
        if task is not None:
            _abort_with(task, turn)
        for run in filter(None, (reference() for reference in ran)):
            weakref.finalize(run, _abort_soon, turn, asyncio.get_running_loop()).atexit = False

    def lease_of(self, context: RunContextWrapper[Any]) -> Lease | None:
        """Return the lease that a run writes under; None for one that holds nothing (any more)."""
        run = self._runs.get(context)
        return None if run is None or run.is_over else run.turn.lease

    async def end(self, context: RunContextWrapper[Any]) -> None:
        """Let go of the session: the run has said its last word."""
        run = self._runs.get(context)
        if run is None or run.is_over:
            return
        run.is_over = True
        run.turn.release()
        await _ended(run.turn)

    async def pause(self, context: RunContextWrapper[Any]) -> None:
        """Let go of the session: the run waits for somebody's approval, and is gone on with by another run."""
        run = self._runs.get(context)
        if run is None or run.is_over:
            return
        run.is_over = True
        run.turn.pause()
        await _ended(run.turn)


def _abort_with(task: asyncio.Task[Any], turn: HeldTurn) -> None:
    """End a run with the task it runs in. A task that goes on does not keep what it ran before."""

    def aborted(ended: asyncio.Task[Any]) -> None:
        turn.abort(_error_of(ended))

    task.add_done_callback(aborted)
    if turn.task is not None:
        turn.task.add_done_callback(lambda _: task.remove_done_callback(aborted))


def _run_of(task: asyncio.Task[Any]) -> list[Any]:
    """Return the SDK's coroutine of the run that a task is in, while it waits; none where it cannot be seen."""
    found: list[Any] = []
    waits: Any = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None)
        if frame is not None and frame.f_globals.get("__name__") == _RUNNER:
            found = [waits]
        waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)
    return found


def _abort_soon(turn: HeldTurn, loop: asyncio.AbstractEventLoop) -> None:
    """End a run whose coroutine has ended, unless its task ends with it, which says why."""
    with suppress(RuntimeError):  # the loop is closed, and with it the turn was released
        loop.call_soon_threadsafe(lambda: loop.call_soon(turn.abort))


async def _ended(turn: HeldTurn) -> None:
    """Wait until the end of a run is stored. What it said is stored already: a failure must not have it said again."""
    try:
        await turn.end()
    except SessionError as error:
        logger.warning(
            "The end of a run could not be stored (%s): its session is free once its lease has expired.",
            type(error).__name__,
        )


def _error_of(task: asyncio.Task[Any]) -> BaseException | None:
    """Return what a task ended with. Looking at it is not taking note: who never does is told so by asyncio."""
    return asyncio.CancelledError() if task.cancelled() else task._exception


def _usage_of(used: UsedByRun) -> Usage | None:
    if not used.total_tokens:
        return None
    return Usage(
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        total_tokens=used.total_tokens,
        cached_tokens=getattr(used.input_tokens_details, "cached_tokens", None) or 0,
        reasoning_tokens=getattr(used.output_tokens_details, "reasoning_tokens", None) or 0,
    )
