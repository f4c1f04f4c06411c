"""Where the time of a turn goes: the engine's own thread, the two transactions, and waiting between the two."""

from __future__ import annotations

import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from langswarm_sessions import create_session_manager
from langswarm_sessions.storage import SQLiteSessionStorage
from tests.benchmarks.bare import INPUT

__all__ = ["where_the_time_goes"]

_TURNS = 300


class TimedStorage(SQLiteSessionStorage):
    """Notes how long each unit of work of a turn takes, as its caller sees it."""

    def __init__(self, db_path: str) -> None:
        super().__init__(db_path)
        self.begin_ms: list[float] = []
        self.finish_ms: list[float] = []

    async def begin_turn(self, begin: Any) -> Any:
        """Time the beginning of a turn."""
        return await _timed(super().begin_turn, begin, self.begin_ms)

    async def finish_turn(self, finish: Any) -> Any:
        """Time the end of a turn."""
        return await _timed(super().finish_turn, finish, self.finish_ms)


async def _timed(call: Callable[[Any], Awaitable[Any]], argument: Any, into: list[float]) -> Any:
    started = time.perf_counter()
    result = await call(argument)
    into.append((time.perf_counter() - started) * 1000)
    return result


async def where_the_time_goes(folder: Path) -> dict[str, float]:
    """Return the parts of a native turn in milliseconds (medians)."""
    storage = TimedStorage(str(folder / "split.db"))
    whole: list[float] = []
    own: list[float] = []
    async with create_session_manager(storage, telemetry=False) as manager:
        session = await manager.create_session("user", "mock", "mock-model")
        for _ in range(_TURNS):
            cpu, started = time.thread_time(), time.perf_counter()
            await session.send_message(INPUT)
            whole.append((time.perf_counter() - started) * 1000)
            own.append((time.thread_time() - cpu) * 1000)
    await storage.close()
    total = statistics.median(whole)
    begin, finish = statistics.median(storage.begin_ms), statistics.median(storage.finish_ms)
    return {
        "whole turn": total,
        "begin (one transaction, one hop to its thread)": begin,
        "finish (one transaction, one hop to its thread)": finish,
        "engine, strategy, mock provider": total - begin - finish,
        "processor time of the event loop's thread": statistics.median(own),
    }
