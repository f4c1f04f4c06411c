"""Telemetry of langswarm-sessions: spans and metrics over the OpenTelemetry API.

Importing this package loads ``opentelemetry-api`` alone; the SDK is loaded by `configure_telemetry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langswarm_sessions_otel.bounded import flush
from langswarm_sessions_otel.propagation import error_type_of
from langswarm_sessions_otel.telemetry import Telemetry

if TYPE_CHECKING:
    from langswarm_sessions_otel.chat import ChatScope
    from langswarm_sessions_otel.configure import (
        MissingTelemetryDependencyError,
        TelemetryConfigurationError,
        TelemetryHandle,
        configure_telemetry,
    )
    from langswarm_sessions_otel.lifecycle import HookScope, LifecycleScope
    from langswarm_sessions_otel.span_records import SpanRecord, read_span_file
    from langswarm_sessions_otel.span_tree import render_span_tree
    from langswarm_sessions_otel.steps import RebuildScope, StorageScope
    from langswarm_sessions_otel.tool import ToolScope
    from langswarm_sessions_otel.turn import TurnScope

_HOMES = {
    "ChatScope": "chat",
    "HookScope": "lifecycle",
    "LifecycleScope": "lifecycle",
    "MissingTelemetryDependencyError": "configure",
    "RebuildScope": "steps",
    "SpanRecord": "span_records",
    "StorageScope": "steps",
    "TelemetryConfigurationError": "configure",
    "TelemetryHandle": "configure",
    "ToolScope": "tool",
    "TurnScope": "turn",
    "configure_telemetry": "configure",
    "read_span_file": "span_records",
    "render_span_tree": "span_tree",
}

__all__ = [
    "ChatScope",
    "HookScope",
    "LifecycleScope",
    "MissingTelemetryDependencyError",
    "RebuildScope",
    "SpanRecord",
    "StorageScope",
    "Telemetry",
    "TelemetryConfigurationError",
    "TelemetryHandle",
    "ToolScope",
    "TurnScope",
    "configure_telemetry",
    "error_type_of",
    "flush",
    "read_span_file",
    "render_span_tree",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
