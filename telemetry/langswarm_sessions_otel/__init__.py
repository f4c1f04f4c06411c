"""Telemetry of langswarm-sessions: spans and metrics over the OpenTelemetry API.

Importing this package loads ``opentelemetry-api`` alone; the SDK is loaded by `configure_telemetry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from langswarm_sessions_otel.process.flushing import force_flush
from langswarm_sessions_otel.propagation import error_type_of
from langswarm_sessions_otel.telemetry import Telemetry

if TYPE_CHECKING:
    from langswarm_sessions_otel.beside import recorded_around
    from langswarm_sessions_otel.identity import correlation_of
    from langswarm_sessions_otel.reading.files import read_span_file
    from langswarm_sessions_otel.reading.records import SpanRecord
    from langswarm_sessions_otel.reading.tree import render_span_tree
    from langswarm_sessions_otel.scopes.chat import ChatScope
    from langswarm_sessions_otel.scopes.jobs import JobScope
    from langswarm_sessions_otel.scopes.lease import LeaseWait
    from langswarm_sessions_otel.scopes.lifecycle import HookScope, LifecycleScope
    from langswarm_sessions_otel.scopes.outside import OutsideStorageScope
    from langswarm_sessions_otel.scopes.steps import RebuildScope, StorageScope, SummaryScope
    from langswarm_sessions_otel.scopes.tool import ToolScope
    from langswarm_sessions_otel.scopes.turn import TurnScope
    from langswarm_sessions_otel.sdk.conversation import ConversationSpanProcessor
    from langswarm_sessions_otel.setup.configure import (
        MissingTelemetryDependencyError,
        TelemetryConfigurationError,
        configure_telemetry,
    )
    from langswarm_sessions_otel.setup.handle import TelemetryHandle

_HOMES = {
    "ChatScope": "scopes.chat",
    "ConversationSpanProcessor": "sdk.conversation",
    "HookScope": "scopes.lifecycle",
    "JobScope": "scopes.jobs",
    "LeaseWait": "scopes.lease",
    "LifecycleScope": "scopes.lifecycle",
    "MissingTelemetryDependencyError": "setup.configure",
    "OutsideStorageScope": "scopes.outside",
    "RebuildScope": "scopes.steps",
    "SpanRecord": "reading.records",
    "StorageScope": "scopes.steps",
    "SummaryScope": "scopes.steps",
    "TelemetryConfigurationError": "setup.configure",
    "TelemetryHandle": "setup.handle",
    "ToolScope": "scopes.tool",
    "TurnScope": "scopes.turn",
    "configure_telemetry": "setup.configure",
    "read_span_file": "reading.files",
    "correlation_of": "identity",
    "recorded_around": "beside",
    "render_span_tree": "reading.tree",
}

__all__ = [
    "ChatScope",
    "ConversationSpanProcessor",
    "HookScope",
    "JobScope",
    "LeaseWait",
    "LifecycleScope",
    "MissingTelemetryDependencyError",
    "OutsideStorageScope",
    "RebuildScope",
    "SpanRecord",
    "StorageScope",
    "SummaryScope",
    "Telemetry",
    "TelemetryConfigurationError",
    "TelemetryHandle",
    "ToolScope",
    "TurnScope",
    "configure_telemetry",
    "correlation_of",
    "error_type_of",
    "force_flush",
    "read_span_file",
    "recorded_around",
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
