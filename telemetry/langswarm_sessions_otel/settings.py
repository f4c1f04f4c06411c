"""What the environment asks of telemetry: what is recorded, and where it goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from langswarm_sessions_otel import semconv

_OFF = frozenset({"off", "false", "0", "no"})
_ON = frozenset({"on", "true", "1", "yes"})
_CAPTURE_ON_SPANS = frozenset({"SPAN_ONLY", "SPAN_AND_EVENT"})
_DEFAULT_ENDPOINT = "http://localhost:4318"


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """Switches of telemetry.

    Attributes:
        enabled: Whether anything is recorded at all.
        capture_content: Whether messages and error texts go onto spans.
        baggage: Whether the conversation id travels as baggage, also to third parties.
        group_lifecycle: Whether lifecycle spans outside a turn carry the conversation id.
        client_metrics: The generation of the ``gen_ai.client.*`` metrics.
    """

    enabled: bool = True
    capture_content: bool = False
    baggage: bool = False
    group_lifecycle: bool = False
    client_metrics: semconv.ClientMetrics = semconv.RELEASED


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """Where telemetry goes, as the OpenTelemetry SDK reads it.

    Attributes:
        sdk_disabled: Whether the SDK records nothing.
        spans_endpoint: The OTLP receiver of spans, None when no variable asks for an export.
    """

    sdk_disabled: bool = False
    spans_endpoint: str | None = field(default=None, repr=False)


def read_export_settings(environ: Mapping[str, str] | None = None) -> ExportSettings:
    """Read from environment variables where telemetry goes.

    Args:
        environ: Variables to read; those of the process when None.

    Returns:
        What they say.
    """
    variables = os.environ if environ is None else environ
    names = (semconv.OTEL_TRACES_ENDPOINT, semconv.OTEL_ENDPOINT, semconv.OTEL_METRICS_ENDPOINT)
    traces, both, metrics = (variables.get(name, "").strip() for name in names)
    return ExportSettings(
        sdk_disabled=variables.get(semconv.OTEL_SDK_DISABLED, "").strip().lower() == "true",
        # Who names a receiver of metrics alone gets the spans at OpenTelemetry's own address.
        spans_endpoint=traces or both or (_DEFAULT_ENDPOINT if metrics else None),
    )


def read_settings(*, enabled: bool = True, environ: Mapping[str, str] | None = None) -> TelemetrySettings:
    """Read the switches from environment variables.

    Args:
        enabled: False switches everything off, whatever the environment says.
        environ: Variables to read; those of the process when None.

    Returns:
        The switches.
    """
    variables = os.environ if environ is None else environ

    def value(name: str) -> str:
        return variables.get(name, "").strip()

    opt_ins = {opt_in.strip() for opt_in in value(semconv.ENV_STABILITY_OPT_IN).split(",")}
    return TelemetrySettings(
        enabled=enabled and value(semconv.ENV_TELEMETRY).lower() not in _OFF,
        capture_content=value(semconv.ENV_CAPTURE_CONTENT).upper() in _CAPTURE_ON_SPANS,
        baggage=value(semconv.ENV_BAGGAGE).lower() in _ON,
        group_lifecycle=value(semconv.ENV_LIFECYCLE_GROUPING).lower() == "always",
        client_metrics=semconv.NEWEST if semconv.OPT_IN_NEWEST_GENAI in opt_ins else semconv.RELEASED,
    )
