"""The turns that run now, by session: started, looked for and ended on any loop and thread."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

from langswarm_sessions.turns.orphans import end_orphan, is_orphan
from langswarm_sessions.turns.readers.log import Interruption, TurnLog
from langswarm_sessions.turns.readers.stream import TurnOutcome

__all__ = ["LiveTurns"]

_Task = asyncio.Task[TurnOutcome]


class LiveTurns:
    """The tasks of running turns and what they have said so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: dict[str, dict[_Task, TurnLog]] = {}

    def add(self, session_id: str, task: _Task, log: TurnLog) -> None:
        """Keep a turn until its task has ended."""
        with self._lock:
            self._turns.setdefault(session_id, {})[task] = log
        task.add_done_callback(partial(self._forget, session_id))

    def of(self, session_id: str) -> list[tuple[_Task, TurnLog]]:
        """Return the running turns of one session, oldest first."""
        with self._lock:
            return list(self._turns.get(session_id, {}).items())

    def everywhere(self) -> list[tuple[_Task, TurnLog]]:
        """Return the running turns of all sessions."""
        with self._lock:
            return [turn for turns in self._turns.values() for turn in turns.items()]

    @property
    def tasks(self) -> list[_Task]:
        """The tasks of all running turns, for a process just forked, in which nobody holds the lock any more."""
        return [task for turns in list(self._turns.values()) for task in list(turns)]

    def end_orphans(self, session_id: str | None = None) -> None:
        """End the turns, of one session or of all, whose loop was closed under them: nobody else ever would."""
        with self._lock:
            ids = list(self._turns) if session_id is None else [session_id]
        for each in ids:
            for task, log in self.of(each):
                if is_orphan(task):
                    log.interrupt(Interruption.ABANDONED)
                    end_orphan(task)
                    self._forget(each, task)

    def _forget(self, session_id: str, task: _Task) -> None:
        with self._lock:
            turns = self._turns.get(session_id)
            if turns is not None:
                turns.pop(task, None)
                if not turns:
                    del self._turns[session_id]
        if task.done() and not task.cancelled():
            task.exception()  # a turn nobody waits for any more is no "exception was never retrieved"
