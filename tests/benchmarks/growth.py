"""Whether a turn takes longer the longer its conversation is: sessions of all lengths in one database, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.measure import Turn, paired_differences
from tests.benchmarks.ours import manager_on, our_turn

__all__ = ["growth"]

_TURNS = 300


async def growth(folder: Path, lengths: Sequence[int], *, strategy: str, window: int) -> dict[int, float]:
    """Return how much longer a turn takes at each length than at the first.

    One session manager serves all: two alike differ by more than is looked for.

    Args:
        folder: Where the database is made.
        lengths: Stored messages of the sessions.
        strategy: ``native`` or ``client``.
        window: Messages that a client's request holds.

    Returns:
        By length the ratio to the first.
    """
    async with manager_on(folder, f"growth-{strategy}", telemetry=False) as manager:
        turns: dict[str, Turn] = {
            str(stored): await our_turn(manager, stored=stored, strategy=strategy, window=window) for stored in lengths
        }
        first, added = await paired_differences(turns, turns=_TURNS)
    return {int(stored): 1 + more / first for stored, more in added.items()}
