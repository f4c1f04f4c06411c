"""One call that sets up the OpenTelemetry SDK, for those who have not done so themselves."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.process.forks import fork_safe_lock
from langswarm_sessions_otel.setup.destinations import read_destinations
from langswarm_sessions_otel.setup.handle import SetUp, TelemetryHandle
from langswarm_sessions_otel.setup.refused import unloadable_provider
from langswarm_sessions_otel.setup.request import (
    DEFAULT_SHUTDOWN_TIMEOUT,
    DEFAULT_SPAN_FILE_LIMIT,
    SIGNALS,
    AttributeValue,
    Protocol,
    Signal,
    TelemetryConfigurationError,
    TelemetryRequest,
    named_span_file,
    span_file_of,
)

__all__ = [
    "MissingTelemetryDependencyError",
    "TelemetryConfigurationError",
    "TelemetryHandle",
    "TelemetryRequest",
    "configure_telemetry",
]

_logger = logging.getLogger("langswarm_sessions.telemetry")
_lock = fork_safe_lock()
_configured: TelemetryHandle | None = None
_asked_file: Path | None = None


class MissingTelemetryDependencyError(ImportError):
    """The packages of the extra ``otel`` are not installed."""


def configure_telemetry(
    *,
    service_name: str | None = None,
    endpoint: str | None = None,
    protocol: Protocol | None = None,
    headers: Mapping[str, str] | None = None,
    insecure: bool | None = None,
    sampling_ratio: float | None = None,
    metric_interval: float | None = None,
    console: bool = False,
    span_file: str | os.PathLike[str] | bool | None = None,
    span_file_limit: int = DEFAULT_SPAN_FILE_LIMIT,
    export_timeout: float | None = None,
    shutdown_timeout: float = DEFAULT_SHUTDOWN_TIMEOUT,
    resource_attributes: Mapping[str, AttributeValue] | None = None,
) -> TelemetryHandle:
    """Set up the OpenTelemetry SDK: traces and metrics by OTLP, a tree on the console, a file of spans.

    Needs the extra ``otel``. A provider that is set already is never replaced: an SDK's provider gets our processors
    beside its own. Calling it again returns what was set up first. Everything is sent in batches from threads of its
    own, and the end of the process is held up for `shutdown_timeout` at the most. Forked children go on by themselves.

    Args:
        service_name: ``service.name``. None leaves it to `resource_attributes`, ``OTEL_SERVICE_NAME`` and
            ``OTEL_RESOURCE_ATTRIBUTES``, else it is ``langswarm-sessions``.
        endpoint: Base address of an OTLP receiver, such as ``http://localhost:4318``; over HTTP ``/v1/traces`` and
            ``/v1/metrics`` and ``/v1/logs`` are added. None leaves it to the ``OTEL_EXPORTER_OTLP_*`` variables. What
            they do not name goes to OpenTelemetry's own address, or nowhere if `console` or `span_file` are given.
        protocol: ``http/protobuf``, ``grpc``, or ``http/json`` where its exporter is installed. None leaves it to
            ``OTEL_EXPORTER_OTLP_PROTOCOL`` and those of the signals, else ``http/protobuf``.
        headers: Headers of the export, beside those of ``OTEL_EXPORTER_OTLP_HEADERS``. They are in no repr or error.
        insecure: Whether gRPC goes without TLS. None: by ``http://`` or ``https://`` of the address, else by
            ``OTEL_EXPORTER_OTLP_INSECURE``.
        sampling_ratio: Share of traces that is recorded, 0 to 1, decided by who begins the trace. None leaves it to
            ``OTEL_TRACES_SAMPLER``, else all.
        metric_interval: Seconds between two exports of metrics. None leaves it to ``OTEL_METRIC_EXPORT_INTERVAL``, else
            60.
        console: Print a tree of spans to standard error whenever a trace's root ends here.
        span_file: File to append a line of JSON to for each span as it ends, readable after a crash, also by
            ``langswarm-sessions trace``. True: the file of ``LANGSWARM_SESSIONS_SPAN_FILE``, else
            ``langswarm_sessions_spans.jsonl``. None: the file of that variable if it is set, beside everything else.
            False: none. That a file of the variable cannot be written is a warning.
        span_file_limit: Bytes, at least 10,000, after which the file is renamed to end in ``.1``, in place of the one
            before.
        export_timeout: Seconds that one export may take, retries included. None leaves it to
            ``OTEL_EXPORTER_OTLP_TIMEOUT``, else 2.
        shutdown_timeout: Seconds that the end of the process may be held up.
        resource_attributes: More attributes of the resource.

    Returns:
        A handle to flush and shut down.

    Raises:
        TelemetryConfigurationError: An argument is wrong, the span file cannot be written, or a variable is refused.
        MissingTelemetryDependencyError: The extra ``otel`` is not installed.

    Example:
        >>> telemetry = configure_telemetry(service_name="support-bot", endpoint="http://localhost:4318")
        >>> telemetry.force_flush()
        True
    """
    request = TelemetryRequest(
        service_name=service_name,
        exports=_exports(everything=(endpoint, protocol, headers) != (None,) * 3, looks=bool(console or span_file)),
        endpoint=endpoint,
        protocol=protocol,
        headers=headers,
        insecure=insecure,
        sampling_ratio=sampling_ratio,
        metric_interval=metric_interval,
        console=read_destinations().console if console is False else console,
        span_file=_span_file(span_file),
        span_file_required=not _is_named_by_variable(span_file),
        span_file_limit=span_file_limit,
        export_timeout=export_timeout,
        shutdown_timeout=shutdown_timeout,
        resource_attributes=resource_attributes,
    )
    return _configure_once(request)


def _exports(*, everything: bool, looks: bool) -> frozenset[Signal]:
    """Return what is sent; who only looks sends what variables name a place for."""
    said = read_destinations()
    only_named = (looks or said.console) and not everything
    return frozenset(said.receivers if only_named else SIGNALS) - said.left_out


def _is_named_by_variable(span_file: object) -> bool:
    return (span_file is None or span_file is True) and named_span_file() is not None


def _span_file(given: str | os.PathLike[str] | bool | None) -> Path | None:
    try:
        return span_file_of(given)
    except TelemetryConfigurationError as error:
        if not _is_named_by_variable(given):
            raise
        _logger.warning("spans are not written to the file of %s: %s", semconv.ENV_SPAN_FILE, error)
        return None


def _configure_once(request: TelemetryRequest) -> TelemetryHandle:
    global _configured
    with _lock:
        if _configured is not None and _configured.is_cut_off:
            _configured.shutdown()
        if _configured is None or _configured.closed:
            written = request.span_file is not None and request.span_file == _asked_file
            wanted = replace(request, span_file=None) if written else request
            _configured = TelemetryHandle(request, _build(wanted))
        elif differences := _configured.request.differences(request):
            _logger.warning(
                "telemetry is configured already, with another %s, and stays as it is: to configure it otherwise, shut "
                "down what configure_telemetry returned first",
                ", ".join(differences),
            )
        return _configured


def write_asked_spans() -> None:
    """Write spans to the file of ``LANGSWARM_SESSIONS_SPAN_FILE``, for a program that set nothing up by itself.

    A failure is a warning: the variable is for looking, and must not stop a program.
    """
    global _asked_file
    with _lock:
        if _configured is not None or _asked_file is not None:
            return
        try:
            request = TelemetryRequest(span_file=span_file_of(None))
            _build(request)
            _asked_file = request.span_file
        except (MissingTelemetryDependencyError, TelemetryConfigurationError) as error:
            _logger.warning("spans are not written to the file of %s: %s", semconv.ENV_SPAN_FILE, error)


def _build(request: TelemetryRequest) -> SetUp:
    try:
        from langswarm_sessions_otel.sdk.setup import set_up

        return set_up(request)
    except TelemetryConfigurationError:
        raise
    except (ValueError, StopIteration) as error:  # with what the SDK refuses its variables
        why = str(error) or unloadable_provider()
        raise TelemetryConfigurationError(f"one of the OTEL_* variables must be corrected: {why}") from error
    except ImportError as error:
        raise MissingTelemetryDependencyError(
            f"configure_telemetry needs the package of {error.name!r}: pip install 'langswarm-sessions[otel]'",
            name=error.name,
        ) from error
