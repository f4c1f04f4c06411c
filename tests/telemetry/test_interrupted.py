"""What runs in the middle of telemetry's own work on the same thread, as handlers of signals do: nothing hangs."""

from __future__ import annotations

import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from langswarm_sessions_otel import read_span_file
from langswarm_sessions_otel.process import bounded
from langswarm_sessions_otel.process.outlet import Outlet
from langswarm_sessions_otel.reading.files import put_aside
from langswarm_sessions_otel.sdk.batches import Batches, BatchLimits
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor
from langswarm_sessions_otel.sdk.spans import SpanSlot

if TYPE_CHECKING:
    from tests.telemetry.conftest import RunPython


def _in_a_thread(work: Callable[[], object]) -> bool:
    """Return whether it came to an end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    return not thread.is_alive()


def test_a_handler_that_shuts_down_may_interrupt_the_writing_of_a_span(run_python: RunPython, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    other = tmp_path / "other.txt"
    code = f"""
        import os, signal
        from opentelemetry import trace
        from langswarm_sessions_otel import configure_telemetry

        handle = configure_telemetry(span_file={str(path)!r})
        tracer, opened = trace.get_tracer("test"), []

        def end(*_):
            tracer.start_span("in between").end()
            handle.shutdown()
            opened.append(os.open({str(other)!r}, os.O_CREAT | os.O_WRONLY))

        stat = os.fstat

        def interrupted(file):  # the span's own file is open, and nothing of it written yet
            os.fstat = stat
            os.kill(os.getpid(), signal.SIGTERM)
            return stat(file)

        signal.signal(signal.SIGTERM, end)
        os.fstat = interrupted
        tracer.start_span("interrupted").end()
        tracer.start_span("later").end()
        print(handle.closed, len(opened))
    """
    assert run_python(code) == "True 1\n"
    assert [record.name for record in read_span_file(path)] == ["interrupted", "in between"]
    assert other.read_bytes() == b""


def test_a_file_that_is_left_is_closed_once_whenever_a_span_is_ended_in_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is closed twice may be somebody else's by then."""
    path = tmp_path / "spans.jsonl"
    processor = SpanFileProcessor(path, limit=1_000_000)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer, close = provider.get_tracer("test"), os.close
    closed: list[int] = []
    interruptions = 0

    def end(name: str) -> None:
        tracer.start_span(name).end()

    class Interrupted(list[int]):
        def append(self, item: int) -> None:
            nonlocal interruptions
            super().append(item)
            if not interruptions:
                interruptions += 1
                end("in between")

    def noted(file: int) -> None:
        closed.append(file)
        close(file)

    monkeypatch.setattr(processor, "_left", Interrupted())
    path.rename(put_aside(path))
    monkeypatch.setattr(os, "close", noted)
    end("interrupted")
    monkeypatch.undo()
    provider.shutdown()
    assert (interruptions, len(closed)) == (1, 1)
    assert [record.name for record in read_span_file(path)] == ["interrupted", "in between"]


def test_what_ends_a_span_as_files_are_closed_finds_none_of_them_to_close(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "spans.jsonl"
    processor = SpanFileProcessor(path, limit=1_000_000)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    tracer = provider.get_tracer("test")
    interruptions = 0

    class Interrupted(list[int]):
        def pop(self, *_: Any) -> int:
            nonlocal interruptions
            interruptions += 1
            if interruptions == 1:
                tracer.start_span("in between").end()
            return super().pop()

        def __iter__(self) -> Iterator[int]:
            nonlocal interruptions
            interruptions += 1
            if interruptions == 1:
                tracer.start_span("in between").end()
            return super().__iter__()

    monkeypatch.setattr(processor, "_left", Interrupted())
    path.rename(put_aside(path))
    tracer.start_span("interrupted").end()
    provider.shutdown()
    assert interruptions
    assert caplog.messages == []
    assert [record.name for record in read_span_file(path)] == ["interrupted", "in between"]


class _Exporter:
    def export(self, batch: object, /) -> None:
        pass

    def shutdown(self) -> None:
        pass


def test_what_is_given_up_may_have_more_recorded_as_it_goes() -> None:
    delivery = Delivery("spans", "http://127.0.0.1:1", _Exporter)
    limits = BatchLimits(variables="OTEL_BSP", waiting=1, batch=10, delay_seconds=600)
    batches: Batches[object] = Batches(delivery, limits, timeout_seconds=5)

    class Given:
        def __del__(self) -> None:
            batches.add("recorded as it went")

    def fill() -> None:
        batches.add(Given())
        batches.add("more")

    assert _in_a_thread(fill)
    assert batches.lost == 1
    assert batches.outlet.begin_shutdown(5).exception(30) is None


def test_an_end_may_interrupt_an_end() -> None:
    slot, processor = SpanSlot(), SpanProcessor()
    slot.put(processor)

    class Interrupted(tuple[SpanProcessor, ...]):
        def __iter__(self) -> Iterator[SpanProcessor]:
            slot.parts = tuple(super().__iter__())
            slot.take_out(processor)
            return super().__iter__()

    slot.parts = Interrupted(slot.parts)
    assert _in_a_thread(lambda: slot.take_out(processor))
    assert slot.parts == ()


def test_an_end_may_interrupt_a_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    class Sender:
        lost = 0

        def send(self) -> bool:
            sent.append("flush")
            return True

        def send_regularly(self) -> None: ...

        def stop(self, timeout_seconds: float) -> bool:
            sent.append("end")
            return True

        def start_over(self) -> None: ...

    outlet = Outlet(Sender(), every_seconds=600, timeout_seconds=5)
    ends: list[concurrent.futures.Future[bool]] = []

    class Interrupted(concurrent.futures.Future[bool]):
        def __init__(self) -> None:
            super().__init__()
            monkeypatch.undo()
            ends.append(outlet.begin_shutdown(5))

    monkeypatch.setattr(bounded, "Future", Interrupted)
    assert _in_a_thread(outlet.begin_flush)
    assert ends[0].result(30) is True
    assert sent == ["end"]
