"""Exporters that hang, refuse or raise: what the caller's thread sees of it, what is counted, what is said."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

from langswarm_sessions_otel import TurnScope
from langswarm_sessions_otel.process.bounded import wait_for
from langswarm_sessions_otel.process.later import LATER
from langswarm_sessions_otel.sdk import delivery as delivery_module
from langswarm_sessions_otel.sdk.complaints import remedy_of
from tests.support.exports import Exports, ScriptedExporter

StartTurn = Callable[..., TurnScope]
SECRET = "Bearer canary-key"
_exporter_logger = logging.getLogger(ScriptedExporter.__module__)


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the stages that are counted from now on."""
    counted: list[str] = []
    monkeypatch.setattr(delivery_module, "count_error", counted.append)
    return counted


def test_turns_go_on_while_the_exporter_hangs_for_ever_and_no_more_than_a_queue_is_held(
    exports: Exports, start_turn: StartTurn
) -> None:
    exports.exporter.free.clear()
    exports.turns(start_turn, 10)
    assert exports.exporter.entered.wait(30)
    exports.turns(start_turn, 500)

    assert exports.exporter.threads
    assert threading.get_ident() not in exports.exporter.threads
    assert exports.processor.outlet.lost == 400, "ten are on their way, a hundred wait"
    assert exports.processor.outlet.lost == 400, "asking changes nothing"
    exports.processor.shutdown()  # does not wait either, beyond its bound
    assert exports.processor.outlet.lost == 510
    exports.exporter.free.set()
    assert not exports.flush(), "what became of the end: much was given up"
    assert len(exports.exporter.names) == 110
    assert threading.get_ident() not in exports.exporter.threads


def test_what_is_dropped_is_counted_as_it_happens_and_told_once(
    exports: Exports, start_turn: StartTurn, caplog: pytest.LogCaptureFixture, errors: list[str]
) -> None:
    exports.exporter.free.clear()
    exports.turns(start_turn, 10)
    assert exports.exporter.entered.wait(30)
    exports.turns(start_turn, 103)

    assert exports.processor.outlet.lost == 3
    assert errors == ["queue"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "langswarm-sessions: spans are given up: more than 100 wait for http://collector:4318; raise "
        "OTEL_BSP_MAX_QUEUE_SIZE, or see why it is slow. Sessions go on without"
    ]
    exports.exporter.free.set()
    assert not exports.flush(), "not all of it arrived"
    assert exports.flush(), "nothing was given up since"
    assert len(exports.exporter.names) == 110


def test_what_is_dropped_and_what_arrives_is_all_there_was(exports: Exports, start_turn: StartTurn) -> None:
    exports.exporter.free.clear()
    exports.turns(start_turn, 10)
    assert exports.exporter.entered.wait(30)
    exports.turns(start_turn, 290)
    exports.exporter.free.set()
    exports.flush()
    exports.processor.shutdown()

    arrived = len(exports.exporter.names)
    assert 100 <= arrived < 300
    assert exports.processor.outlet.lost == 300 - arrived


def test_waiting_for_an_exporter_that_hangs_ends_and_piles_up_no_threads(
    exports: Exports, start_turn: StartTurn
) -> None:
    exports.exporter.free.clear()
    exports.turns(start_turn, 1)
    assert not exports.provider.force_flush(1)
    threads = threading.active_count()
    for _ in range(50):
        assert not exports.provider.force_flush(1)
    assert threading.active_count() == threads

    exports.exporter.free.set()
    assert exports.flush()
    assert exports.exporter.names == ["invoke_agent session"]


class _Redacting(SpanProcessor):
    """What somebody adds after `configure_telemetry`, so that it hears of an end after the exporting processor."""

    def on_end(self, span: ReadableSpan) -> None:
        span._attributes = {}


