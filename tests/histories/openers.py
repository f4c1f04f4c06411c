"""Opens our histories, for this process and for others that are told where to find these functions."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from uuid import uuid4

from langswarm_sessions import InMemorySessionStorage, SessionManager, StorageError, create_session_manager
from langswarm_sessions.records import SessionRecord
from langswarm_sessions.testing.langchain import HistorySubject
from langswarm_sessions_langchain import SessionChatMessageHistory


def on_file(path: Path) -> SessionManager:
    """Return a manager on a SQLite file."""
    return create_session_manager(storage="sqlite", storage_config={"db_path": str(path)})


def history_on_file(path: Path, session_id: str) -> SessionChatMessageHistory:
    """Return a history on a SQLite file, with a manager of its own."""
    return SessionChatMessageHistory(manager=on_file(path), session_id=session_id)


@asynccontextmanager
async def ours_on_sqlite(folder: Path) -> AsyncGenerator[HistorySubject]:
    """Yield our history on a SQLite file in a folder."""
    path, managers = folder / "chat.db", [on_file(folder / "chat.db")]

    async def failing(session_id: str) -> SessionChatMessageHistory:
        broken = folder / f"{uuid4()}.db"
        managers.append(on_file(broken))
        history = SessionChatMessageHistory(manager=managers[-1], session_id=session_id)
        await history.aget_messages()
        with closing(sqlite3.connect(broken)) as database:
            database.execute("DROP TABLE messages")
            database.execute("DROP TABLE sessions")
        return history

    try:
        yield HistorySubject(
            open=lambda session_id: SessionChatMessageHistory(manager=managers[0], session_id=session_id),
            elsewhere=partial(history_on_file, path),
            failing=failing,
            clocks=("langswarm_sessions",),
            tail=lambda session_id, size: SessionChatMessageHistory(
                manager=managers[0], session_id=session_id, limit=size
            ),
        )
    finally:
        await _close(managers)


class FailedStorage(InMemorySessionStorage):
    """Memory that is out of order."""

    async def load_session(self, session_id: str) -> SessionRecord | None:
        raise StorageError("The memory is out of order; buy another one.")


@asynccontextmanager
async def ours_on_memory() -> AsyncGenerator[HistorySubject]:
    """Yield our history on memory."""
    good, bad = create_session_manager(storage="memory"), create_session_manager(storage=FailedStorage())
    try:
        yield HistorySubject(
            open=lambda session_id: SessionChatMessageHistory(manager=good, session_id=session_id),
            failing=lambda session_id: SessionChatMessageHistory(manager=bad, session_id=session_id),
            clocks=("langswarm_sessions",),
            tail=lambda session_id, size: SessionChatMessageHistory(manager=good, session_id=session_id, limit=size),
        )
    finally:
        await _close([good, bad])


async def _close(managers: list[SessionManager]) -> None:
    for manager in managers:
        manager.bridge.close()
        await manager.close()
