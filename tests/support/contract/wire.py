"""What an OTLP receiver was sent, as rows of the contract: spans and points by the resource they came from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.otlp import Receiver

__all__ = ["PROTOCOLS", "Recording", "WireSpan", "recordings"]

PROTOCOLS = ("http", "grpc")


@dataclass(frozen=True, slots=True)
class WireSpan:
    """A span as it was received."""

    name: str
    span_id: bytes
    parent_id: bytes
    kind: int
    start: int
    end: int
    status: int
    status_text: str
    scope: str
    attributes: dict[str, Any]

    @property
    def error_type(self) -> str | None:
        """Its ``error.type``."""
        return self.attributes.get("error.type")


@dataclass(slots=True)
class Recording:
    """What was received of one row."""

    spans: list[WireSpan] = field(default_factory=list[WireSpan])
    points: dict[str, list[tuple[dict[str, Any], float]]] = field(default_factory=lambda: defaultdict(list))

    def errors_of(self, metric: str) -> Counter[str | None]:
        """Return how often a metric was recorded with each error type."""
        found: Counter[str | None] = Counter()
        for attributes, count in self.points.get(metric, ()):
            found[attributes.get("error.type")] += int(count)
        return found


def recordings(receiver: Receiver, protocol: str) -> dict[str, Recording]:
    """Return what came by one protocol, by row."""
    found: dict[str, Recording] = defaultdict(Recording)
    for path, headers, body in receiver.requests:
        if headers.get("x-protocol", "http") != protocol:
            continue
        if path == "/v1/traces":
            for row, span in _spans(ExportTraceServiceRequest.FromString(body)):
                found[row].spans.append(span)
        elif path == "/v1/metrics":
            for row, name, point in _points(ExportMetricsServiceRequest.FromString(body)):
                found[row].points[name].append(point)
    return found


def _spans(request: ExportTraceServiceRequest) -> Iterator[tuple[str, WireSpan]]:
    for resource in request.resource_spans:
        row = _plain(resource.resource.attributes)["row"]
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield (
                    row,
                    WireSpan(
                        name=span.name,
                        span_id=span.span_id,
                        parent_id=span.parent_span_id,
                        kind=span.kind,
                        start=span.start_time_unix_nano,
                        end=span.end_time_unix_nano,
                        status=span.status.code,
                        status_text=span.status.message,
                        scope=scope.scope.name,
                        attributes=_plain(span.attributes),
                    ),
                )


def _points(request: ExportMetricsServiceRequest) -> Iterator[tuple[str, str, tuple[dict[str, Any], float]]]:
    for resource in request.resource_metrics:
        row = _plain(resource.resource.attributes)["row"]
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for bar in metric.histogram.data_points:
                    yield row, metric.name, (_plain(bar.attributes), bar.count)
                for number in metric.sum.data_points:
                    yield row, metric.name, (_plain(number.attributes), number.as_int or number.as_double)


def _plain(attributes: Iterable[Any]) -> dict[str, Any]:
    return {entry.key: _value(entry.value) for entry in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    return getattr(value, kind)
