"""Builds exporters, processors and, where none is set yet, providers."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider as ApiMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.configure import Pipeline, TelemetryRequest
from langswarm_sessions_otel.sdk.processors import BoundedBatchProcessor, ConsoleTreeProcessor, SpanFileProcessor

_logger = logging.getLogger("langswarm_sessions.telemetry")


def build_pipelines(request: TelemetryRequest) -> tuple[Pipeline, ...]:
    """Set up what was asked for.

    Args:
        request: What was asked for.

    Returns:
        The ways that telemetry leaves the process.

    Raises:
        ImportError: An OTLP exporter is needed and not installed.
        OSError: The span file cannot be written.
    """
    processors: list[SpanProcessor] = []
    if request.span_file is not None:
        processors.append(SpanFileProcessor(request.span_file))
    if request.console:
        processors.append(ConsoleTreeProcessor(sys.stderr))
    pipelines = [_local_pipeline(processor) for processor in processors]
    if request.exports:
        batches = _span_export(request)
        processors.append(batches)
        pipelines.append(Pipeline(batches.force_flush, batches.shutdown_within))
        pipelines += _metric_pipelines(request)
    _install_processors(processors, request)
    return tuple(pipelines)


def _local_pipeline(processor: SpanProcessor) -> Pipeline:
    def shutdown(_timeout_seconds: float) -> None:
        processor.shutdown()

    return Pipeline(processor.force_flush, shutdown)


def _span_export(request: TelemetryRequest) -> BoundedBatchProcessor:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    exporter = OTLPSpanExporter(
        endpoint=_signal_endpoint(request, "traces"), headers=_headers(request), timeout=request.export_timeout
    )
    return BoundedBatchProcessor(exporter, shutdown_timeout=request.shutdown_timeout)


def _metric_export(request: TelemetryRequest) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    exporter = OTLPMetricExporter(
        endpoint=_signal_endpoint(request, "metrics"), headers=_headers(request), timeout=request.export_timeout
    )
    return PeriodicExportingMetricReader(exporter, export_timeout_millis=request.export_timeout * 1000)


def _signal_endpoint(request: TelemetryRequest, signal: str) -> str | None:
    return None if request.endpoint is None else f"{request.endpoint.rstrip('/')}/v1/{signal}"


def _headers(request: TelemetryRequest) -> dict[str, str] | None:
    return None if request.headers is None else dict(request.headers)


def _resource(request: TelemetryRequest) -> Resource:
    attributes: dict[str, str] = {**(request.resource_attributes or {})}
    named_by_user = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    if request.service_name != semconv.DISTRIBUTION or not named_by_user:
        attributes["service.name"] = request.service_name
    return Resource.create({**attributes})


def _install_processors(processors: list[SpanProcessor], request: TelemetryRequest) -> None:
    provider = trace.get_tracer_provider()
    if _is_unset(provider):
        # Its own exit handler would wait without bound; the handle's does not.
        provider = TracerProvider(resource=_resource(request), shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    add: Callable[[SpanProcessor], None] | None = getattr(provider, "add_span_processor", None)
    if add is None:
        _logger.warning("spans stay with the provider that is set already, a %s", type(provider).__qualname__)
        return
    for processor in processors:
        add(processor)


def _metric_pipelines(request: TelemetryRequest) -> list[Pipeline]:
    provider = metrics.get_meter_provider()
    if _is_unset(provider):
        reader = _metric_export(request)
        views = [
            View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(boundaries))
            for name, boundaries in semconv.BUCKETS.items()
        ]
        resource = _resource(request)
        metrics.set_meter_provider(MeterProvider([reader], resource, shutdown_on_exit=False, views=views))
    else:
        # Older SDKs' providers cannot take another reader: the metrics then go where their own readers send them.
        add: Callable[[MetricReader], None] | None = getattr(provider, "add_metric_reader", None)
        if add is None:
            _logger.info("metrics stay with the provider that is set already, a %s", type(provider).__qualname__)
            return []
        reader = _metric_export(request)
        add(reader)

    def shutdown(timeout_seconds: float) -> None:
        reader.shutdown(timeout_millis=timeout_seconds * 1000)  # pyright: ignore[reportUnknownMemberType]

    return [Pipeline(reader.force_flush, shutdown)]


def _is_unset(provider: trace.TracerProvider | ApiMeterProvider) -> bool:
    return type(provider).__name__ in {"ProxyTracerProvider", "_ProxyMeterProvider"}
