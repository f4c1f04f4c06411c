"""Timing: the median of several rounds, each the median of many turns."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Awaitable, Callable

__all__ = ["ROUNDS", "Turn", "median_of_rounds", "paired_differences", "time_turns"]

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


async def paired_differences(systems: dict[str, Turn], *, turns: int) -> tuple[float, dict[str, float]]:
    """Time one turn of each system after the other, many times over, and compare within each time.

    What is looked for is a small part of a turn, less than the machine's moods from one second to the next.

    Args:
        systems: Names to a turn each; the first is what the others are compared with.
        turns: Turns of each system.

    Returns:
        Milliseconds of the first, and by name the median of what each of the others took more.
    """
    base, *others = systems
    for turn in systems.values():
        await time_turns(turn, turns=max(3, turns // 10))
    samples: dict[str, list[float]] = {name: [] for name in systems}
    order = list(systems)
    for _ in range(turns):
        random.shuffle(order)  # what ran just before leaves its mark on a turn
        for name in order:
            samples[name].append(await time_turns(systems[name], turns=1))
    added = {name: statistics.median(map(float.__sub__, samples[name], samples[base])) for name in others}
    return statistics.median(samples[base]), added
