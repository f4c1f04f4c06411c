"""How long a turn may take, from its place in line to its answer."""

from __future__ import annotations

from dataclasses import dataclass

from langswarm_sessions.ids import monotonic

__all__ = ["Deadline"]


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock.

    Args:
        seconds: How much time was given (None: no limit).
        at: When it is over.
    """

    seconds: float | None = None
    at: float = float("inf")

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Return the deadline this many seconds from now; None for none."""
        return cls() if seconds is None else cls(seconds, monotonic() + seconds)

    @property
    def left(self) -> float | None:
        """Seconds left, never negative; None without a limit."""
        return None if self.seconds is None else max(0.0, self.at - monotonic())

    def cut(self, seconds: float) -> float:
        """Return `seconds`, or what is left if that is less."""
        left = self.left
        return seconds if left is None else min(seconds, left)
