"""What runs in the middle of telemetry's own work on the same thread, as handlers of signals do: nothing hangs."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import SpanProcessor

from langswarm_sessions_otel import read_span_file
from langswarm_sessions_otel.process import bounded
from langswarm_sessions_otel.process.outlet import Outlet
from langswarm_sessions_otel.sdk.batches import Batches, BatchLimits
from langswarm_sessions_otel.sdk.delivery import Delivery
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
