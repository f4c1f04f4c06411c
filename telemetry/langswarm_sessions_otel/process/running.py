"""The turns that run in this process: how old the oldest of them is, asked for when metrics are collected."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from time import perf_counter
from typing import Final

from opentelemetry.metrics import CallbackOptions, Observation

from langswarm_sessions_otel.process.forks import start_over_in_child
from langswarm_sessions_otel.process.later import LATER

__all__ = ["RUNNING_TURNS", "RunningTurns", "observe_oldest_turn"]


class RunningTurns:
    """When each turn that runs began. A turn whose scope is dropped without an end runs no more."""

    __slots__ = ("__weakref__", "_began")

    def __init__(self) -> None:
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Forget them: those that ran at a fork run in the parent."""
        self._began: dict[weakref.ref[object], float] = {}

    def began(self, turn: object) -> None:
        """Take note of a turn that begins.

        Args:
            turn: Its scope.
        """
        self._began[weakref.ref(turn, self._forget)] = perf_counter()

    def ended(self, turn: object) -> None:
        """Take note of a turn that ends, or never began.

        Args:
            turn: Its scope.
        """
        self._forget(weakref.ref(turn))

    def _forget(self, turn: weakref.ref[object]) -> None:
        self._began.pop(turn, None)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._began)

    def oldest_age(self) -> float:
        """Return the seconds that the oldest turn has run, 0 when none runs."""
        began = list(self._began.values())  # at once: turns of other threads come and go
        return perf_counter() - min(began) if began else 0.0


RUNNING_TURNS: Final = RunningTurns()
"""Those of all session managers of this process."""


def observe_oldest_turn(_: CallbackOptions) -> Iterator[Observation]:
    """Tell the age of the oldest turn; also that there is none, so that a process that is well can be seen.

    It is asked first when metrics are collected, so what was put off is measured before.

    Yields:
        One observation, without attributes.
    """
    LATER.do_all()
    yield Observation(RUNNING_TURNS.oldest_age())
