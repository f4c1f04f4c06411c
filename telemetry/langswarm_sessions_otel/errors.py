"""What is wrong with how telemetry was asked for."""

from __future__ import annotations


class TelemetryConfigurationError(ValueError):
    """An argument of `Telemetry` or `configure_telemetry`, or a variable it reads, is wrong; the message names it."""
