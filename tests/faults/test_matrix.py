"""Every cell of the fault matrix, played over the wire, and the page that tells of it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.faults.expected import EXPECTED
from tests.faults.matrix import Cell, cells
from tests.faults.page import PAGE, page
from tests.faults.rows import ROWS
from tests.faults.scene import Stage
from tests.faults.ways import WAYS, Way

# Another conversation of an API that is in the matrix already: for `make accept` and `make faults`.
_PLAYED_ELSEWHERE = {"openai log", "anthropic threads", "gemini client", "mistral chat"}
PLAYED = [way for way in WAYS if way.name not in _PLAYED_ELSEWHERE]


async def _play(way: Way, played: Iterable[Cell]) -> None:
    wrong: list[str] = []
    async with Stage(way) as stage:
        for cell in played:
            try:
                found = await cell.outcome(stage)
            except AssertionError as error:
                error.add_note(f"in the cell: {cell}")
                raise
            if found != cell.expected:
                wrong.append(f"{cell}: {found}, and not {cell.expected}")
    assert wrong == []


@pytest.mark.parametrize("heading", ROWS)
@pytest.mark.parametrize("way", PLAYED, ids=str)
async def test_each_trouble_ends_as_the_table_says(way: Way, heading: str) -> None:
    """One cell of two, like the fields of a chessboard: what is sent here is streamed in the next column."""
    column = WAYS.index(way)
    await _play(way, (cell for row, cell in enumerate(cells(way, heading)) if (row // 2 + row + column) % 2))


@pytest.mark.accept
@pytest.mark.parametrize("heading", ROWS)
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_each_cell_ends_as_the_table_says(way: Way, heading: str) -> None:
    await _play(way, cells(way, heading))


def test_the_table_speaks_of_the_rows_and_ways_there_are() -> None:
    names = {trouble.name for troubles in ROWS.values() for trouble in troubles}
    assert set(EXPECTED) == names
    known = {way.name for way in WAYS} | {"*"}
    assert {name for row in EXPECTED.values() for ways in row for name in ways.split(", ")} <= known


def test_no_cell_is_unexplained() -> None:
    for way in WAYS:
        for heading in ROWS:
            assert all(cell.expected.strip() for cell in cells(way, heading))


def test_the_page_is_up_to_date() -> None:
    """`python -m tests.faults --write` writes it."""
    assert PAGE.read_text() == page()
