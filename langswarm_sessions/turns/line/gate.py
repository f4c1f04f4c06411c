"""Waiting in line for a session, within this process: first come, first served, across loops and threads."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from typing import Any

__all__ = ["SessionGates"]


@dataclass(slots=True, eq=False)
class _Place:
    """One turn's place in a line; the first one is in."""

    loop: asyncio.AbstractEventLoop
    task: weakref.ref[asyncio.Task[object]] | None
    turn: asyncio.Future[None] | None = None
    is_in: bool = False


class SessionGates:
    """One gate a session; a gate exists only while a turn is in or waits. A turn enters and leaves in one task."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a coroutine the collector ends steps out in whatever thread that runs
        self._lines: dict[str, deque[_Place]] = {}

    def is_free(self, session_id: str) -> bool:
        """Whether a turn that enters now need not wait.

        Args:
            session_id: Whose gate.
        """
        return session_id not in self._lines

    async def enter(self, session_id: str, *, seconds: float) -> bool:
        """Wait for the gate.

        Args:
            session_id: Whose gate.
            seconds: How long to wait at most.

        Returns:
            False when the time was up; the caller is then not in.
        """
        place = _Place(asyncio.get_running_loop(), _this_task())
        with self._lock:
            line = self._lines.setdefault(session_id, deque())
            place.is_in = not line
            line.append(place)
            if place.is_in:
                return True
            place.turn = place.loop.create_future()
            self._let_first_in(session_id, line)
        is_in = False
        try:
            async with asyncio.timeout(seconds):
                await place.turn
            is_in = True
        except TimeoutError:
            return False
        finally:
            if not is_in:
                self._step_out(session_id, place)
        return True

    def leave(self, session_id: str, of: asyncio.Task[Any] | None = None) -> None:
        """Let the next one in. For a turn that is not in (but for one that died), it does nothing.

        Args:
            session_id: Whose gate.
            of: The turn's task, named by whoever ends a turn that cannot end itself; None: the task that calls.
        """
        task = _this_task() if of is None else weakref.ref(of)
        with self._lock:
            line = self._lines.get(session_id)
            if line and task is not None and line[0].task == task:
                line.popleft()
                self._let_first_in(session_id, line)

    def _step_out(self, session_id: str, place: _Place) -> None:
        """Leave the line, even when the gate was handed over in this very moment."""
        with self._lock:
            line = self._lines.get(session_id)
            if line and place in line:
                line.remove(place)
                self._let_first_in(session_id, line)

    def _let_first_in(self, session_id: str, line: deque[_Place]) -> None:
        """Let in the first whose loop still lives: a turn whose loop is gone never leaves by itself."""
        while line:
            first = line[0]
            if not first.loop.is_closed() and (first.is_in or _called(first)):
                return
            if line and line[0] is first:
                line.popleft()
        if self._lines.get(session_id) is line:
            del self._lines[session_id]


def _called(place: _Place) -> bool:
    """Tell a waiter that it is in; False when its loop was closed meanwhile."""
    assert place.turn is not None
    try:
        place.loop.call_soon_threadsafe(_admit, place.turn)
    except RuntimeError:
        return False
    place.is_in = True
    return True


def _admit(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _this_task() -> weakref.ref[asyncio.Task[object]] | None:
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return None
    return None if task is None else weakref.ref(task)
