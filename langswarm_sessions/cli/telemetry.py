"""Spans of the command line: exported where the environment says so, with one line when they did not arrive."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from langswarm_sessions.cli.output import tell
from langswarm_sessions_otel.settings import read_export_settings

if TYPE_CHECKING:
    from langswarm_sessions_otel import TelemetryHandle

__all__ = ["exported_spans"]


@contextmanager
def exported_spans() -> Generator[None]:
    """Export the spans of a block where OTEL_* variables say so."""
    if read_export_settings().spans_endpoint is None:
        yield
        return
    complaints = _Complaints()
    exporters = logging.getLogger("opentelemetry")
    exporters.addHandler(complaints)
    exporters.propagate = False  # for good: an exporter that gives up late must not write over the shell's prompt
    telemetry = _configured()
    try:
        yield
    finally:
        if telemetry is not None and not (telemetry.shutdown() and not complaints.heard):
            told = "Not all spans and metrics were delivered: see `langswarm-sessions doctor`."
            tell(told, style="yellow")


class _Complaints(logging.Handler):
    """Keeps from the terminal what exporters log, and remembers that there was something."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = False

    def emit(self, record: logging.LogRecord) -> None:
        """Remember."""
        self.heard = True


def _configured() -> TelemetryHandle | None:
    from langswarm_sessions_otel import MissingTelemetryDependencyError, configure_telemetry

    try:
        return configure_telemetry()
    except MissingTelemetryDependencyError as error:
        tell(f"spans are not exported: {error}", style="yellow")
        return None
