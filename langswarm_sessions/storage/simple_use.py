"""Which conversations of an adapter are in use, and who may bring one into being."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from itertools import islice

from langswarm_sessions.forks import fork_safe_lock

__all__ = ["InUse", "OneByOne"]

_AT_A_TIME = 16


class InUse:
    """Conversations in the order of their last use; for several threads.

    Args:
        keep: How many may be kept that nobody works on.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._users: dict[str, int] = {}
        self._lock = fork_safe_lock()

    @contextmanager
    def using(self, session_id: str) -> Generator[None]:
        """Work on a conversation: within the block it may not be forgotten."""
        with self._lock:
            self._users[session_id] = self._users.pop(session_id, 0) + 1  # popped: it is the newest now
        try:
            yield
        finally:
            with self._lock:
                self._users[session_id] -= 1

    def surplus(self) -> list[str]:
        """Return the conversations to forget next, some at a time; they count as used, should they have to stay."""
        with self._lock:
            number = min(len(self._users) - self._keep, _AT_A_TIME)
            if number <= 0:
                return []
            oldest = list(islice(self._users, number))
            for session_id in oldest:
                self._users[session_id] = self._users.pop(session_id)
            return [session_id for session_id in oldest if not self._users[session_id]]

    def strike(self, session_id: str) -> bool:
        """Strike a conversation off, unless somebody works on it again; return whether it was."""
        with self._lock:
            if self._users.get(session_id):
                return False
            self._users.pop(session_id, None)
            return True


class OneByOne:
    """Lets callers of one session through one after the other, from whatever event loops they come."""

    def __init__(self) -> None:
        self._inside: dict[str, Future[None]] = {}

    @asynccontextmanager
    async def alone(self, session_id: str) -> AsyncGenerator[None]:
        """Wait until nobody else is inside with this session; the next one waits until the block ends."""
        mine: Future[None] = Future()
        mine.set_running_or_notify_cancel()  # a caller that no longer waits must not cancel it for the others
        while (other := self._inside.setdefault(session_id, mine)) is not mine:
            await asyncio.wrap_future(other)
        try:
            yield
        finally:
            del self._inside[session_id]
            mine.set_result(None)
