"""What importing costs, what a handle weighs, what a message takes on disk."""

from __future__ import annotations

import gc
import statistics
import subprocess
import sys
import tracemalloc
from pathlib import Path

from tests.benchmarks.measure import median_of_rounds
from tests.benchmarks.ours import fill, manager_on

__all__ = ["bytes_per_handle", "bytes_per_message", "import_milliseconds", "opening_milliseconds"]

_HANDLES = 10_000


def import_milliseconds() -> float:
    """Return how much longer `import langswarm_sessions` takes than starting Python, in milliseconds."""
    return _started("import langswarm_sessions") - _started("pass")


def _started(statement: str) -> float:
    code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    return statistics.median(times) * 1000


async def bytes_per_handle(folder: Path) -> float:
    """Return the memory of one idle session handle with its live provider, of 10,000 in one process."""
    async with manager_on(folder, "handles", telemetry=False) as manager:
        await manager.create_session("user", "mock", "mock-model")
        gc.collect()
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        handles = [await manager.create_session("user", "mock", "mock-model") for _ in range(_HANDLES)]
        for handle in handles:
            _ = handle.provider_session
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return (after - before) / len(handles)


async def bytes_per_message(folder: Path, *, stored: int = 10_000) -> float:
    """Return the size of the database file per stored message of about 200 characters."""
    async with manager_on(folder, "disk", telemetry=False) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        await fill(manager, session, stored=stored)
    return (folder / "disk.db").stat().st_size / stored


async def opening_milliseconds(folder: Path) -> dict[str, float]:
    """Return the median time to create a session and to reopen one, in milliseconds."""
    async with manager_on(folder, "opening", telemetry=False) as manager:
        session = await manager.create_session("user", "mock", "mock-model")

        async def create() -> None:
            await manager.create_session("user", "mock", "mock-model")

        async def reopen() -> None:
            await manager.get_session(session.session_id)

        return await median_of_rounds({"create a session": create, "reopen a session": reopen}, turns=100)
