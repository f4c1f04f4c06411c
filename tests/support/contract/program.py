"""Plays every row of the contract, and exports what telemetry recorded over OTLP/HTTP and OTLP/gRPC.

    python -m tests.support.contract.program HTTP_URL GRPC_ADDRESS [ROW ...]

Each row has a resource of its own, so that its spans and metrics can be told apart. It prints what was left open.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricExporter, MetricsData, ResourceMetrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from langswarm_sessions_otel import Telemetry
from tests.support.contract.acts import ACTS
from tests.support.contract.stage import Stage
from tests.support.contract.table import rows


class Kept(SpanProcessor):
    """Keeps what ended, and knows what did not."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []
        self.open: dict[int, str] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take note of an open span."""
        self.open[span.get_span_context().span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span that ended."""
        self.ended.append(span)
        spot = span.get_span_context()
        assert spot is not None
        del self.open[spot.span_id]  # once: a second end is an error


async def play(row: str, kept: Kept) -> list[ResourceMetrics]:
    """Play one row; return what was measured."""
    name, outcome = row.split(" × ")
    act, resource = ACTS[name], Resource({"row": row})
    reader = InMemoryMetricReader()
    spans = TracerProvider(resource=resource, shutdown_on_exit=False)
    spans.add_span_processor(kept)
    measures = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
    telemetry = Telemetry(tracer_provider=spans, meter_provider=measures)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(telemetry, Path(folder), hooks=act.hooks(), on_disk=act.on_disk, strategy=act.strategy)
        async with stage:
            await act.prepare(stage, outcome)
            with spans.get_tracer("caller").start_as_current_span("caller"):
                await act.play(stage, outcome)
            measured = reader.get_metrics_data()
    return list(measured.resource_metrics) if measured else []


async def play_all(chosen: list[str], kept: Kept) -> tuple[list[ResourceMetrics], dict[str, str]]:
    """Play the rows one after the other; return what was measured, and what went wrong in playing."""
    measured: list[ResourceMetrics] = []
    wrong: dict[str, str] = {}
    for row in chosen:
        try:
            async with asyncio.timeout(20):
                measured += await play(row, kept)
        except Exception as error:  # noqa: BLE001 - the others are played all the same
            wrong[row] = repr(error)
    return measured, wrong


def main(http: str, grpc: str, *chosen: str) -> None:
    """Play and export."""
    kept = Kept()
    measured, wrong = asyncio.run(play_all(list(chosen) or list(rows()), kept))
    span_exporters: tuple[SpanExporter, ...] = (HttpSpans(f"{http}/v1/traces"), GrpcSpans(grpc, insecure=True))
    for spans in span_exporters:
        spans.export(kept.ended)
        spans.shutdown()  # pyright: ignore[reportUnknownMemberType]
    metric_exporters: tuple[MetricExporter, ...] = (HttpMetrics(f"{http}/v1/metrics"), GrpcMetrics(grpc, insecure=True))
    for metrics in metric_exporters:
        metrics.export(MetricsData(measured))  # pyright: ignore[reportUnknownMemberType]
        metrics.shutdown()  # pyright: ignore[reportUnknownMemberType]
    print(json.dumps({"open": sorted(kept.open.values()), "wrong": wrong}))


if __name__ == "__main__":
    main(*sys.argv[1:])
