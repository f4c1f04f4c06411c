"""One flush of everything that telemetry holds in this process, whoever set it up."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final, Protocol, TypeGuard

from opentelemetry import _logs, metrics, trace

from langswarm_sessions_otel.process.belongings import Belongings
from langswarm_sessions_otel.process.bounded import Attendant, checked_wait, wait_for
from langswarm_sessions_otel.process.forks import start_over_in_child
from langswarm_sessions_otel.process.outlet import Outlet, outlets_are_flushed_apart

__all__ = ["OPEN_OUTLETS", "force_flush"]


OPEN_OUTLETS: Final[weakref.WeakSet[Outlet]] = weakref.WeakSet()
"""Those that `configure_telemetry` set up and that were not told to stop."""


class Flushable(Protocol):
    """A provider of an SDK."""

    def force_flush(self) -> object:
        """Export what is held."""
        ...


class _Flusher:
    """Flushes a provider on one thread, on which all wait that ask on end while its exporter hangs."""

    def __init__(self, provider: Flushable) -> None:
        self._provider = weakref.ref(provider)
        self._attendant = Attendant()

    def begin(self) -> Future[bool]:
        """Start to flush, without waiting."""
        return self._attendant.ask(self._flush)

    def _flush(self) -> object:
        provider = self._provider()
        with outlets_are_flushed_apart():
            return None if provider is None else provider.force_flush()


class _Flushers:
    """That of each provider."""

    def __init__(self) -> None:
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin without threads, in a process just forked."""
        self._flushers: Belongings[_Flusher] = Belongings()

    def of(self, provider: Flushable) -> _Flusher:
        """Return the one of a provider."""
        return self._flushers.of(provider, lambda: _Flusher(provider))


_flushers = _Flushers()


def force_flush(timeout_seconds: float = 5.0) -> bool:
    """Export what the process-wide providers still hold, whoever set them, and what `configure_telemetry` set up.

    For short scripts and before ``os._exit``: batches are otherwise sent every few seconds and at the normal exit.

    Args:
        timeout_seconds: How long to wait, in seconds.

    Returns:
        True if everything was handed over in time. True also when there is no SDK: nothing was held.

    Raises:
        TelemetryConfigurationError: `timeout_seconds` is no number.
    """
    timeout = checked_wait(timeout_seconds)
    providers: Sequence[object] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    results = [outlet.begin_flush() for outlet in list(OPEN_OUTLETS)]
    results += [_flushers.of(provider).begin() for provider in providers if _is_flushable(provider)]
    return wait_for(results, timeout_seconds=timeout)


def _is_flushable(provider: object) -> TypeGuard[Flushable]:
    return hasattr(provider, "force_flush")
