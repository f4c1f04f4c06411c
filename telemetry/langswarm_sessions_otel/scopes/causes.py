"""Why the steps of a turn are broken off: somebody ended the turn, or its time is over. The steps only see a cancel."""

from __future__ import annotations

from collections.abc import Callable

Late = Callable[[], BaseException | None]
"""Returns the error that a block ends with whose time is over; None as long as there is time."""


class Causes:
    """Where a turn's steps learn what cancelled them."""

    __slots__ = ("_limits", "_reason")

    def __init__(self) -> None:
        self._reason: Callable[[], str | None] | None = None
        self._limits: list[Late] = []

    def ask_for_reason(self, reason: Callable[[], str | None]) -> None:
        """Say where to ask why the turn is broken off.

        Args:
            reason: Returns ``cancelled``, ``abandoned``, ``idle`` or ``lease_lost``; None while the turn goes on.
        """
        self._reason = reason

    def limit(self, late: Late) -> TimeLimit:
        """Say where to ask, within a block, whether its time is over.

        Args:
            late: What to ask.

        Returns:
            A context manager for the block.
        """
        return TimeLimit(self._limits, late)

    def of(self, error: BaseException) -> BaseException | str:
        """Return what a step that ends with an error is told to have failed with.

        Args:
            error: What it ended with.

        Returns:
            Why the turn was broken off, or what says that time is over, if this is what cancelled it; else the error.
        """
        if isinstance(error, Exception):
            return error
        reason = None if self._reason is None else self._reason()
        if reason is not None:
            return reason
        return next((late for ask in reversed(self._limits) if (late := ask()) is not None), error)


class TimeLimit:
    """A block whose time is limited, made by `Causes.limit`."""

    __slots__ = ("_late", "_limits")

    def __init__(self, limits: list[Late], late: Late) -> None:
        self._limits = limits
        self._late = late

    def __enter__(self) -> None:
        self._limits.append(self._late)

    def __exit__(self, *_: object) -> None:
        self._limits.remove(self._late)
