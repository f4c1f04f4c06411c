"""A program that has conversations while others instrument it, and prints all its telemetry as JSON.

``python -m tests.accept.beside.program '{"instrumentors": [...], "shapes": [...]}'``: a process of its own, because
what is instrumented stays so.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langswarm_sessions_otel import ConversationSpanProcessor
from tests.accept.beside.families import instrument


class Open(SpanProcessor):
    """The spans that have been started and not ended."""

    def __init__(self) -> None:
        self.names: dict[int, str] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        assert span.context is not None
        self.names[span.context.span_id] = span.name

    def on_end(self, span: ReadableSpan) -> None:
        assert span.context is not None
        del self.names[span.context.span_id]


def _shown(span: ReadableSpan) -> dict[str, Any]:
    assert span.context is not None
    assert span.instrumentation_scope is not None
    return {
        "name": span.name,
        "scope": span.instrumentation_scope.name,
        "trace": f"{span.context.trace_id:032x}",
        "id": f"{span.context.span_id:016x}",
        "parent": None if span.parent is None else f"{span.parent.span_id:016x}",
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "attributes": dict(span.attributes or {}),
        "start": span.start_time,
    }


def _points(reader: InMemoryMetricReader) -> list[dict[str, Any]]:
    data = reader.get_metrics_data()
    return [
        {
            "name": metric.name,
            "scope": scope.scope.name,
            "count": getattr(point, "count", None),
            "sum": getattr(point, "sum", getattr(point, "value", None)),
            "attributes": dict(point.attributes or {}),
        }
        for resource in (data.resource_metrics if data else ())
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


async def _run(shape: str) -> int:
    """Run a shape and return how many requests the servers answered."""
    from tests.accept.beside.shapes import SHAPES, Servers
    from tests.support.anthropic_server import AnthropicServer
    from tests.support.openai_server import OpenAIServer

    with OpenAIServer() as openai, AnthropicServer() as anthropic:
        servers = Servers(openai, anthropic)
        async with servers.manager() as manager:
            await SHAPES[shape](manager, servers)
        for server in (openai, anthropic):
            assert server.violations == [], server.violations
        return sum(len(server.posts) for server in (openai, anthropic))


def main(instrumentors: list[str], shapes: list[str]) -> None:
    """Run shapes one after the other, and print a JSON list with the telemetry of each."""
    exporter, still_open = InMemorySpanExporter(), Open()
    delta = AggregationTemporality.DELTA
    reader = InMemoryMetricReader(preferred_temporality={Counter: delta, Histogram: delta})
    provider = TracerProvider()
    for processor in (ConversationSpanProcessor(), SimpleSpanProcessor(exporter), still_open):
        provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    instrument(instrumentors)
    told: list[dict[str, Any]] = []
    for shape in shapes:
        exporter.clear()
        requests = asyncio.run(_run(shape))
        told.append(
            {
                "shape": shape,
                "requests": requests,
                "open": sorted(still_open.names.values()),
                "spans": [_shown(span) for span in exporter.get_finished_spans()],
                "points": _points(reader),
            }
        )
    print(json.dumps(told, default=str))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
