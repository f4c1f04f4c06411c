"""Exporters that hang, refuse or raise: what the caller's thread sees of it, what is counted, what is said."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from langswarm_sessions_otel import Telemetry, TurnScope
from langswarm_sessions_otel.process.bounded import wait_for
from langswarm_sessions_otel.sdk import batches
from langswarm_sessions_otel.sdk import delivery as delivery_module
from langswarm_sessions_otel.sdk.complaints import remedy_of
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.spans import BoundedSpanProcessor

StartTurn = Callable[..., TurnScope]
SECRET = "Bearer canary-key"
_exporter_logger = logging.getLogger(__name__)


class _Exporter(SpanExporter):
    """Does what a test says, and remembers on which threads."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.free.set()
        self.entered = threading.Event()
        self.threads: set[int] = set()
        self.names: list[str] = []
        self.answer: Callable[[], SpanExportResult] = lambda: SpanExportResult.SUCCESS

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.threads.add(threading.get_ident())
        self.entered.set()
        self.free.wait()
        result = self.answer()
        if result is SpanExportResult.SUCCESS:
            self.names += [span.name for span in spans]
        return result

    def shutdown(self) -> None:
        self.free.wait()


class _Exports:
    """A provider whose spans go to an `_Exporter`, set up as `configure_telemetry` does it."""

    def __init__(self, *, shutdown_timeout: float = 0.05) -> None:
        self.exporter = _Exporter()
        address = "http://name:password@collector:4318/path?key=canary"
        self.delivery = Delivery("spans", address, lambda: self.exporter)
        self.processor = BoundedSpanProcessor(self.delivery, shutdown_timeout=shutdown_timeout)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(self.processor)
        self.provider = provider
        self.telemetry = Telemetry(
            tracer_provider=provider, meter_provider=MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
        )

    def flush(self) -> bool:
        """Wait longer than the processor's bound, for what the test goes on from."""
        return wait_for([self.processor.outlet.begin_flush()], timeout_seconds=30)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Exports]:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")
    exports = _Exports()
    yield exports
    exports.exporter.free.set()
    exports.processor.shutdown()


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the stages that are counted from now on."""
    counted: list[str] = []
    monkeypatch.setattr(delivery_module, "count_error", counted.append)
    return counted


def _turns(exports: _Exports, start_turn: StartTurn, count: int) -> None:
    for number in range(count):
        with start_turn(exports.telemetry, session_id=f"s-{number}"):
            pass


def test_turns_go_on_while_the_exporter_hangs_for_ever_and_no_more_than_a_queue_is_held(
    exports: _Exports, start_turn: StartTurn
) -> None:
    exports.exporter.free.clear()
    _turns(exports, start_turn, 10)
    assert exports.exporter.entered.wait(30)
    _turns(exports, start_turn, 500)

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


def test_turns_go_on_while_a_batch_is_encoded(
    exports: _Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, seen = 0, list[int]()

    def encode(spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for _ in spans:
            seen.append(steps)
        return SpanExportResult.SUCCESS

    monkeypatch.setattr(exports.exporter, "export", encode)
    monkeypatch.setattr(batches, "_ASIDE_SECONDS", 0.01)  # enough for a machine with other things to do
    _turns(exports, start_turn, 9)
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
    exports: _Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited = list[float]()
    turn = start_turn(exports.telemetry, session_id="running")

    def wait(seconds: float) -> None:
        assert exports.exporter.names == [], "it is sent before the turn has ended"
        waited.append(seconds)
        if len(waited) == 3:
            turn.__exit__(None, None, None)

    monkeypatch.setattr(batches, "_LONGEST_FOR_TURNS_SECONDS", 600.0)
    _turns(exports, start_turn, 2)
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
        _turns(exports, start_turn, 1)
        assert exports.flush(), "somebody waits for a flush"


def test_a_batch_stands_aside_while_there_is_room_and_time(
    exports: _Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a busy thread beside it, each time costs it milliseconds: a queue would fill faster than it is sent."""
    aside = list[float]()
    monkeypatch.setattr(batches, "sleep", aside.append)
    monkeypatch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 600.0)
    exports.exporter.free.clear()
    _turns(exports, start_turn, 10)
    assert exports.exporter.entered.wait(30)
    _turns(exports, start_turn, 90)
    exports.exporter.free.set()
    assert exports.flush()
    assert len(exports.exporter.names) == 100
    assert len(aside) == 50, "with half a queue or more behind it, a batch is sent at once"

    monkeypatch.setattr(batches, "_LONGEST_ASIDE_SECONDS", 0.0)
    _turns(exports, start_turn, 9)
    assert exports.flush()
    assert len(exports.exporter.names) == 109
    assert len(aside) == 50


