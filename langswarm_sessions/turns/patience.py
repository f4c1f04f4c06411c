"""How long a provider is waited for within the time of a turn."""

from __future__ import annotations

import asyncio

from langswarm_sessions.turns.deadline import Deadline

__all__ = ["Patience"]

_KEPT_FOR_FALLBACK = 1 / 3
"""Of the turn's time: so much is left when a provider that says nothing is given up."""
_TELLING_SECONDS = 30.0
_TELLING_SHARE = 0.5
"""Of `RetryPolicy(deadline=...)`: half of what the manager gives any turn is a fair chance, however little that is."""


class Patience:
    """Until when a provider may be silent, and until when it may speak once it has begun to.

    Args:
        deadline: When the turn's time is up.
        has_fallback: Whether somebody else can still be asked: the last third of the time is theirs, unless the
            provider has begun to answer by then.
        usual_seconds: What the manager gives any turn (None: no limit).

    Attributes:
        silent: Until when it has to have said something; no attempt begins after it.
        is_heard: Whether it said something to the request that is on its way.
    """

    def __init__(
        self, deadline: Deadline | None = None, *, has_fallback: bool = False, usual_seconds: float | None = None
    ) -> None:
        self._deadline = self.silent = deadline or Deadline()
        if has_fallback and (left := self._deadline.left) is not None:
            self.silent = Deadline.after(left * (1 - _KEPT_FOR_FALLBACK))
        self._usual_seconds = usual_seconds
        self._limit: asyncio.Timeout | None = None
        self.is_heard = False

    @property
    def left(self) -> float | None:
        """Seconds left, never negative; None without a limit."""
        return self._current.left

    @property
    def seconds(self) -> float | None:
        """How much time was given (None: no limit)."""
        return self._current.seconds

    @property
    def _current(self) -> Deadline:
        return self._deadline if self.is_heard else self.silent

    def limit(self) -> asyncio.Timeout:
        """Return a context manager that cancels its body when the provider is not waited for any more."""
        self._limit = asyncio.timeout(self.left)
        return self._limit

    def ask(self) -> None:
        """Begin to wait, for a new request."""
        self._turn(is_heard=False)

    def hear(self) -> None:
        """The provider said something."""
        self._turn(is_heard=True)

    def have(self) -> None:
        """The answer is there: what is done with it is not waited for, and it is not lost for taking long."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(None)

    def is_telling(self, seconds: float) -> bool:
        """Whether so much silence speaks against the provider, rather than against who had too little time for it.

        Args:
            seconds: How long it said nothing.
        """
        usual = self._usual_seconds
        return seconds >= (_TELLING_SECONDS if usual is None else min(_TELLING_SECONDS, usual * _TELLING_SHARE))

    def _turn(self, *, is_heard: bool) -> None:
        if is_heard == self.is_heard:
            return
        self.is_heard = is_heard
        if self._limit is not None and not self._limit.expired() and (left := self.left) is not None:
            self._limit.reschedule(asyncio.get_running_loop().time() + left)
