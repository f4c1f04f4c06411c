"""Spans on their way to an exporter that does what a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from langswarm_sessions_otel import Telemetry, TurnScope
from langswarm_sessions_otel.process.bounded import wait_for
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.spans import BoundedSpanProcessor

__all__ = ["Exports", "ScriptedExporter"]


class ScriptedExporter(SpanExporter):
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


class Exports:
    """A provider whose spans go to a `ScriptedExporter`, set up as `configure_telemetry` does it."""

    def __init__(self, *, shutdown_timeout: float = 0.05) -> None:
        self.exporter = ScriptedExporter()
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

    def turns(self, start_turn: Callable[..., TurnScope], count: int) -> None:
        """Run turns in which nothing happens: a span each."""
        for number in range(count):
            with start_turn(self.telemetry, session_id=f"s-{number}"):
                pass
