"""Waiting in line for a session, within this process: first come, first served, across loops and threads."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from dataclasses import dataclass, field

__all__ = ["SessionGates"]


@dataclass(slots=True)
class _Waiter:
    loop: asyncio.AbstractEventLoop
    turn: asyncio.Future[None]


@dataclass(slots=True)
class _Line:
    """The turn that is in (its loop), and those that wait."""

    holder: asyncio.AbstractEventLoop
    waiters: deque[_Waiter] = field(default_factory=deque[_Waiter])


class SessionGates:
    """One gate a session; a gate exists only while a turn is in or waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    async def enter(self, session_id: str, *, seconds: float) -> bool:
        """Wait for the gate.

        Args:
            session_id: Whose gate.
            seconds: How long to wait at most.

        Returns:
            False when the time was up; the caller is then not in.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            line = self._lines.get(session_id)
            if line is None or line.holder.is_closed():  # a turn whose loop is gone never leaves by itself
                self._lines[session_id] = _Line(loop)
                return True
            waiter = _Waiter(loop, loop.create_future())
            line.waiters.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter.turn
        except TimeoutError:
            if not self._give_up(session_id, waiter):
                self.leave(session_id)
            return False
        except asyncio.CancelledError:
            if not self._give_up(session_id, waiter):
                self.leave(session_id)
            raise
        return True

    def leave(self, session_id: str) -> None:
        """Let the next one in."""
        with self._lock:
            line = self._lines[session_id]
            while line.waiters:
                waiter = line.waiters.popleft()
                if not waiter.loop.is_closed():
                    line.holder = waiter.loop
                    waiter.loop.call_soon_threadsafe(_admit, waiter.turn)
                    return
            del self._lines[session_id]

    def _give_up(self, session_id: str, waiter: _Waiter) -> bool:
        """Leave the line; False when the gate was handed over in this very moment."""
        with self._lock:
            waiters = self._lines[session_id].waiters
            if waiter in waiters:
                waiters.remove(waiter)
                return True
            return False


def _admit(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)
