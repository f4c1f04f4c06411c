"""Whether a receiver takes what is sent to it, told by sending it nothing."""

from __future__ import annotations

from typing import Any, Final

from opentelemetry.sdk.metrics.export import MetricsData

from langswarm_sessions_otel.process.bounded import Attendant, wait_for
from langswarm_sessions_otel.sdk.exporters import delivery_of
from langswarm_sessions_otel.setup.request import Signal, TelemetryRequest

__all__ = ["why_not_taken"]

_REFUSES_NOTHING: Final = {"status 400", "status 422", "INVALID_ARGUMENT"}  # it is there, and reads what it is sent


def why_not_taken(signal: Signal, *, timeout_seconds: float) -> str | None:
    """Send a receiver an empty batch, as arguments and variables would have a full one sent.

    Args:
        signal: Whose receiver.
        timeout_seconds: How long to wait, in seconds.

    Returns:
        Why it was not taken, without anything that may be secret; None if it was.

    Raises:
        ImportError: The package of the exporter is not installed.
        TelemetryConfigurationError: A variable that the exporter reads is wrong.
    """
    delivery = delivery_of(TelemetryRequest(export_timeout=timeout_seconds), signal)
    nothing: Any = MetricsData(resource_metrics=[]) if signal == "metrics" else []
    sent = Attendant().ask(lambda: delivery.send(nothing, count=0))
    if wait_for([sent], timeout_seconds=timeout_seconds + 1) or delivery.why_refused in _REFUSES_NOTHING:
        return None
    return delivery.why_refused or f"no answer in {timeout_seconds:.0f} s"
