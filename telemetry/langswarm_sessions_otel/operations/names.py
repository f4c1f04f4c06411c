"""How Prometheus calls our metrics and attributes."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from opentelemetry.metrics import (
    CallbackT,
    Counter,
    Histogram,
    NoOpMeter,
    ObservableGauge,
    UpDownCounter,
)

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.instruments import Instruments

_UNITS: Final = {"s": "seconds", "By": "bytes"}

BROKEN_OFF: Final = frozenset({"cancelled", "abandoned", "idle"})
"""``error.type`` of what a caller or a reader broke off: who does that complains of no error."""

CALLERS_ERRORS: Final = frozenset(
    {
        "SessionNotFoundError",
        "MessageNotFoundError",
        "SessionExistsError",
        "SessionArchivedError",
        "SessionAccessError",
        "InvalidInputError",
        "TurnConflictError",
        "ImportFormatError",
        "ContentRefusedError",
    }
)
"""Errors of the package that tell of a mistake of the caller or a request of a user: nothing an operator could mend."""

INTERNAL_ERRORS: Final = "_.+"
"""An expression for errors that the package ends its own work with, and handles itself."""


def error_types(*errors: str) -> str:
    """Return an expression that matches the ``error.type`` of errors of the package.

    Args:
        errors: Names of their classes, or expressions for them.

    Returns:
        A regular expression without backslashes.
    """
    return f"langswarm_sessions[a-z_]*[.]({'|'.join(sorted(errors))})"


@dataclass(frozen=True, slots=True)
class PrometheusMetric:
    """One of our metrics, as OpenTelemetry's exporters for Prometheus translate it.

    Attributes:
        otel_name: Its name here.
        kind: What it is in Prometheus.
        unit: Its unit here.
    """

    otel_name: str
    kind: Literal["counter", "gauge", "histogram"]
    unit: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its family, the first as ``opentelemetry-exporter-prometheus`` writes it.

        A collector leaves out a unit that the name has already; where this differs there is a second name.
        """
        plain = label(self.otel_name)
        unit = _UNITS.get(self.unit, "")
        named = plain if not unit or plain.endswith(f"_{unit}") else f"{plain}_{unit}"
        of_collector = plain if unit in plain.split("_") else named
        total = "_total" if self.kind == "counter" else ""
        return tuple(dict.fromkeys(f"{name}{total}" for name in (named, of_collector)))

    @property
    def series(self) -> tuple[str, ...]:
        """Names of its series: those of a histogram end in ``_bucket``, ``_sum`` and ``_count``."""
        ends = ("_bucket", "_sum", "_count") if self.kind == "histogram" else ("",)
        return tuple(f"{name}{end}" for name in self.names for end in ends)


def label(attribute: str) -> str:
    """Return the label of an attribute.

    Args:
        attribute: Its name here, such as ``gen_ai.provider.name``.

    Returns:
        Its name in Prometheus, such as ``gen_ai_provider_name``.
    """
    return re.sub(r"[^a-zA-Z0-9]+", "_", attribute)


@functools.cache
def prometheus_metrics() -> Mapping[str, PrometheusMetric]:
    """Return every metric of both generations, by its name here."""
    meter = _ListingMeter("")
    for generation in (semconv.RELEASED, semconv.NEWEST):
        Instruments(meter, generation)
    return meter.made


class _ListingMeter(NoOpMeter):
    """Takes note of the instruments that are made."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.made: dict[str, PrometheusMetric] = {}

    def create_counter(self, name: str, unit: str = "", description: str = "") -> Counter:
        self.made[name] = PrometheusMetric(name, "counter", unit)
        return super().create_counter(name, unit, description)

    def create_up_down_counter(self, name: str, unit: str = "", description: str = "") -> UpDownCounter:
        self.made[name] = PrometheusMetric(name, "gauge", unit)
        return super().create_up_down_counter(name, unit, description)

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[CallbackT] | None = None, unit: str = "", description: str = ""
    ) -> ObservableGauge:
        self.made[name] = PrometheusMetric(name, "gauge", unit)
        return super().create_observable_gauge(name, callbacks, unit, description)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> Histogram:
        self.made[name] = PrometheusMetric(name, "histogram", unit)
        return super().create_histogram(
            name, unit, description, explicit_bucket_boundaries_advisory=explicit_bucket_boundaries_advisory
        )
