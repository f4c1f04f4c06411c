"""An SDK that also knows which spans are open, and whose consumer has spans of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from tests.support.recorded import Recorded

__all__ = ["Watched", "nothing_said", "wait_until"]

TURN = "invoke_agent session"
OURS = "langswarm_sessions"
DURATION = "langswarm.session.turn.duration"
_PATIENCE_SECONDS = 10.0


class _OpenSpans(SpanProcessor):
    """The names of the spans that were started and not ended, and how often each one ended."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.ends: dict[int, int] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.names[_id(span)] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        self.names.pop(_id(span), None)
        self.ends[_id(span)] = self.ends.get(_id(span), 0) + 1


class Watched(Recorded):
    """What one telemetry recorded, and what its consumer did meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self._spans = _OpenSpans()
        self.tracer_provider.add_span_processor(self._spans)
        self.consumer = self.tracer_provider.get_tracer("the consumer's")

    @property
    def open(self) -> list[str]:
        """Names of the spans that are open."""
        return sorted(self._spans.names.values())

    @property
    def turns(self) -> list[ReadableSpan]:
        """The turns that have ended."""
        return [span for span in self.spans if span.name == TURN]

    @contextlib.contextmanager
    def request(self, name: str = "request") -> Generator[Step]:
        """Open a span of the consumer's, and give what it does between two reads within it."""
        with self.consumer.start_as_current_span(name) as span:
            yield Step(self, span)

    def check(self, outcome: str | None, *, under: trace.Span | None, turns: int = 1) -> None:
        """Look at what was recorded: so many turns with one outcome, whole, counted, and with nobody else's spans."""
        assert self.open == []
        assert set(self._spans.ends.values()) <= {1}, "a span ended twice"
        assert len(self.turns) == turns
        for turn in self.turns:
            self._check_turn(turn, outcome, under=under)
        counted = [point for point in self.points(DURATION) if isinstance(point, HistogramDataPoint)]
        assert sum(point.count for point in counted) == turns
        assert all((point.attributes or {}).get("error.type") == outcome for point in counted)

    def _check_turn(self, turn: ReadableSpan, outcome: str | None, *, under: trace.Span | None) -> None:
        assert (turn.attributes or {}).get("error.type") == outcome
        assert turn.status.status_code is (StatusCode.UNSET if outcome is None else StatusCode.ERROR)
        assert (turn.parent and turn.parent.span_id) == (under and under.get_span_context().span_id)
        by_id = {_id(span): span for span in self.spans}
        for span in self.spans:
            above = [each for each in _above(span, by_id) if each is turn]
            if span.instrumentation_scope is not None and span.instrumentation_scope.name == OURS:
                if above:
                    assert (turn.start_time or 0) <= (span.start_time or 0)
                    assert (span.end_time or 0) <= (turn.end_time or 0), f"{span.name} outlived its turn"
            else:
                assert not above, f"{span.name} is the consumer's own"


class Step:
    """What a consumer does between two reads: it looks where it is, and opens a span of its own."""

    def __init__(self, watched: Watched, span: trace.Span) -> None:
        self._watched = watched
        self.span = span
        self.steps = 0

    def __call__(self, *_: object) -> None:
        self.steps += 1
        assert trace.get_current_span() is self.span, "the consumer's context is its own"
        assert not baggage.get_all()
        with self._watched.consumer.start_as_current_span("render") as span:
            parent = span.parent if isinstance(span, ReadableSpan) else None
            assert parent is not None
            assert parent.span_id == self.span.get_span_context().span_id


@contextlib.contextmanager
def nothing_said(caplog: pytest.LogCaptureFixture) -> Generator[None]:
    """No logger, no event loop and no finalizer may say anything, the garbage collector's work included.

    The collector looks at what the block makes, and not at all that was there before: it is asked often.
    """
    unraisable: list[str] = []

    def hear(unraised: Any) -> None:
        unraisable.append(repr(unraised.exc_value))

    gc.freeze()
    with pytest.MonkeyPatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(sys, "unraisablehook", hear)
        yield
        gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    assert unraisable == []


async def wait_until(holds: Callable[[], Any]) -> None:
    """Let the loop run until something holds."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.001)


def _above(span: ReadableSpan, by_id: dict[int, ReadableSpan]) -> Iterator[ReadableSpan]:
    parent = span.parent
    while parent is not None and (found := by_id.get(parent.span_id)) is not None:
        yield found
        parent = found.parent


def _id(span: ReadableSpan) -> int:
    assert span.context is not None
    span_id: int = span.context.span_id
    return span_id
