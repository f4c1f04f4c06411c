"""A batch that is encoded: turns go on meanwhile, and what is sent of itself lets them go first."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from langswarm_sessions_otel import TurnScope
from langswarm_sessions_otel.sdk import batches
from tests.support.exports import Exports

StartTurn = Callable[..., TurnScope]


def test_turns_go_on_while_a_batch_is_encoded(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, seen = 0, list[int]()

    def encode(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for _ in spans:
            seen.append(steps)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(exports.exporter, "export", encode)
    monkeypatch.setattr(batches, "_ASIDE_SECONDS", 0.01)  # enough for a machine with other things to do
    exports.turns(start_turn, 9)
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60.0)  # no thread takes the interpreter's lock from another: it has to be given
    try:
        flush = exports.processor.outlet.begin_flush()
        while not flush.done():
            time.sleep(0.00001)
            steps += 1
    finally:
        sys.setswitchinterval(usual)
    assert len(seen) == 9
    assert len({*seen}) > 1


def test_what_is_sent_of_itself_lets_turns_go_first_but_not_for_ever(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()
    turn = start_turn(exports.telemetry, session_id="running")

    def wait(seconds: float) -> None:
        assert exports.exporter.names == [], "it is sent before the turn has ended"
        waited.append(seconds)
        if len(waited) == 3:
            turn.__exit__(None, None, None)

    monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 600.0)
    exports.turns(start_turn, 2)
    turn.__enter__()
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 0.0)
        patch.setattr(batches, "sleep", wait)
        exports.processor._batches.send_regularly()
        assert len(waited) == 3
        assert len(exports.exporter.names) == 2

    monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 0.05)
    with start_turn(exports.telemetry, session_id="endless"):
        exports.processor._batches.send_regularly()
        assert exports.exporter.names[2:] == ["invoke_agent session"]
        monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 600.0)
        exports.turns(start_turn, 1)
        assert exports.flush(), "somebody waits for a flush"


def test_turns_go_first_before_the_time_of_an_exporter_runs_and_not_again_when_it_tries_again(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0
    waited = list[bool]()

    def wait(_: float) -> None:
        nonlocal moment
        moment += 1.0
        waited.append(exports.exporter.entered.is_set())

    def encode_twice(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        exports.exporter.entered.set()
        assert len([*spans, *spans]) == 2 * len(spans)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(exports.exporter, "export", encode_twice)
    monkeypatch.setattr(batches, "monotonic", lambda: moment)
    monkeypatch.setattr(batches, "sleep", wait)
    monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 3.0)
    monkeypatch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 0.0)
    exports.turns(start_turn, 2)
    with start_turn(exports.telemetry, session_id="endless"):
        exports.processor._batches.send_regularly()
    assert waited == [False] * 3
    assert exports.delivery.sent == 2


def test_an_end_waits_for_no_turn(start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = threading.Event()

    def wait(seconds: float) -> None:
        waits.set()
        time.sleep(seconds)

    monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 600.0)
    monkeypatch.setattr(batches, "sleep", wait)
    exports = Exports(shutdown_timeout=10)
    exports.turns(start_turn, 2)
    with start_turn(exports.telemetry, session_id="running"):
        exports.processor.outlet.hurry(exports.processor._batches.send_regularly)
        assert waits.wait(30)
        exports.processor.shutdown()
        assert len(exports.exporter.names) == 2
    assert exports.processor.outlet.lost == 0


def test_a_batch_stands_aside_while_there_is_room_and_time(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a busy thread beside it, each time costs it milliseconds: a queue would fill faster than it is sent."""
    aside = list[float]()
    monkeypatch.setattr(batches, "sleep", aside.append)
    monkeypatch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 600.0)
    exports.exporter.free.clear()
    exports.turns(start_turn, 10)
    assert exports.exporter.entered.wait(30)
    exports.turns(start_turn, 90)
    exports.exporter.free.set()
    assert exports.flush()
    assert len(exports.exporter.names) == 100
    assert len(aside) == 50, "with half a queue or more behind it, a batch is sent at once"

    monkeypatch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 0.0)
    exports.turns(start_turn, 9)
    assert exports.flush()
    assert len(exports.exporter.names) == 109
    assert len(aside) == 50
