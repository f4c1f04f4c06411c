"""Where spans, metrics and events go: to providers of the user's own, else to those of the process."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import LoggerProvider
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.errors import TelemetryConfigurationError
from langswarm_sessions_otel.instruments import Instruments

__all__ = ["EVENTS", "METRICS", "SPANS", "Signal", "Source", "is_unset", "process_wide_instruments", "version"]

_logger = logging.getLogger("langswarm_sessions.telemetry")

_STAND_INS: Final = frozenset({"ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"})

Provider = TypeVar("Provider")
Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal(Generic[Provider]):
    """One kind of telemetry, as OpenTelemetry provides for it.

    Attributes:
        name: What it is called.
        argument: The argument of `Telemetry` that takes a provider of the user's own.
        method: What every provider of it has.
        find: Returns the process-wide provider, also one that was set meanwhile.
        variable: Names the process-wide provider, and may do so wrongly.
        api: The module whose own providers record nothing.
    """

    name: str
    argument: str
    method: str
    find: Callable[[], Provider]
    variable: str
    api: str


SPANS: Final[Signal[TracerProvider]] = Signal(
    name="spans",
    argument="tracer_provider",
    method="get_tracer",
    find=lambda: trace.get_tracer_provider(),
    variable=semconv.OTEL_TRACER_PROVIDER,
    api="opentelemetry.trace",
)
METRICS: Final[Signal[MeterProvider]] = Signal(
    name="metrics",
    argument="meter_provider",
    method="get_meter",
    find=lambda: metrics.get_meter_provider(),
    variable=semconv.OTEL_METER_PROVIDER,
    api="opentelemetry.metrics",
)
EVENTS: Final[Signal[LoggerProvider]] = Signal(
    name="events",
    argument="logger_provider",
    method="get_logger",
    find=lambda: _logs.get_logger_provider(),
    variable=semconv.OTEL_LOGGER_PROVIDER,
    api="opentelemetry._logs",
)


class Source(Generic[Provider]):
    """The provider of one signal. One that cannot be had costs its signal and a warning, nothing else.

    Args:
        signal: What it provides.
        own: The user's own; the process-wide one when None, also one that is set later.

    Raises:
        TelemetryConfigurationError: The user's own is no such provider.
    """

    __slots__ = ("_is_broken", "_is_heard", "_own", "_signal", "is_own")

    def __init__(self, signal: Signal[Provider], own: Provider | None = None) -> None:
        if own is not None and not callable(getattr(own, signal.method, None)):
            raise TelemetryConfigurationError(
                f"{signal.argument} must have a method {signal.method}, or be None for the process-wide provider."
            )
        self._signal = signal
        self._own = own
        self._is_heard = False
        self._is_broken = False
        self.is_own = own is not None

    def make(self, made: Callable[[Provider], Made], *, instead: Callable[[], Made]) -> Made:
        """Return what is recorded with.

        Args:
            made: Has a provider make it.
            instead: Makes what stands for it where the provider cannot be had.
        """
        try:
            return made(self._provider())
        except Exception as error:  # noqa: BLE001 - telemetry that cannot be set up is done without
            self._give_up(error)
            return instead()

    @property
    def is_heard(self) -> bool:
        """Whether the provider is anybody's: those of the API itself record nothing."""
        if not self._is_heard and not self._is_broken:
            try:
                self._is_heard = not type(self._provider()).__module__.startswith(self._signal.api)
            except Exception as error:  # noqa: BLE001 - a variable may name a wrong one by now
                self._give_up(error)
        return self._is_heard

    def _give_up(self, error: Exception) -> None:
        self._is_broken = True
        # One that was set in code can fail as well, such as the SDK's where the meter provider's variable is wrong.
        named = self._signal.variable if os.environ.get(self._signal.variable) else "the process"
        place = self._signal.argument if self.is_own else named
        _warn_once(self._signal.name, place, type(error).__name__)

    def _provider(self) -> Provider:
        return self._signal.find() if self._own is None else self._own


def is_unset(provider: object) -> bool:
    """Tell whether a process-wide provider only stands for the one that somebody may set.

    Args:
        provider: What the API returned.
    """
    kind = type(provider)
    return kind.__name__ in _STAND_INS and kind.__module__.partition(".")[0] == "opentelemetry"


@functools.cache
def _warn_once(signal: str, place: str, error: str) -> None:
    _logger.warning("no %s are recorded: the provider of %s cannot be used (%s).", signal, place, error)


@functools.cache
def version() -> str | None:
    """Return the version of the instrumentation scope, None in a source tree that is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of(semconv.DISTRIBUTION)
    except PackageNotFoundError:
        return None


# Made once: without an SDK the API's meter keeps every instrument it ever made.
@functools.cache
def process_wide_instruments(client_metrics: semconv.ClientMetrics) -> Instruments:
    """Return the instruments of the process-wide meter.

    Args:
        client_metrics: Generation of the ``gen_ai.client.*`` names.

    Returns:
        The same instruments for the same generation.
    """
    return Instruments(metrics.get_meter(semconv.SCOPE, version() or ""), client_metrics)
