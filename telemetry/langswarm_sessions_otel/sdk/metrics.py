"""Metrics on their way out: what exports them, and the provider with the right buckets."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any, Final

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.process.outlet import Bounded, Outlet
from langswarm_sessions_otel.providers import is_unset
from langswarm_sessions_otel.sdk.batches import positive_number
from langswarm_sessions_otel.sdk.delivery import Delivery

__all__ = ["BoundedMetricReader", "metrics_are_taken", "prepare_metrics"]

_logger = logging.getLogger("langswarm_sessions.telemetry")
_EXPONENTIAL: Final = "base2_exponential_bucket_histogram"
_COLLECTION_SECONDS: Final = 30.0
_INTERVAL_MILLIS: Final = 60_000.0


class BoundedMetricReader(Bounded, MetricReader):
    """Exports metrics at intervals. Neither its flush nor its end waits for an exporter that hangs.

    Args:
        delivery: Where they go.
        shutdown_timeout: Seconds that `shutdown` and `force_flush` may take.
        interval: Seconds between two exports; None for the variable ``OTEL_METRIC_EXPORT_INTERVAL``, else 60.
        collection_timeout: Seconds that the callbacks of observable instruments may take; 30 when None.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        shutdown_timeout: float,
        interval: float | None = None,
        collection_timeout: float | None = None,
    ) -> None:
        exporter: Any = delivery.exporter  # which says how it wants them, to the SDK's own readers as well
        super().__init__(exporter._preferred_temporality, exporter._preferred_aggregation)
        self._delivery = delivery
        self._collection_millis = (collection_timeout or _COLLECTION_SECONDS) * 1000
        self._is_taken = True
        self.leave: Callable[[], None] | None = None
        every = interval or positive_number("OTEL_METRIC_EXPORT_INTERVAL", _INTERVAL_MILLIS) / 1000
        self.outlet = Outlet(self, every_seconds=every, timeout_seconds=shutdown_timeout)

    @property
    def lost(self) -> int:
        """Return 0: what was not taken is in the next export, too."""
        return 0

    def send(self) -> bool:
        """Export what was measured; False if it was not taken."""
        self._is_taken = True
        self.collect(timeout_millis=self._collection_millis)
        return self._is_taken

    def send_regularly(self) -> None:
        """Export what was measured."""
        self.send()

    def stop(self, timeout_seconds: float) -> bool:
        """Export what was measured and be no reader any more; False if it was not taken."""
        is_taken = self.send()
        self._delivery.close()
        if self.leave is not None:
            self.leave()
        return is_taken

    def start_over(self) -> None:
        """Begin a forked child with a connection of its own."""
        self._delivery.start_over()

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: object) -> None:
        self._is_taken = self._delivery.send(metrics_data, timeout_millis=timeout_millis)


def metrics_are_taken() -> bool:
    """Tell whether a reader can be had: older SDKs' providers take none beside those they were made with."""
    provider = metrics.get_meter_provider()
    if is_unset(provider) or hasattr(provider, "add_metric_reader"):
        return True
    _logger.info("metrics stay with the provider that is set already, a %s", type(provider).__qualname__)
    return False


def prepare_metrics(reader: BoundedMetricReader, resource: Resource) -> Callable[[], None]:
    """Prepare that a reader reads: from a provider of ours, or beside the readers of the one that is set.

    Args:
        reader: The reader; it reads until it stops.
        resource: Resource of the provider, if it has to be made.

    Returns:
        Has it read.

    Raises:
        ValueError: A variable that the SDK's provider reads is wrong.
    """
    provider = metrics.get_meter_provider()
    is_ours = is_unset(provider)
    if is_ours:
        provider = MeterProvider([reader], resource, shutdown_on_exit=False, views=_views())
    take_out: Callable[[MetricReader], None] | None = getattr(provider, "remove_metric_reader", None)
    if take_out is not None:
        reader.leave = lambda: take_out(reader)

    def install() -> None:
        if is_ours:
            metrics.set_meter_provider(provider)
        else:
            getattr(provider, "add_metric_reader")(reader)  # noqa: B009 - absent in older SDKs

    return install


def _views() -> list[View]:
    """Give other instrumentations' histograms of the same names the same buckets; ours advise them anyway."""
    if os.environ.get(semconv.OTEL_HISTOGRAMS, "").strip().lower() == _EXPONENTIAL:
        return []
    return [
        View(instrument_name=name, aggregation=ExplicitBucketHistogramAggregation(boundaries))
        for name, boundaries in semconv.BUCKETS.items()
    ]
