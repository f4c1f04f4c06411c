"""What one run of the program told: its spans as trees, its tokens, its metrics."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["OURS", "Span", "Told", "run_program"]

OURS = "langswarm_sessions"
_READ_BY = ("gen_ai.usage.input_tokens", "llm.token_count.prompt")
_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Span:
    """One exported span."""

    name: str
    scope: str
    trace: str
    id: str
    parent: str | None
    kind: str
    status: str
    attributes: dict[str, Any]
    start: int

    @property
    def is_turn(self) -> bool:
        """Whether it is a turn of ours."""
        return self.scope == OURS and self.name.startswith("invoke_agent ")

    @property
    def input_tokens(self) -> int | None:
        """The tokens that backends count of it; a turn's are the sum of what is told below it."""
        told = (self.attributes[name] for name in _READ_BY if name in self.attributes)
        return None if self.is_turn else next(told, None)


@dataclass(frozen=True, slots=True)
class Told:
    """The telemetry of one shape."""

    shape: str
    requests: int
    open: list[str]
    spans: list[Span]
    points: list[dict[str, Any]] = field(repr=False)

    @property
    def turns(self) -> list[Span]:
        """The turns, in order."""
        return sorted((span for span in self.spans if span.is_turn), key=lambda span: span.start)

    @property
    def foreign(self) -> list[Span]:
        """What is not ours."""
        return [span for span in self.spans if span.scope != OURS]

    @property
    def inferences(self) -> list[Span]:
        """The spans that tokens are counted of."""
        return [span for span in self.spans if span.input_tokens is not None]

    @property
    def tokens(self) -> int:
        """What the provider said was read: the sum over the turns."""
        return sum(turn.attributes["gen_ai.usage.input_tokens"] for turn in self.turns)

    @property
    def measured_tokens(self) -> int:
        """What the metrics of all say was read."""
        return sum(
            point["sum"]
            for point in self.points
            if point["name"] == "gen_ai.client.token.usage" and point["attributes"].get("gen_ai.token.type") == "input"
        )

    def above(self, span: Span) -> Iterator[Span]:
        """Yield the spans around a span, the nearest first."""
        by_id = {each.id: each for each in self.spans}
        while span.parent is not None:
            span = by_id[span.parent]
            yield span

    def is_below_a_turn(self, span: Span) -> bool:
        """Whether a span is part of what a turn did."""
        return any(each.is_turn for each in self.above(span))

    def is_around_a_turn(self, span: Span) -> bool:
        """Whether a turn is part of what a span tells of."""
        return any(span in self.above(turn) for turn in self.turns)


def _told(run: dict[str, Any]) -> Told:
    spans = [Span(**span) for span in run["spans"]]
    return Told(shape=run["shape"], requests=run["requests"], open=run["open"], spans=spans, points=run["points"])


def run_program(instrumentors: Sequence[str], shapes: Sequence[str]) -> tuple[list[Told], str]:
    """Run the program and return what it told, and what it logged.

    Args:
        instrumentors: What is instrumented, each ``module:class``.
        shapes: What it does.
    """
    asked = json.dumps({"instrumentors": list(instrumentors), "shapes": list(shapes)})
    done = subprocess.run(
        [sys.executable, "-m", "tests.accept.beside.program", asked],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    runs: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return [_told(run) for run in runs], done.stderr
