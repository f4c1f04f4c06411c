"""One call that sets up the OpenTelemetry SDK, for those who have not done so themselves."""

from __future__ import annotations

import atexit
import functools
import logging
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.bounded import run_bounded
from langswarm_sessions_otel.settings import read_export_settings

_logger = logging.getLogger("langswarm_sessions.telemetry")
_lock = threading.Lock()
_configured: TelemetryHandle | None = None


class MissingTelemetryDependencyError(ImportError):
    """The packages of the extra ``otel`` are not installed."""


class TelemetryConfigurationError(ValueError):
    """An argument of `configure_telemetry` is wrong; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRequest:
    """What `configure_telemetry` was asked for.

    Attributes:
        service_name: ``service.name`` of the resource.
        endpoint: Base address of the OTLP/HTTP receiver, None for the ``OTEL_*`` variables.
        console: Whether trees of spans are printed.
        headers: Headers of the export, such as an authorisation.
        export_timeout: Seconds that one export may take.
        shutdown_timeout: Seconds that the end of the process may be held up.
        span_file: File that gets a line of JSON for each span.
        resource_attributes: More attributes of the resource.
    """

    service_name: str
    endpoint: str | None
    console: bool
    headers: Mapping[str, str] | None = field(repr=False)
    export_timeout: float
    shutdown_timeout: float
    span_file: Path | None
    resource_attributes: Mapping[str, str] | None

    @property
    def exports(self) -> bool:
        """Whether anything is sent by OTLP: when asked to, and when nothing else was asked for."""
        if self.endpoint is not None or read_export_settings().spans_endpoint is not None:
            return True
        return not self.console and self.span_file is None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One way that telemetry leaves the process.

    Attributes:
        flush: Hands over what is held.
        shutdown: Hands over what is held and stops; called with the seconds it may take.
    """

    flush: Callable[[], object]
    shutdown: Callable[[float], object]


class TelemetryHandle:
    """What `configure_telemetry` set up.

    Args:
        request: What was asked for.
        pipelines: What was set up for it.
    """

    __slots__ = ("_closed", "_pipelines", "request")

    def __init__(self, request: TelemetryRequest, pipelines: tuple[Pipeline, ...]) -> None:
        self.request = request
        self._pipelines = pipelines
        self._closed = False

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Hand over what is held back for the next batch.

        Args:
            timeout_seconds: How long to wait, in seconds.

        Returns:
            True if everything was handed over in time.
        """
        if self._closed:
            return False
        return run_bounded([pipeline.flush for pipeline in self._pipelines], timeout_seconds=timeout_seconds)

    def shutdown(self, timeout_seconds: float | None = None) -> bool:
        """Hand over what is held and stop; later spans go nowhere. Providers stay set, as they can be set only once.

        Args:
            timeout_seconds: How long to wait, in seconds; the ``shutdown_timeout`` of the set-up when None.

        Returns:
            True if everything was handed over in time.
        """
        global _configured
        with _lock:
            if self._closed:
                return True
            self._closed = True
            if _configured is self:
                _configured = None
        atexit.unregister(self.shutdown)
        timeout = self.request.shutdown_timeout if timeout_seconds is None else timeout_seconds
        works = [functools.partial(pipeline.shutdown, timeout) for pipeline in self._pipelines]
        return run_bounded(works, timeout_seconds=timeout)


def configure_telemetry(
    *,
    service_name: str = semconv.DISTRIBUTION,
    endpoint: str | None = None,
    console: bool = False,
    headers: Mapping[str, str] | None = None,
    export_timeout: float = 2.0,
    shutdown_timeout: float = 5.0,
    span_file: str | os.PathLike[str] | None = None,
    resource_attributes: Mapping[str, str] | None = None,
) -> TelemetryHandle:
    """Set up the OpenTelemetry SDK: traces and metrics by OTLP/HTTP, a tree on the console, a file of spans.

    Needs the extra ``otel``. A provider that is set already is never replaced: an SDK's provider gets our processors
    beside its own. Calling it again returns what was set up first. Everything is sent in batches from a thread of its
    own, and the end of the process is held up for `shutdown_timeout` at the most.

    Args:
        service_name: ``service.name``; the default gives way to ``OTEL_SERVICE_NAME``.
        endpoint: Base address of an OTLP/HTTP receiver, such as ``http://localhost:4318``; ``/v1/traces`` and
            ``/v1/metrics`` are added. None leaves it to the ``OTEL_EXPORTER_OTLP_*`` variables, or, if neither they nor
            `console` nor `span_file` say where to, to OpenTelemetry's default address.
        console: Print a tree of spans to standard error whenever a trace's root ends here.
        headers: Headers of the export.
        export_timeout: Seconds that one export may take, retries included.
        shutdown_timeout: Seconds that the end of the process may be held up.
        span_file: File to append a line of JSON to for each span as it ends, readable after a crash, also by
            `read_span_file`.
        resource_attributes: More attributes of the resource.

    Returns:
        A handle to flush and shut down.

    Raises:
        TelemetryConfigurationError: An argument is wrong.
        MissingTelemetryDependencyError: The extra ``otel`` is not installed.
        OSError: The span file cannot be written.

    Example:
        >>> telemetry = configure_telemetry(service_name="support-bot", endpoint="http://localhost:4318")
        >>> telemetry.flush()
        True
    """
    request = TelemetryRequest(
        service_name=service_name,
        endpoint=endpoint,
        console=console,
        headers=headers,
        export_timeout=export_timeout,
        shutdown_timeout=shutdown_timeout,
        span_file=None if span_file is None else Path(span_file),
        resource_attributes=resource_attributes,
    )
    _check(request)
    global _configured
    with _lock:
        if _configured is None:
            _configured = TelemetryHandle(request, _build(request))
            # Registered after a provider's own exit handler, hence run before it: ours is bounded.
            atexit.register(_configured.shutdown)
        elif _configured.request != request:
            _logger.warning("telemetry is configured already; shut that down first to configure it otherwise")
        return _configured


def _check(request: TelemetryRequest) -> None:
    if not isinstance(cast("object", request.service_name), str) or not request.service_name.strip():
        raise TelemetryConfigurationError("service_name must be a non-empty string.")
    if request.endpoint is not None and not _is_address(request.endpoint):
        raise TelemetryConfigurationError(
            "endpoint must be the base address of an OTLP/HTTP receiver, such as http://localhost:4318."
        )
    for name in ("export_timeout", "shutdown_timeout"):
        seconds = getattr(request, name)
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
            raise TelemetryConfigurationError(f"{name} must be a number of seconds above 0.")


def _is_address(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _build(request: TelemetryRequest) -> tuple[Pipeline, ...]:
    try:
        from langswarm_sessions_otel.sdk.setup import build_pipelines

        return build_pipelines(request)
    except ImportError as error:
        raise MissingTelemetryDependencyError(
            f"configure_telemetry needs the package of {error.name!r}: pip install 'langswarm-sessions[otel]'",
            name=error.name,
        ) from error
