"""A process that does a turn whenever it is told to, and says how long it took.

``python -m tests.benchmarks.turns_on_demand DATABASE_FOLDER [ENDPOINT]``: with an endpoint it exports there; without
one its telemetry is off. Each line it reads is a turn, each line it writes its milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import time
from pathlib import Path

from langswarm_sessions_otel import configure_telemetry
from tests.benchmarks.measure import Turn
from tests.benchmarks.ours import manager_on, our_turn

__all__: list[str] = []

_WARM_UP = 50


def main() -> None:
    """Serve turns until the input ends."""
    folder, endpoint = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None
    logging.disable(logging.CRITICAL)
    if endpoint is not None:
        configure_telemetry(service_name="bench", endpoint=endpoint, shutdown_timeout=0.1)
    with asyncio.Runner() as runner:
        manager = manager_on(folder, "shared", telemetry=endpoint is not None)
        turn = runner.run(our_turn(manager, stored=0, strategy="native", window=None))
        for _ in range(_WARM_UP):
            runner.run(_milliseconds(turn))
        gc.collect()
        gc.freeze()  # what starting left behind is no turn's to be looked through
        print("ready", flush=True)
        for _ in sys.stdin:
            print(runner.run(_milliseconds(turn)), flush=True)
        runner.run(manager.close())


async def _milliseconds(turn: Turn) -> float:
    started = time.perf_counter()
    await turn()
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
