"""The cells of the matrix: what becomes of each, and what is expected to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.faults.cell import MODES, play
from tests.faults.expected import EXPECTED
from tests.faults.rows import ROWS
from tests.faults.scene import Stage
from tests.faults.troubles import Plan, Trouble, plan_of
from tests.faults.ways import Way

__all__ = ["Cell", "cells"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One cell.

    Args:
        trouble: What goes wrong.
        way: Who answers.
        mode: Whether the caller sends or streams.
    """

    trouble: Trouble
    way: Way
    mode: str

    def __str__(self) -> str:
        return f"{self.trouble}, {self.way}, {self.mode}"

    @property
    def plan(self) -> Plan | str:
        """How it comes about, or in words why there is no such thing."""
        return plan_of(self.trouble, self.way)

    @property
    def expected(self) -> str:
        """The outcome, or in words why there is no such thing."""
        if isinstance(self.plan, str):
            return self.plan
        row = EXPECTED[self.trouble.name]
        both = next((outcome for ways, outcome in row.items() if self.way.name in ways.split(", ")), row["*"])
        sent, _, streamed = both.partition(" | ")
        return streamed or sent if self.mode == "stream" else sent

    async def outcome(self, stage: Stage) -> str:
        """Return what becomes of it, or why there is no such thing."""
        plan = self.plan
        return plan if isinstance(plan, str) else await play(stage, self.trouble, plan, mode=self.mode)


def cells(way: Way, heading: str) -> Iterator[Cell]:
    """Yield the cells of one way under one heading of the page."""
    for trouble in ROWS[heading]:
        for mode in MODES:
            yield Cell(trouble=trouble, way=way, mode=mode)
