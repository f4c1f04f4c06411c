"""The matrix as a page: a table a heading, with a note for each cell there is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.cell import MODES
from tests.faults.matrix import Cell
from tests.faults.rows import ROWS
from tests.faults.troubles import Trouble
from tests.faults.ways import WAYS, Way

__all__ = ["PAGE", "page", "tables"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"

_INTRODUCTION = """# What becomes of a turn when something goes wrong

Each cell of these tables is a real run: a session over memory with a turn behind it, a second turn in trouble, and a
third one after it. The providers' own SDKs talk over HTTP to [stateful servers of ours](verification.md), whose every
exchange is judged with the SDKs' own types; none of it was run against a live service. The chat model is one of
LangChain's kind, and the mock provider answers within the process. The retry policy allows three requests and does not
wait.

The outcomes:

- **answered**: the turn was sent again as it was, if need be; an answer nobody heard costs money there, not truth.
- **healed**: what the provider kept was given up and rebuilt from the transcript, within the turn.
- **adopted**: the provider's log was looked into; the answer had arrived there, and is the turn's.
- **resent**: the provider's log was looked into; the turn had not arrived there, and was sent again (to a fork
  of the log, where the log may still change).
- **interrupted**: the caller left; what had come of the answer is stored as interrupted.
- an error: the turn failed with it, and left its question alone, marked as failed.

In brackets stands how many requests for an answer arrived at the provider, where it is not one. Where sending and
streaming end differently both are told, `sent / streamed`: text that a reader has seen is never taken back.

Whatever the outcome, the test of each cell demands:

- the question stands in the transcript once and its answer at most once, and it is what the caller was told;
- no model was given a message twice, by whoever kept it, and the next turn works;
- the next model is told of all that was answered, and of nothing that failed;
- no task, lease, pending turn or connection is left;
- the turn's span ended once, with the right status.
"""


def page() -> str:
    """Return the page as the expected outcomes make it."""
    return "\n".join([_INTRODUCTION, *tables(lambda cell: cell.expected), ""])


def tables(outcome: Callable[[Cell], str]) -> Iterator[str]:
    """Yield the lines of all tables.

    Args:
        outcome: Says what becomes of a cell.
    """
    for heading, troubles in ROWS.items():
        notes: dict[str, int] = {}
        yield f"## {heading}\n"
        yield f"| | {' | '.join(way.name for way in WAYS)} |"
        yield f"| --- |{' --- |' * len(WAYS)}"
        for trouble in troubles:
            told = [_told(trouble, way, notes, outcome=outcome) for way in WAYS]
            yield f"| {trouble.name} | {' | '.join(told)} |"
        yield ""
        yield from (f"{number}. {reason}" for reason, number in notes.items())
        yield ""


def _told(trouble: Trouble, way: Way, notes: dict[str, int], *, outcome: Callable[[Cell], str]) -> str:
    both = [Cell(trouble=trouble, way=way, mode=mode) for mode in MODES]
    if isinstance(reason := both[0].plan, str):
        return f"– ({notes.setdefault(reason, len(notes) + 1)})"
    sent, streamed = map(outcome, both)
    return sent if sent == streamed else f"{sent} / {streamed}"
