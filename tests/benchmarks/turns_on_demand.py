"""A process that does a turn whenever it is told to, and says how long it took.

``python -m tests.benchmarks.turns_on_demand DATABASE_FOLDER TELEMETRY``, which is ``off``, ``recorded`` for an SDK that
forgets spans as soon as they end, ``sdk-alone`` for the same without this library, or the address to export to. Each
line it reads is a turn, each line it writes its milliseconds. Between turns its event loop goes on, as a server's does.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import tempfile
import time
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

from langswarm_sessions_otel import Telemetry, configure_telemetry
from tests.benchmarks.measure import Turn
from tests.benchmarks.ours import manager_on, our_turn
from tests.benchmarks.sdk_alone import SdkAlone, recorded_by_a_turn

__all__: list[str] = []

_WARM_UP = 50


async def main(folder: Path, how: str) -> None:
    """Serve turns until the input ends."""
    logging.disable(logging.CRITICAL)
    telemetry = await _telemetry(how)
    async with manager_on(folder, "shared", telemetry=telemetry) as manager:
        turn = await our_turn(manager, stored=0, strategy="native", window=None)
        for _ in range(_WARM_UP):
            await _milliseconds(turn)
        gc.collect()
        gc.freeze()  # what starting left behind is no turn's to be looked through
        print("ready", flush=True)
        asked = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
        while await asked.readline():
            print(await _milliseconds(turn), flush=True)


async def _telemetry(how: str) -> Telemetry:
    if how == "off":
        return Telemetry(enabled=False)
    tracing, meters = TracerProvider(), MeterProvider([InMemoryMetricReader()])
    if how == "recorded":
        return Telemetry(tracer_provider=tracing, meter_provider=meters)
    if how == "sdk-alone":
        with tempfile.TemporaryDirectory() as folder:
            return SdkAlone(tracing, meters, await recorded_by_a_turn(Path(folder)))
    configure_telemetry(service_name="bench", endpoint=how, shutdown_timeout=0.1)
    return Telemetry()


async def _milliseconds(turn: Turn) -> float:
    started = time.perf_counter()
    await turn()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
