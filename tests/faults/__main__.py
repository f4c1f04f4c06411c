"""Plays every cell of the fault matrix and prints it as tables; with `--write`, writes the page of the docs instead."""

from __future__ import annotations

import asyncio
import sys

from tests.faults.matrix import Cell, cells
from tests.faults.page import PAGE, page, tables
from tests.faults.rows import ROWS
from tests.faults.scene import Stage
from tests.faults.ways import WAYS


async def _played() -> dict[str, str]:
    outcomes: dict[str, str] = {}
    for way in WAYS:
        for heading in ROWS:
            async with Stage(way) as stage:
                for cell in cells(way, heading):
                    outcomes[str(cell)] = await cell.outcome(stage)
    return outcomes


def main() -> int:
    """Print the matrix; the status is 1 if a cell is not what the page says."""
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(page())
        return 0
    outcomes = asyncio.run(_played())
    wrong: list[str] = []

    def told(cell: Cell) -> str:
        found = outcomes[str(cell)]
        if found != cell.expected:
            wrong.append(f"{cell}: {found}, and not {cell.expected}")
        return found

    print("\n".join(tables(told)))
    print(f"{len(outcomes)} cells; {len(wrong)} are not as expected", *wrong, sep="\n")
    return bool(wrong)


sys.exit(main())
