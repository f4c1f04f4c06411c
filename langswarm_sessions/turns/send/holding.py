"""The turns of one manager that are held for somebody else: begun, looked for and dropped on any loop and thread."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from itertools import count

from langswarm_sessions.turns.send.foreign import HeldTurn

__all__ = ["HeldTurns"]


class HeldTurns:
    """Knows held turns for as long as somebody else does."""

    def __init__(self) -> None:
        # Not a WeakSet: one that grows in another thread while it is read raises.
        self._turns: dict[int, weakref.ref[HeldTurn]] = {}
        self._numbers = count()

    def add(self, turn: HeldTurn) -> None:
        """Know a turn until it is gone."""
        number, turns = next(self._numbers), self._turns
        turns[number] = weakref.ref(turn, lambda _: turns.pop(number, None))

    def __iter__(self) -> Iterator[HeldTurn]:
        """Iterate over those there are now."""
        references = list(self._turns.values())  # in one step
        return (turn for reference in references if (turn := reference()) is not None)
