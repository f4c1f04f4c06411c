"""The OpenTelemetry SDK called directly: with what `Telemetry` records of a turn, at the moments when it does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.util.types import Attributes

from langswarm_sessions_otel import Telemetry, semconv
from langswarm_sessions_otel.silent import SILENT_TURN
from tests.benchmarks.ours import manager_on, our_turn

__all__ = ["Measured", "Recorded", "SdkAlone", "recorded_by_a_turn"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement, or the sum of those of one series.

    Attributes:
        attributes: Those of the series.
        is_histogram: Whether it belongs to a histogram, else to a counter.
        total: How many there are in the histogram, or the sum of the counter.
    """

    attributes: dict[str, Any]
    is_histogram: bool
    total: float

    @property
    def step(self) -> str:
        """How the name of the span begins that it is measured with."""
        if semconv.STORAGE_OPERATION in self.attributes:
            return f"{semconv.STORAGE_SPAN}{self.attributes[semconv.STORAGE_OPERATION]}"
        return str(self.attributes.get(semconv.OPERATION_NAME, semconv.TURN_OPERATION))


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a turn records.

    Attributes:
        spans: In the order of their start; the first is the turn's.
        measurements: In any order.
    """

    spans: tuple[ReadableSpan, ...]
    measurements: tuple[Measured, ...]


async def recorded_by_a_turn(folder: Path) -> Recorded:
    """Return what a native turn records, by doing one."""
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
    measurements: list[Measured] = []
    for key, series in after.items():
        grown = series.total - (before[key].total if key in before else 0)
        # What a counter was told in one turn was told at once.
        measurements += [series] * (int(grown) if series.is_histogram else int(grown != 0))
    spans = sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)
    return Recorded(tuple(spans), tuple(measurements))


def _series(reader: InMemoryMetricReader) -> dict[object, Measured]:
    data = reader.get_metrics_data()
    found: dict[object, Measured] = {}
    for metric in (m for r in data.resource_metrics for s in r.scope_metrics for m in s.metrics) if data else ():
        for point in metric.data.data_points:
            attributes = dict(point.attributes or {})
            key = (metric.name, tuple(sorted(attributes.items())))
            if isinstance(point, HistogramDataPoint):
                found[key] = Measured(attributes, is_histogram=True, total=point.count)
            elif isinstance(point, NumberDataPoint):
                found[key] = Measured(attributes, is_histogram=False, total=point.value)
    return found


@dataclass(frozen=True, slots=True)
class _ToRecord:
    """One span, and the measurements that go with it."""

    open: Callable[[], AbstractContextManager[object]]
    measurements: Sequence[tuple[Callable[[float, Attributes], None], dict[str, Any]]]


Kind = TypeVar("Kind")


def _otherwise_like(*silent: object) -> Callable[[type[Kind]], type[Kind]]:
    """Give a class what silent scopes have and it has not; to ask them each time would take time of its own."""

    def decorate(kind: type[Kind]) -> type[Kind]:
        for scope in silent:
            for name in dir(scope):
                if not (name.startswith("_") or hasattr(kind, name)):
                    value = getattr(scope, name)
                    setattr(kind, name, staticmethod(value) if callable(value) else value)
        return kind

    return decorate


@_otherwise_like(SILENT_TURN.storage("", backend=""), SILENT_TURN.chat(provider="", model="", stream=False))
class _Step:
    """Records one span of a turn and its measurements; it may be entered again when it has ended."""

    def __init__(self, step: _ToRecord) -> None:
        self._step = step

    def __enter__(self) -> Self:
        self._block = self._step.open()
        self._block.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        for tell, attributes in self._step.measurements:
            tell(1, attributes)
        self._block.__exit__(None, None, None)


@_otherwise_like(SILENT_TURN)
class _Turn(_Step):
    def __init__(self, steps: dict[str, _ToRecord]) -> None:
        super().__init__(steps[semconv.TURN_OPERATION])
        self._steps = steps

    def storage(self, operation: str, **_: object) -> _Step:
        return _Step(self._steps[f"{semconv.STORAGE_SPAN}{operation}"])

    def chat(self, **_: object) -> _Step:
        return _Step(self._steps[semconv.CHAT_OPERATION])


class SdkAlone(Telemetry):
    """Has the SDK record the same spans and measurements for every turn, and does nothing else.

    Args:
        tracing: Where spans go.
        meters: Where measurements go.
        recorded: What a turn records.
    """

    __slots__ = ("_steps",)

    def __init__(self, tracing: TracerProvider, meters: MeterProvider, recorded: Recorded) -> None:
        super().__init__(enabled=False)
        tracer, meter = tracing.get_tracer("sdk-alone"), meters.get_meter("sdk-alone")
        tell = {
            True: meter.create_histogram("sdk_alone.histogram").record,
            False: meter.create_counter("sdk_alone.counter").add,
        }
        self._steps: dict[str, _ToRecord] = {}
        for span in recorded.spans:
            step = span.name.partition(" ")[0]
            told = [(tell[one.is_histogram], one.attributes) for one in recorded.measurements if one.step == step]
            open_span = partial(
                tracer.start_as_current_span, span.name, kind=span.kind, attributes=dict(span.attributes or {})
            )
            self._steps[step] = _ToRecord(open_span, told)

    def turn(self, **_: object) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Record a turn."""
        return _Turn(self._steps)
