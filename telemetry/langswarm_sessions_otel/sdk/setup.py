"""Builds exporters, processors and, where none is set yet, providers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio, Sampler

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.process.outlet import Bounded
from langswarm_sessions_otel.providers import is_unset
from langswarm_sessions_otel.sdk.console import ConsoleTreeProcessor
from langswarm_sessions_otel.sdk.delivery import Delivery
from langswarm_sessions_otel.sdk.exporters import delivery_of
from langswarm_sessions_otel.sdk.logs import BoundedLogProcessor, events_are_taken, install_events
from langswarm_sessions_otel.sdk.metrics import BoundedMetricReader, metrics_are_taken, prepare_metrics
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor
from langswarm_sessions_otel.sdk.spans import SPAN_SLOTS, BoundedSpanProcessor
from langswarm_sessions_otel.setup.destinations import read_destinations
from langswarm_sessions_otel.setup.handle import SetUp
from langswarm_sessions_otel.setup.request import AttributeValue, Signal, TelemetryConfigurationError, TelemetryRequest

_logger = logging.getLogger("langswarm_sessions.telemetry")
_UNNAMED = "unknown_service"  # how the SDK names a service that nobody named


def set_up(request: TelemetryRequest) -> SetUp:
    """Set up what was asked for.

    Args:
        request: What was asked for.

    Returns:
        The ways that telemetry leaves the process, and how to take them back.

    Raises:
        ImportError: An OTLP exporter is needed and not installed.
        TelemetryConfigurationError: The span file cannot be written, or a variable that an exporter reads is wrong.
    """
    if read_destinations().disabled:
        _logger.info("%s says that nothing is recorded", semconv.OTEL_SDK_DISABLED)
        return SetUp()
    # Whatever can fail comes before the first provider is touched.
    spans_are_taken = _spans_are_taken(request)
    bound = request.shutdown_timeout
    sent = _deliveries(request, _taken(request, spans_are_taken))
    resource = _resource(request)
    bounded: list[Bounded] = []
    installs: list[Callable[[], None]] = []
    if "metrics" in sent:
        reader = _reader(sent["metrics"], request)
        installs.append(prepare_metrics(reader, resource))
        bounded.append(reader)
    local = _local_processors(request) if spans_are_taken else []

    leaves: list[Callable[[], None]] = []
    processors: list[SpanProcessor] = [*local]
    spans = BoundedSpanProcessor(sent["traces"], shutdown_timeout=bound) if "traces" in sent else None
    if spans is not None:
        processors.append(spans)
        bounded.append(spans)
    if spans_are_taken:
        leaves.append(_install_processors(processors, request, resource))
    leaves += [processor.shutdown for processor in local]
    for install in installs:
        install()
    if "logs" in sent:
        events = BoundedLogProcessor(sent["logs"], shutdown_timeout=bound)
        leaves.append(install_events(events, resource))
        bounded.append(events)

    def leave() -> None:
        for one in leaves:
            one()

    outlets = tuple(one.outlet for one in bounded)
    return SetUp(outlets=outlets, spans=None if spans is None else spans.outlet, leave=leave)


def _deliveries(request: TelemetryRequest, signals: Iterable[Signal]) -> dict[Signal, Delivery]:
    """Make the exporters: all of them, or none that stays open."""
    sent: dict[Signal, Delivery] = {}
    with ExitStack() as made:
        for signal in signals:
            sent[signal] = delivery_of(request, signal)
            made.callback(sent[signal].close)
        made.pop_all()
    return sent


def _reader(delivery: Delivery, request: TelemetryRequest) -> BoundedMetricReader:
    return BoundedMetricReader(
        delivery,
        shutdown_timeout=request.shutdown_timeout,
        interval=request.metric_interval,
        collection_timeout=request.timeout_of("metrics"),
    )


def _taken(request: TelemetryRequest, spans_are_taken: bool) -> list[Signal]:
    """Return what is asked to be sent, as far as the providers let it be."""
    takes: dict[Signal, Callable[[], bool]] = {
        "traces": lambda: spans_are_taken,
        "metrics": metrics_are_taken,
        "logs": events_are_taken,
    }
    return [signal for signal in takes if signal in request.exports and takes[signal]()]


def _local_processors(request: TelemetryRequest) -> list[SpanProcessor]:
    processors: list[SpanProcessor] = []
    if request.span_file is not None and (writer := _span_file(request.span_file, request)) is not None:
        processors.append(writer)
    if request.console:
        processors.append(ConsoleTreeProcessor(sys.stderr))
    return processors


def _span_file(path: Path, request: TelemetryRequest) -> SpanFileProcessor | None:
    try:
        return SpanFileProcessor(path, limit=request.span_file_limit)
    except OSError as error:
        told = f"must be a file that can be written: {path} cannot ({error.strerror})"
        if request.span_file_required:
            raise TelemetryConfigurationError(f"span_file {told}.") from error
        _logger.warning("%s %s; its spans are written nowhere", semconv.ENV_SPAN_FILE, told)
        return None


def _resource(request: TelemetryRequest) -> Resource:
    resource = Resource.create({**_asked_attributes(request)})
    name = str(resource.attributes.get(semconv.SERVICE_NAME, "")).strip()
    if name and not name.startswith(_UNNAMED):
        return resource
    return resource.merge(Resource({semconv.SERVICE_NAME: semconv.DISTRIBUTION}))


def _asked_attributes(request: TelemetryRequest) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {**(request.resource_attributes or {})}
    if request.service_name is not None:
        attributes[semconv.SERVICE_NAME] = request.service_name
    return attributes


def _spans_are_taken(request: TelemetryRequest) -> bool:
    provider = trace.get_tracer_provider()
    if is_unset(provider):
        return True
    if request.sampling_ratio is not None:
        _logger.warning("sampling_ratio has no effect: the provider that is set already samples by itself")
    if not _asked_attributes(request).items() <= _attributes_of(provider).items():
        _logger.warning(
            "service_name and resource_attributes have no effect on spans: the provider that is set already has its own"
        )
    if hasattr(provider, "add_span_processor"):
        return True
    _logger.warning("spans stay with the provider that is set already, a %s", type(provider).__qualname__)
    return False


def _attributes_of(provider: trace.TracerProvider) -> Mapping[str, object]:
    resource: Resource | None = getattr(provider, "resource", None)
    return {} if resource is None else {**resource.attributes}


def _install_processors(
    processors: list[SpanProcessor], request: TelemetryRequest, resource: Resource
) -> Callable[[], None]:
    provider = trace.get_tracer_provider()
    if is_unset(provider):
        # Its own exit handler would wait without bound; the handle's does not.
        provider = TracerProvider(sampler=_sampler(request), resource=resource, shutdown_on_exit=False)
        trace.set_tracer_provider(provider)
    slot = SPAN_SLOTS.of(provider)
    for processor in processors:
        slot.put(processor)

    def leave() -> None:
        for processor in processors:
            slot.take_out(processor)

    return leave


def _sampler(request: TelemetryRequest) -> Sampler | None:
    """Return None to leave it to the variables that the SDK reads."""
    return None if request.sampling_ratio is None else ParentBasedTraceIdRatio(float(request.sampling_ratio))
