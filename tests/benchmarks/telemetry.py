"""What telemetry adds to a turn, and how much of it is the OpenTelemetry SDK's own work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langswarm_sessions_otel import Telemetry
from tests.benchmarks.measure import Turn, paired_differences
from tests.benchmarks.ours import manager_on, our_turn

__all__ = ["TelemetryCost", "telemetry_cost"]

_TURNS = 600


@dataclass(frozen=True, slots=True)
class TelemetryCost:
    """What telemetry adds to a native turn.

    Attributes:
        off_ms: A turn with telemetry off, in milliseconds.
        api_ms: What it adds where no SDK is set up.
        sdk_ms: What it adds with an SDK and a batch exporter.
        floor_ms: What the same spans and measurements take when the SDK is called directly.
        spans: Spans of a turn.
        measurements: Measurements of a turn.
    """

    off_ms: float
    api_ms: float
    sdk_ms: float
    floor_ms: float
    spans: int
    measurements: int


class _Nowhere(SpanExporter):
    """Takes every span and does nothing with it."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


async def telemetry_cost(folder: Path) -> TelemetryCost:
    """Measure native turns side by side, one of each kind after the other, and compare them in pairs."""
    tracing, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracing.add_span_processor(BatchSpanProcessor(_Nowhere()))
    spans, measurements = await _one_turn(folder)
    kinds = {
        "off": Telemetry(enabled=False),
        "api": Telemetry(),
        "sdk": Telemetry(tracer_provider=tracing, meter_provider=meters),
        "floor": Telemetry(enabled=False),
    }
    async with AsyncExitStack() as stack:
        turns: dict[str, Turn] = {}
        for name, telemetry in kinds.items():
            manager = await stack.enter_async_context(manager_on(folder, f"telemetry-{name}", telemetry=telemetry))
            turns[name] = await our_turn(manager, stored=0, strategy="native", window=None)
        turns["floor"] = _followed_by(turns["floor"], _replay(tracing, meters, spans, measurements))
        off, added = await paired_differences(turns, turns=_TURNS)
    tracing.shutdown()
    return TelemetryCost(
        off_ms=off,
        api_ms=added["api"],
        sdk_ms=added["sdk"],
        floor_ms=added["floor"],
        spans=len(spans),
        measurements=len(measurements),
    )


def _followed_by(turn: Turn, work: Callable[[], None]) -> Turn:
    async def both() -> None:
        await turn()
        work()

    return both


@dataclass(frozen=True, slots=True)
class _Measured:
    """One measurement, or the sum of those of one series."""

    attributes: dict[str, Any]
    is_histogram: bool
    total: float


async def _one_turn(folder: Path) -> tuple[tuple[ReadableSpan, ...], list[_Measured]]:
    """Return what a single turn records: its spans in the order of their start, and its measurements."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = Telemetry(tracer_provider=tracing, meter_provider=MeterProvider([reader]))
    async with manager_on(folder, "telemetry-once", telemetry=telemetry) as manager:
        turn = await our_turn(manager, stored=0, strategy="native", window=None)
        before = _series(reader)
        exporter.clear()
        await turn()
        after = _series(reader)
    measurements: list[_Measured] = []
    for key, series in after.items():
        grown = series.total - (before[key].total if key in before else 0)
        # What a counter was told in one turn was told at once.
        measurements += [series] * (int(grown) if series.is_histogram else int(grown != 0))
    return tuple(sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)), measurements


def _series(reader: InMemoryMetricReader) -> dict[object, _Measured]:
    data = reader.get_metrics_data()
    found: dict[object, _Measured] = {}
    for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics) if data else ():
        for point in metric.data.data_points:
            attributes = dict(point.attributes or {})
            key = (metric.name, tuple(sorted(attributes.items())))
            if isinstance(point, HistogramDataPoint):
                found[key] = _Measured(attributes, is_histogram=True, total=point.count)
            elif isinstance(point, NumberDataPoint):
                found[key] = _Measured(attributes, is_histogram=False, total=point.value)
    return found


def _replay(
    tracing: TracerProvider, meters: MeterProvider, spans: tuple[ReadableSpan, ...], measurements: list[_Measured]
) -> Callable[[], None]:
    tracer, meter = tracing.get_tracer("floor"), meters.get_meter("floor")
    histogram, counter = meter.create_histogram("floor.histogram"), meter.create_counter("floor.counter")
    root, *steps = spans

    def replay() -> None:
        with tracer.start_as_current_span(root.name, kind=root.kind, attributes=root.attributes):
            for step in steps:
                with tracer.start_as_current_span(step.name, kind=step.kind, attributes=step.attributes):
                    pass
            for measured in measurements:
                if measured.is_histogram:
                    histogram.record(1, measured.attributes)
                else:
                    counter.add(1, measured.attributes)

    return replay
