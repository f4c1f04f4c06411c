"""Spans of the command line: exported where the environment says so, with one line when they did not arrive."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langswarm_sessions.cli.output import tell
from langswarm_sessions_otel.setup.destinations import read_destinations
from langswarm_sessions_otel.setup.request import named_span_file

if TYPE_CHECKING:
    from langswarm_sessions_otel import TelemetryHandle

__all__ = ["exported_spans"]


@contextmanager
def exported_spans() -> Generator[None]:
    """Export the spans of a block where OTEL_* variables say so, and write them to the file that is named."""
    said = read_destinations()
    if not said.receivers and not said.console and named_span_file() is None:
        yield
        return
    for name in ("opentelemetry", "langswarm_sessions.telemetry.delivery"):
        _silence(logging.getLogger(name))
    telemetry = _configured()
    try:
        yield
    finally:
        if telemetry is not None and not (telemetry.shutdown() and not telemetry.lost_spans):
            told = "Not all spans and metrics were delivered: see `langswarm-sessions doctor`."
            tell(told, style="yellow")


def _silence(logger: logging.Logger) -> None:
    """Keep a logger from the terminal, for good: who gives up late must not write over the shell's prompt."""
    logger.addHandler(logging.NullHandler())
    logger.propagate = False


def _configured() -> TelemetryHandle | None:
    from langswarm_sessions_otel import (
        MissingTelemetryDependencyError,
        TelemetryConfigurationError,
        configure_telemetry,
    )

    try:
        # What variables do not name a place for is not sent: nobody asked for it.
        return configure_telemetry(span_file=named_span_file() is not None)
    except (MissingTelemetryDependencyError, TelemetryConfigurationError) as error:
        tell(f"spans are not exported: {error}", style="yellow")
        return None