@pytest.mark.parametrize("runs_in_a_loop", [False, True])
async def test_what_a_processor_after_it_takes_out_of_a_span_is_not_sent(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch, runs_in_a_loop: bool
) -> None:
    seen = list[dict[str, Any]]()

    def export(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        seen.extend({**(span.attributes or {})} for span in spans)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(exports.exporter, "export", export)
    exports.provider.add_span_processor(_Redacting())
    if runs_in_a_loop:
        exports.turns(start_turn, 2)
        LATER.do_all()
    else:
        await asyncio.to_thread(exports.turns, start_turn, 2)
    assert exports.flush()
    assert seen == [{}, {}]


def test_a_closed_processor_takes_nothing_more(exports: Exports, start_turn: StartTurn) -> None:
    exports.turns(start_turn, 3)
    assert exports.flush()
    exports.processor.shutdown()
    exports.processor.shutdown()
    exports.turns(start_turn, 3)
    assert len(exports.exporter.names) == 3
    assert exports.processor.outlet.lost == 0
    assert exports.processor.force_flush()


def _raise(error: BaseException) -> SpanExportResult:
    raise error


def _complain(message: str, *arguments: object) -> SpanExportResult:
    _exporter_logger.error(message, *arguments, exc_info=ValueError(SECRET))
    return SpanExportResult.FAILURE


PROTOCOL = "see whether the endpoint speaks this protocol: 4318 is for http/protobuf, 4317 for grpc"
FLOOD = "send less, with sampling_ratio, or raise the receiver's limit"
SLOW = "raise export_timeout, or see why the receiver is slow"


@pytest.mark.parametrize(
    ("answer", "reason", "remedy"),
    [
        (lambda: SpanExportResult.FAILURE, "refused", PROTOCOL),
        (lambda: _raise(ConnectionError(SECRET, OSError("refused"))), "ConnectionError", PROTOCOL),
        (
            lambda: _complain("code: %s, reason: %s", 401, SECRET),
            "status 401",
            "correct headers, or OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (lambda: _complain("transient error %s", "Too Many Requests"), "status 429", FLOOD),
        (lambda: _complain("failed: %s", ConnectionError(TimeoutError(SECRET))), "TimeoutError", SLOW),
        (
            lambda: _raise(ConnectionError(ConnectionRefusedError(111, SECRET))),
            "ConnectionRefusedError",
            "start a receiver there, or correct the endpoint",
        ),
        (lambda: _complain(f"failed with {SECRET}"), "refused", PROTOCOL),
        (
            lambda: _complain("failed: %s, then: %s", ConnectionRefusedError(111, SECRET), ValueError("-0.1 s")),
            "ConnectionRefusedError",
            "start a receiver there, or correct the endpoint",
        ),
    ],
    ids=["refused", "raised", "code", "phrase", "cause", "nobody", "text", "out of time"],
)
def test_a_failure_is_one_line_without_what_was_sent_along(
    exports: Exports,
    start_turn: StartTurn,
    caplog: pytest.LogCaptureFixture,
    answer: Callable[[], SpanExportResult],
    reason: str,
    remedy: str,
) -> None:
    exports.exporter.answer = answer
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            exports.turns(start_turn, 2)
            assert not exports.flush()

    told = f"spans are not taken by http://collector:4318 ({reason}): {remedy}. Sessions go on without"
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"langswarm-sessions: {told}")
    ]
    assert "canary" not in caplog.text
    assert exports.processor.outlet.lost == 6


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("InvalidHeader", "correct headers, or OTEL_EXPORTER_OTLP_HEADERS"),
        ("OSError", "OTEL_EXPORTER_OTLP_CERTIFICATE"),  # of requests, for a file that is not there
        ("SSLCertVerificationError", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
        ("InvalidSchema", "correct the endpoint"),
        ("InvalidURL", "correct the endpoint"),
        ("INVALID_ARGUMENT", PROTOCOL),
    ],
)
def test_what_is_refused_before_it_is_sent_is_told_with_what_to_correct(reason: str, remedy: str) -> None:
    assert remedy in remedy_of(reason)


def test_an_exporter_that_would_end_its_thread_loses_a_batch_and_no_more(
    exports: Exports, start_turn: StartTurn
) -> None:
    exports.exporter.answer = lambda: _raise(SystemExit(1))
    exports.turns(start_turn, 2)
    assert not exports.flush()
    assert exports.processor.outlet.lost == 2
    assert wait_for([exports.processor.outlet._attendant.ask(lambda: sys.exit(1))], timeout_seconds=30) is False
    exports.exporter.answer = lambda: SpanExportResult.SUCCESS
    exports.turns(start_turn, 1)
    assert exports.flush()
    assert len(exports.exporter.names) == 1


def test_it_is_told_again_after_a_while_and_when_all_is_well(
    exports: Exports,
    start_turn: StartTurn,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moments = [0.0]
    told: list[list[str]] = []
    monkeypatch.setattr(delivery_module, "monotonic", lambda: moments[-1])
    refused, taken = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    with caplog.at_level(logging.INFO):
        for moment, answer in [(0.0, refused), (599.0, refused), (601.0, refused), (602.0, taken), (603.0, refused)]:
            moments.append(moment)
            exports.exporter.answer = lambda answer=answer: answer  # type: ignore[misc]
            exports.turns(start_turn, 1)
            exports.flush()
            told.append([record.levelname for record in caplog.records])
            caplog.clear()
    assert told == [["WARNING"], [], ["WARNING"], ["INFO"], ["WARNING"]]
    assert exports.processor.outlet.lost == 4
    assert len(exports.exporter.names) == 1


def test_what_other_exporters_log_is_left_alone(
    exports: Exports, start_turn: StartTurn, caplog: pytest.LogCaptureFixture
) -> None:
    exports.exporter.free.clear()
    exports.turns(start_turn, 1)
    flushing: Any = exports.processor.outlet.begin_flush()
    assert exports.exporter.entered.wait(30)
    with caplog.at_level(logging.DEBUG):
        _exporter_logger.warning("said by somebody else")
    exports.exporter.free.set()
    assert wait_for([flushing], timeout_seconds=30)
    assert "said by somebody else" in caplog.text


def test_an_interpreter_that_starts_no_more_threads_still_hands_over(
    exports: Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    exports.turns(start_turn, 2)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert wait_for([exports.processor.outlet.begin_shutdown(30)], timeout_seconds=30)
    assert len(exports.exporter.names) == 2


def test_a_fork_does_not_wait_for_a_thread_that_tells_of_its_end_just_then(exports: Exports) -> None:
    outlet = exports.processor.outlet
    end = outlet.begin_shutdown(1.0)
    assert end.result(30)
    with end._condition:  # which the other thread holds for ever
        child = threading.Thread(target=outlet.start_over, daemon=True)
        child.start()
        child.join(5)
        assert not child.is_alive()
    assert exports.flush(), "what it still held is the parent's"
