"""The order of agent runs in one process: one run of a session after the other.

What is durable is ordered by the lease of each turn, whoever writes. A run is several turns with tools between them;
that no other run of this process comes in between is seen to here. Of a run that is broken off nobody hears: after a
while without a step it is taken to be over.
"""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from langswarm_sessions.errors import SessionBusyError
from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.manager import SessionManager

__all__ = ["RunOrder", "order_of"]

_LINGER_SECONDS = 1.0
_FIRST_POLL_SECONDS = 0.002
_LONGEST_POLL_SECONDS = 0.05
_MANY = 1000  # sessions: more are looked through for those that were left


@dataclass(slots=True)
class _Place:
    """Who has a session: a run, the number of its steps that are going on, and when the last one ended.

    `answered` are the keys of the model calls of the run, with the step of the graph they were made in.
    """

    run: str | None = None
    steps: int = 0
    left: float = 0.0
    line: deque[object] = field(default_factory=deque[object], repr=False)
    answered: dict[str, int] = field(default_factory=dict[str, int])

    def is_free_for(self, run: str) -> bool:
        is_over = self.steps == 0 and monotonic() - self.left > _LINGER_SECONDS
        return self.run is None or self.run == run or is_over


class RunOrder:
    """Lets the runs of each session take turns. Usable from any thread and event loop."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._places: dict[str, _Place] = {}
        self._swept_at = _MANY

    async def enter(self, session_id: str, run: str, *, seconds: float) -> None:
        """Begin a step of a run; wait while another run has the session.

        Args:
            session_id: The session.
            run: The run.
            seconds: How long to wait.

        Raises:
            SessionBusyError: The other run took longer.
        """
        ticket, until, pause = object(), monotonic() + seconds, _FIRST_POLL_SECONDS
        try:
            while not self._entered(session_id, run, ticket):
                if monotonic() >= until:
                    raise SessionBusyError(
                        f"Another run of an agent has had the session for {seconds:g} s. Try again, or raise "
                        "SessionAgentMiddleware(turn_wait=...).",
                        session_id=session_id,
                    )
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
        finally:
            self._leave_line(session_id, ticket)

    def leave(self, session_id: str, run: str) -> None:
        """End a step; the run goes on having the session for a while."""
        with self._lock:
            place = self._places.get(session_id)
            if place is not None and place.run == run:
                place.steps = max(0, place.steps - 1)
                place.left = monotonic()

    def end(self, session_id: str, run: str) -> None:
        """End a step and, unless others of its steps go on, the run."""
        self.leave(session_id, run)
        with self._lock:
            place = self._places.get(session_id)
            if place is not None and place.run == run and place.steps == 0:
                place.run = None
                if not place.line:
                    del self._places[session_id]

    def is_asked_anew(self, session_id: str, run: str, key: str, *, step: int) -> bool:
        """Whether a model call of a run was answered in another step of the graph: the graph wants another answer.

        In the same step, or in another run, it is a retry or a replay, which gets the answer that there is.
        """
        with self._lock:
            place = self._places.get(session_id)
            before = place.answered.get(key, step) if place is not None and place.run == run else step
            return before != step

    def note_answer(self, session_id: str, run: str, key: str, *, step: int) -> None:
        """Take note that a model call of a run was answered."""
        with self._lock:
            place = self._places.get(session_id)
            if place is not None and place.run == run:
                place.answered[key] = step

    def _entered(self, session_id: str, run: str, ticket: object) -> bool:
        with self._lock:
            if len(self._places) > self._swept_at:
                self._forget_the_left()
            place = self._places.setdefault(session_id, _Place())
            if ticket not in place.line:
                place.line.append(ticket)
            is_next = place.run == run or place.line[0] is ticket
            if not is_next or not place.is_free_for(run):
                return False
            if place.run != run:
                place.run, place.steps, place.answered = run, 0, {}
            place.steps += 1
            return True

    def _leave_line(self, session_id: str, ticket: object) -> None:
        with self._lock:
            place = self._places.get(session_id)
            if place is not None and ticket in place.line:
                place.line.remove(ticket)

    def _forget_the_left(self) -> None:
        for session_id, place in list(self._places.items()):
            if not place.line and place.is_free_for(""):
                del self._places[session_id]
        self._swept_at = max(_MANY, 2 * len(self._places))  # so that looking costs next to nothing each


_orders: weakref.WeakKeyDictionary[SessionManager, RunOrder] = weakref.WeakKeyDictionary()
_lock = fork_safe_lock()


def order_of(manager: SessionManager) -> RunOrder:
    """Return the order of the runs over a manager."""
    with _lock:
        return _orders.setdefault(manager, RunOrder())
