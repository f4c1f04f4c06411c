"""One flush of everything that telemetry holds in this process, whoever set it up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeGuard
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import _logs, metrics, trace

from langswarm_sessions_otel.process.bounded import Attendant, wait_for
from langswarm_sessions_otel.process.forks import fork_safe_rlock, start_over_in_child
from langswarm_sessions_otel.process.outlet import Outlet, outlets_are_flushed_apart

__all__ = ["OPEN_OUTLETS", "force_flush"]


OPEN_OUTLETS: Final[WeakSet[Outlet]] = WeakSet()
"""Those that `configure_telemetry` set up and that were not told to stop."""


class Flushable(Protocol):
    """A provider of an SDK."""

    def force_flush(self) -> object:
        """Export what is held."""
        ...


@dataclass(frozen=True)
class _Flush:
    """Flushes a provider; two for the same provider are the same work."""

    provider: Flushable

    def __call__(self) -> object:
        with outlets_are_flushed_apart():
            return self.provider.force_flush()


class _Flushers:
    """A thread for each provider: calls on end of an exporter that hangs wait on one thread, not on one each."""

    def __init__(self) -> None:
        self._lock = fork_safe_rlock()
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin without threads, in a process just forked."""
        self._attendants: WeakKeyDictionary[Flushable, Attendant] = WeakKeyDictionary()

    def of(self, provider: Flushable) -> Attendant:
        """Return the one of a provider."""
        with self._lock:
            return self._attendants.get(provider) or self._attendants.setdefault(provider, Attendant())


_flushers = _Flushers()


def force_flush(timeout_seconds: float = 5.0) -> bool:
    """Export what the process-wide providers still hold, whoever set them, and what `configure_telemetry` set up.

    For short scripts and before ``os._exit``: batches are otherwise sent every few seconds and at the normal exit.

    Args:
        timeout_seconds: How long to wait, in seconds.

    Returns:
        True if everything was handed over in time. True also when there is no SDK: nothing was held.
    """
    providers: Sequence[object] = (
        trace.get_tracer_provider(),
        metrics.get_meter_provider(),
        _logs.get_logger_provider(),
    )
    results = [outlet.begin_flush() for outlet in list(OPEN_OUTLETS)]
    results += [_flushers.of(provider).ask(_Flush(provider)) for provider in providers if _is_flushable(provider)]
    return wait_for(results, timeout_seconds=timeout_seconds)


def _is_flushable(provider: object) -> TypeGuard[Flushable]:
    return hasattr(provider, "force_flush")
