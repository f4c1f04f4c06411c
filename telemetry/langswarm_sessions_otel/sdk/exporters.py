"""Makes the exporter of a signal for a protocol, as arguments and variables say."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from typing import Final

from opentelemetry.util.re import parse_env_headers

from langswarm_sessions_otel.sdk.complaints import headers_unquoted, listening_session
from langswarm_sessions_otel.sdk.delivery import Delivery, Exporter
from langswarm_sessions_otel.setup.request import (
    Protocol,
    Signal,
    TelemetryConfigurationError,
    TelemetryRequest,
    default_receiver,
    named_for,
)

_HOMES: Final[dict[Protocol, str]] = {
    "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
    "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    "http/json": "opentelemetry.exporter.otlp.json.http",
}
_CLASSES: Final[dict[Signal, str]] = {
    "traces": "trace_exporter.OTLPSpanExporter",
    "metrics": "metric_exporter.OTLPMetricExporter",
    "logs": "_log_exporter.OTLPLogExporter",
}
_CREDENTIALS: Final = "_CREDENTIAL_PROVIDER"
_SUBJECTS: Final[dict[Signal, str]] = {"traces": "spans", "metrics": "metrics", "logs": "events"}


def delivery_of(request: TelemetryRequest, signal: Signal) -> Delivery:
    """Make what hands a signal to its receiver.

    Args:
        request: What was asked for.
        signal: What is sent.

    Raises:
        ImportError: The package of the exporter is not installed.
        TelemetryConfigurationError: A variable that it reads is wrong.
    """
    return Delivery(_SUBJECTS[signal], _address(request, signal), _maker(request, signal))


def _maker(request: TelemetryRequest, signal: Signal) -> Callable[[], Exporter]:
    protocol = request.protocol_of(signal)
    module, _, name = _CLASSES[signal].partition(".")
    try:
        kind: Callable[..., Exporter] = getattr(import_module(f"{_HOMES[protocol]}.{module}"), name)
    except ImportError as error:
        if protocol != "http/json":
            raise
        raise TelemetryConfigurationError(
            "protocol must be 'http/protobuf' or 'grpc': for 'http/json' install opentelemetry-exporter-otlp-json-http."
        ) from error
    variable, text = named_for(signal, "HEADERS")
    with headers_unquoted(variable):
        headers = _headers(request, text)
    options: dict[str, object] = {"headers": headers, "timeout": request.timeout_of(signal)}
    if protocol == "grpc":
        options |= {"endpoint": request.endpoint, "insecure": request.insecure}
    elif request.endpoint is not None:
        options["endpoint"] = f"{request.endpoint.rstrip('/')}/v1/{signal}"

    # A session that is given takes the place of one that a variable names.
    listens = protocol == "http/protobuf" and not any(_CREDENTIALS in name for name in os.environ)

    def make() -> Exporter:
        try:
            with headers_unquoted(variable):
                return kind(**options, session=listening_session()) if listens else kind(**options)
        except (ValueError, RuntimeError, KeyError) as error:
            raise TelemetryConfigurationError(
                f"one of the OTEL_EXPORTER_OTLP_* variables must be corrected: the exporter of {signal} refuses it "
                f"with {type(error).__name__}."
            ) from None

    return make


def _headers(request: TelemetryRequest, said: str) -> dict[str, str] | None:
    """Join what was given to what the variables say; gRPC takes lower-case names alone."""
    if request.headers is None:
        return None
    given = {name.lower(): value for name, value in request.headers.items()}
    return {**parse_env_headers(said, liberal=True), **given}


def _address(request: TelemetryRequest, signal: Signal) -> str:
    return request.endpoint or named_for(signal, "ENDPOINT")[1] or default_receiver(request.protocol_of(signal))