def test_what_is_dropped_is_counted_as_it_happens_and_told_once(
    exports: _Exports, start_turn: StartTurn, caplog: pytest.LogCaptureFixture, errors: list[str]
) -> None:
    exports.exporter.free.clear()
    _turns(exports, start_turn, 10)
    assert exports.exporter.entered.wait(30)
    _turns(exports, start_turn, 103)

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


def test_what_is_dropped_and_what_arrives_is_all_there_was(exports: _Exports, start_turn: StartTurn) -> None:
    exports.exporter.free.clear()
    _turns(exports, start_turn, 10)
    assert exports.exporter.entered.wait(30)
    _turns(exports, start_turn, 290)
    exports.exporter.free.set()
    exports.flush()
    exports.processor.shutdown()

    arrived = len(exports.exporter.names)
    assert 100 <= arrived < 300
    assert exports.processor.outlet.lost == 300 - arrived


def test_waiting_for_an_exporter_that_hangs_ends_and_piles_up_no_threads(
    exports: _Exports, start_turn: StartTurn
) -> None:
    exports.exporter.free.clear()
    _turns(exports, start_turn, 1)
    assert not exports.provider.force_flush(1)
    threads = threading.active_count()
    for _ in range(50):
        assert not exports.provider.force_flush(1)
    assert threading.active_count() == threads

    exports.exporter.free.set()
    assert exports.flush()
    assert exports.exporter.names == ["invoke_agent session"]


def test_a_closed_processor_takes_nothing_more(exports: _Exports, start_turn: StartTurn) -> None:
    _turns(exports, start_turn, 3)
    assert exports.flush()
    exports.processor.shutdown()
    exports.processor.shutdown()
    _turns(exports, start_turn, 3)
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
    exports: _Exports,
    start_turn: StartTurn,
    caplog: pytest.LogCaptureFixture,
    answer: Callable[[], SpanExportResult],
    reason: str,
    remedy: str,
) -> None:
    exports.exporter.answer = answer
    with caplog.at_level(logging.DEBUG):
        for _ in range(3):
            _turns(exports, start_turn, 2)
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
    exports: _Exports, start_turn: StartTurn
) -> None:
    exports.exporter.answer = lambda: _raise(SystemExit(1))
    _turns(exports, start_turn, 2)
    assert not exports.flush()
    assert exports.processor.outlet.lost == 2
    assert wait_for([exports.processor.outlet._attendant.ask(lambda: sys.exit(1))], timeout_seconds=30) is False
    exports.exporter.answer = lambda: SpanExportResult.SUCCESS
    _turns(exports, start_turn, 1)
    assert exports.flush()
    assert len(exports.exporter.names) == 1


def test_it_is_told_again_after_a_while_and_when_all_is_well(
    exports: _Exports,
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
            _turns(exports, start_turn, 1)
            exports.flush()
            told.append([record.levelname for record in caplog.records])
            caplog.clear()
    assert told == [["WARNING"], [], ["WARNING"], ["INFO"], ["WARNING"]]
    assert exports.processor.outlet.lost == 4
    assert len(exports.exporter.names) == 1


def test_what_other_exporters_log_is_left_alone(
    exports: _Exports, start_turn: StartTurn, caplog: pytest.LogCaptureFixture
) -> None:
    exports.exporter.free.clear()
    _turns(exports, start_turn, 1)
    flushing: Any = exports.processor.outlet.begin_flush()
    assert exports.exporter.entered.wait(30)
    with caplog.at_level(logging.DEBUG):
        _exporter_logger.warning("said by somebody else")
    exports.exporter.free.set()
    assert wait_for([flushing], timeout_seconds=30)
    assert "said by somebody else" in caplog.text


def test_an_interpreter_that_starts_no_more_threads_still_hands_over(
    exports: _Exports, start_turn: StartTurn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    _turns(exports, start_turn, 2)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert wait_for([exports.processor.outlet.begin_shutdown(30)], timeout_seconds=30)
    assert len(exports.exporter.names) == 2


def test_a_fork_does_not_wait_for_a_thread_that_tells_of_its_end_just_then(exports: _Exports) -> None:
    outlet = exports.processor.outlet
    end = outlet.begin_shutdown(1.0)
    assert end.result(30)
    with end._condition:  # which the other thread holds for ever
        child = threading.Thread(target=outlet.start_over, daemon=True)
        child.start()
        child.join(5)
        assert not child.is_alive()
    assert exports.flush(), "what it still held is the parent's"
