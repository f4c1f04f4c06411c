"""Timing: the median of several rounds, each the median of many turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable

__all__ = ["ROUNDS", "Turn", "median_of_rounds", "time_turns"]

ROUNDS = 5

Turn = Callable[[], Awaitable[None]]


async def time_turns(turn: Turn, *, turns: int) -> float:
    """Return the median duration of a turn in milliseconds."""
    durations: list[float] = []
    for _ in range(turns):
        started = time.perf_counter()
        await turn()
        durations.append((time.perf_counter() - started) * 1000)
    return statistics.median(durations)


async def median_of_rounds(systems: dict[str, Turn], *, turns: int, rounds: int = ROUNDS) -> dict[str, float]:
    """Time every system in turn, several rounds over, so that a slow moment of the machine hits all alike.

    Args:
        systems: Names to a turn each.
        turns: Turns per system and round.
        rounds: Rounds; the median of them counts.

    Returns:
        Milliseconds per turn by name.
    """
    samples: dict[str, list[float]] = {name: [] for name in systems}
    for turn in systems.values():
        await time_turns(turn, turns=max(3, turns // 10))
    for _ in range(rounds):
        for name, turn in systems.items():
            samples[name].append(await time_turns(turn, turns=turns))
    return {name: statistics.median(values) for name, values in samples.items()}
