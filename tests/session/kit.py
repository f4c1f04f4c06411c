"""What the tests of sessions share: managers that are checked for leaks, gated answers, and a look at the rows."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from langswarm_sessions import RetryPolicy, Session, SessionManager

__all__ = ["AT_ONCE", "Gate", "OpenManager", "Rows", "in_database", "leftovers", "rows_of", "threads_left", "until"]

AT_ONCE = RetryPolicy(max_attempts=3, initial_delay=0, jitter=0)
"""Retries without waiting."""

OpenManager = Callable[..., SessionManager]
Rows = list[dict[str, Any]]

PATIENCE_SECONDS = 20.0


class Gate:
    """An answer of the mock provider that comes piece by piece, each when the test lets it.

    Example:
        gate = Gate("one ", "two")
        session.provider_session.set_responses([gate])
    """

    def __init__(self, *pieces: str, open_pieces: int = 0) -> None:
        self.pieces = pieces
        self.asked = asyncio.Event()
        self._let = asyncio.Semaphore(open_pieces)
        self.closed = False

    def let(self, pieces: int | None = None) -> None:
        """Let this many more pieces through (None: all)."""
        for _ in range(len(self.pieces) + 1 if pieces is None else pieces):
            self._let.release()

    def __call__(self, _: object) -> AsyncIterator[str]:
        return self._say()

    async def _say(self) -> AsyncIterator[str]:
        self.asked.set()
        try:
            for piece in self.pieces:
                await self._let.acquire()
                yield piece
            await self._let.acquire()
        finally:
            self.closed = True


async def until(
    holds: Callable[[], bool] | Callable[[], Awaitable[bool]], *, seconds: float = PATIENCE_SECONDS
) -> None:
    """Wait until something holds that happens in another thread or process."""
    deadline = time.monotonic() + seconds
    while True:
        answer = holds()
        if answer if isinstance(answer, bool) else await answer:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


async def rows_of(manager: SessionManager, statement: str, **values: Any) -> Rows:
    """Return the rows of a statement over a manager's own storage, read on a connection of its own."""

    def read(connection: Connection) -> Rows:
        return [dict(row) for row in connection.execute(text(statement), values).mappings()]

    storage: Any = manager._services.storage
    rows: Rows = await storage._runner.read(read)
    return rows


def in_database(path: Path | str, statement: str, *values: Any) -> Rows:
    """Return the rows of a statement over a database file, read as another program would."""
    connection = sqlite3.connect(path, timeout=PATIENCE_SECONDS)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(statement, values)]
    finally:
        connection.close()


async def leftovers(manager: SessionManager) -> list[str]:
    """Return what a manager's turns have left behind: tasks, gates, leases, waiters, pending turns."""
    engine: Any = manager._runtime.engine
    found = [f"live turn of {session_id}" for session_id in engine._live._turns]
    found += [f"gate of {session_id}" for session_id in engine._gates._lines]
    found += [f"kept lease {turn_id}" for turn_id in engine._keeper._held]
    storage: Any = manager._services.storage
    if not hasattr(storage, "_runner"):
        return found
    for row in await rows_of(manager, "SELECT session_id FROM sessions WHERE lease_turn_id IS NOT NULL"):
        found.append(f"lease of {row['session_id']}")
    for row in await rows_of(manager, "SELECT session_id FROM session_waiters"):
        found.append(f"waiter of {row['session_id']}")
    for row in await rows_of(manager, "SELECT turn_id FROM turns WHERE state = 'pending'"):
        found.append(f"pending turn {row['turn_id']}")
    return found


def threads_left() -> list[str]:
    """Return the names of this library's threads that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("langswarm-sessions")]


@pytest.fixture(params=["memory", "sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each built-in storage in turn."""
    return str(request.param)


@pytest.fixture
async def open_manager(own_folder: Path) -> AsyncIterator[OpenManager]:
    """Make managers that are closed at the end, and then have left nothing behind."""
    made: list[SessionManager] = []
    tasks_before = asyncio.all_tasks()

    def make(storage: Any = "sqlite", **arguments: Any) -> SessionManager:
        if storage == "sqlite" and "storage_config" not in arguments:
            arguments["storage_config"] = {"db_path": str(own_folder / "sessions.db")}
        arguments.setdefault("retry", AT_ONCE)
        made.append(SessionManager(storage, **arguments))
        return made[-1]

    yield make
    await asyncio.sleep(0)
    found = await _close_all(made)
    made.clear()
    assert not found, f"left behind: {found}"
    own = {*tasks_before, asyncio.current_task()}
    await until(lambda: not asyncio.all_tasks() - own, seconds=2)
    await _threads_end()


@pytest.fixture
async def manager(backend: str, open_manager: OpenManager) -> SessionManager:
    """A manager over each built-in storage in turn."""
    return open_manager(backend)


@pytest.fixture
async def session(manager: SessionManager) -> Session:
    """A mock session of that manager."""
    return await manager.create_session("user", "mock", "mock-model", session_id="s")


@pytest.fixture
def no_globals() -> Iterator[None]:
    """Take away what a test adds to every manager of the process."""
    from langswarm_sessions.hooks import GLOBAL_HOOKS
    from langswarm_sessions.middleware import GLOBAL_MIDDLEWARE

    yield
    GLOBAL_HOOKS.clear()
    GLOBAL_MIDDLEWARE.clear()


async def _close_all(managers: list[SessionManager]) -> list[str]:
    found: list[str] = []
    for manager in managers:
        if not _is_closed(manager):
            found += await leftovers(manager)
        await manager.close()
    return found


async def _threads_end() -> None:
    for _ in range(20):
        if not threads_left():
            return
        await asyncio.sleep(0.005)
    gc.collect()  # a storage nobody closes ends its threads with its last reference
    await until(lambda: not threads_left(), seconds=5)


def _is_closed(manager: SessionManager) -> bool:
    runner: Any = getattr(manager._services.storage, "_runner", None)
    return runner is not None and bool(runner._closed)
