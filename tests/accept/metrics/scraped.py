"""A process whose metrics Prometheus scrapes: it does what it is told, line by line, and says when it is done.

``python -m tests.accept.metrics.scraped PORT DATABASE``; each line of its input names a load of `loads`, and how much.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from opentelemetry import metrics, trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry, start_http_server

from tests.accept.metrics.loads import LOADS


def main() -> None:
    """Serve metrics and play loads until the input ends."""
    port, database = int(sys.argv[1]), sys.argv[2]
    logging.getLogger("langswarm_sessions").setLevel(logging.CRITICAL)  # what fails here is meant to
    registry = CollectorRegistry()
    metrics.set_meter_provider(MeterProvider([PrometheusMetricReader(registry=registry)]))
    trace.set_tracer_provider(TracerProvider())
    start_http_server(port, addr="127.0.0.1", registry=registry)
    asyncio.run(_play(database))


async def _play(database: str) -> None:
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, *amounts = line.split()
        await LOADS[name](database, *map(int, amounts))
        print("done", flush=True)


if __name__ == "__main__":
    main()
