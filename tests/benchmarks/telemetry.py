"""What telemetry adds to a turn, and how much of it is the OpenTelemetry SDK's own work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from langswarm_sessions import SessionManager
from langswarm_sessions_otel import Telemetry
from langswarm_sessions_otel.process.later import LATER
from langswarm_sessions_otel.scopes.turn import TurnScope
from tests.benchmarks.measure import Turn, paired_differences
from tests.benchmarks.ours import manager_on, our_turn
from tests.benchmarks.sdk_alone import SdkAlone, recorded_by_a_turn

__all__ = ["TelemetryCost", "telemetry_cost"]

_TURNS = 2_000


@dataclass(frozen=True, slots=True)
class TelemetryCost:
    """What telemetry adds to a native turn.

    Attributes:
        off_ms: A turn with telemetry off, in milliseconds.
        again_ms: What a second series with telemetry off "adds": what the measurement cannot tell.
        api_ms: What it adds where no SDK is set up.
        sdk_ms: What it adds with an SDK and a batch exporter.
        alone_ms: What the SDK adds by itself when it is told the same at the same moments.
        spans: Spans of a turn.
        measurements: Measurements of a turn.
    """

    off_ms: float
    again_ms: float
    api_ms: float
    sdk_ms: float
    alone_ms: float
    spans: int
    measurements: int


class _Nowhere(SpanExporter):
    """Takes every span and does nothing with it."""

    def export(self, spans: object) -> SpanExportResult:
        return SpanExportResult.SUCCESS


class _Switched(Telemetry):
    """Is another telemetry from one turn to the next.

    Two session managers alike differ by more than is looked for. So there is one, and a session for each kind.
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        super().__init__(enabled=False)
        self.now = Telemetry(enabled=False)

    def turn(self, **said: Any) -> TurnScope:
        return self.now.turn(**said)


async def telemetry_cost(folder: Path) -> TelemetryCost:
    """Measure native turns side by side, one of each kind by turns, and compare them within each time.

    Args:
        folder: Where databases are made.
    """
    recorded = await recorded_by_a_turn(folder)
    tracing, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    tracing.add_span_processor(BatchSpanProcessor(_Nowhere()))
    kinds = {
        "off": Telemetry(enabled=False),
        "again": Telemetry(enabled=False),
        "api": Telemetry(),
        "sdk": Telemetry(tracer_provider=tracing, meter_provider=meters),
        "alone": SdkAlone(tracing, meters, recorded),
    }
    switched = _Switched()
    async with manager_on(folder, "telemetry", telemetry=switched) as manager:
        turns = {name: await _turn_with(telemetry, switched, manager) for name, telemetry in kinds.items()}
        off, added = await paired_differences(turns, turns=_TURNS)
    tracing.shutdown()
    return TelemetryCost(
        off_ms=off,
        again_ms=added["again"],
        api_ms=added["api"],
        sdk_ms=added["sdk"],
        alone_ms=added["alone"],
        spans=len(recorded.spans),
        measurements=len(recorded.measurements),
    )


async def _turn_with(telemetry: Telemetry, switched: _Switched, manager: SessionManager) -> Turn:
    turn = await our_turn(manager, stored=0, strategy="native", window=None)

    async def turn_with() -> None:
        switched.now = telemetry
        await turn()
        LATER.do_all()  # what is put off costs its time as well

    return turn_with
