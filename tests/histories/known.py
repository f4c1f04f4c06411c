"""The well-known histories, each opened as its documentation shows, each on a real backend."""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import warnings
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from langswarm_sessions.testing.langchain import Face, HistorySubject
from tests.histories.openers import ours_on_memory, ours_on_sqlite
from tests.histories.servers import postgres, redis_with_search, unused_port, valkey

Opened = AbstractAsyncContextManager[HistorySubject]
TABLE = "chat_history"


@asynccontextmanager
async def in_memory(folder: Path) -> AsyncGenerator[HistorySubject]:
    """Yield langchain-core's own, in a dictionary by session id."""
    from langchain_core.chat_history import InMemoryChatMessageHistory

    kept: dict[str, InMemoryChatMessageHistory] = {}

    def opens(session_id: str) -> InMemoryChatMessageHistory:
        if session_id not in kept:
            kept[session_id] = InMemoryChatMessageHistory()
        return kept[session_id]

    yield HistorySubject(open=opens)


def file_history(folder: Path, session_id: str) -> Any:
    """Open the history of files."""
    from langchain_community.chat_message_histories import FileChatMessageHistory

    return FileChatMessageHistory(str(folder / f"{session_id}.json"))


def failing_file_history(folder: Path, session_id: str) -> Any:
    """Open it, and let a folder take the place of its file."""
    history = file_history(folder, session_id)
    history.file_path.unlink()
    history.file_path.mkdir()
    return history


@asynccontextmanager
async def files(folder: Path) -> AsyncGenerator[HistorySubject]:
    """Yield langchain-community's history of files."""
    opens = partial(file_history, folder)
    failing = partial(failing_file_history, folder)
    yield HistorySubject(open=opens, elsewhere=opens, failing=failing)


def sql_history(path: Path, session_id: str, *, is_async: bool = False) -> Any:
    """Open the history of SQL tables on a SQLite file."""
    from langchain_community.chat_message_histories import SQLChatMessageHistory

    scheme = "sqlite+aiosqlite" if is_async else "sqlite"
    return SQLChatMessageHistory(session_id, connection=f"{scheme}:///{path}", async_mode=is_async)


@asynccontextmanager
async def sql(folder: Path, *, is_async: bool) -> AsyncGenerator[HistorySubject]:
    """Yield langchain-community's history of SQL tables, with either kind of engine."""

    async def failing(session_id: str) -> Any:
        path = folder / f"{uuid4()}.db"
        history = sql_history(path, session_id, is_async=is_async)
        if is_async:
            await history.aget_messages()
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TABLE message_store")
        return history

    async def close(history: Any) -> None:
        if is_async:
            await history.async_engine.dispose()
        else:
            history.engine.dispose()

    opens = partial(sql_history, folder / "said.db", is_async=is_async)
    faces = frozenset({Face.ASYNC if is_async else Face.BLOCKING})
    yield HistorySubject(open=opens, elsewhere=opens, failing=failing, close=close, faces=faces)


async def postgres_history(uri: str, session_id: str, *, table: str = TABLE) -> Any:
    """Open the history of a PostgreSQL table, with connections of its own."""
    import psycopg
    from langchain_postgres import PostgresChatMessageHistory

    connection = psycopg.connect(uri)
    return PostgresChatMessageHistory(
        table, session_id, sync_connection=connection, async_connection=await psycopg.AsyncConnection.connect(uri)
    )


@asynccontextmanager
async def postgresql(folder: Path) -> AsyncGenerator[HistorySubject]:
    """Yield langchain-postgres' history."""
    import psycopg
    from langchain_postgres import PostgresChatMessageHistory

    async def close(history: Any) -> None:
        history._connection.close()
        await history._aconnection.close()

    with postgres(folder) as uri, psycopg.connect(uri) as connection:
        PostgresChatMessageHistory.create_tables(connection, TABLE)

        async def failing(session_id: str) -> Any:
            table = f"gone_{uuid4().hex}"
            PostgresChatMessageHistory.create_tables(connection, table)
            history = await postgres_history(uri, session_id, table=table)
            PostgresChatMessageHistory.drop_table(connection, table)
            return history

        opens = partial(postgres_history, uri)
        yield HistorySubject(open=opens, elsewhere=opens, failing=failing, close=close)


def community_redis_history(url: str, session_id: str) -> Any:
    """Open langchain-community's history of Redis lists."""
    from langchain_community.chat_message_histories import RedisChatMessageHistory

    return RedisChatMessageHistory(session_id, url=url)


def redis_history(url: str, session_id: str) -> Any:
    """Open langchain-redis' history.

    With the protocol that its search client understands: with redis-py 8's own default nothing can be opened twice.
    """
    from langchain_redis import RedisChatMessageHistory

    return RedisChatMessageHistory(session_id, redis_url=url, protocol=2)


@asynccontextmanager
async def redis(folder: Path, *, community: bool) -> AsyncGenerator[HistorySubject]:
    """Yield a history in Redis: langchain-community's on Valkey, langchain-redis' on a Redis with search."""
    from redis import ConnectionPool
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    opens = community_redis_history if community else redis_history
    with (valkey if community else redis_with_search)(folder) as url:

        def failing(session_id: str) -> Any:
            history = opens(url, session_id)
            history.redis_client.connection_pool = ConnectionPool(port=unused_port(), retry=Retry(NoBackoff(), 0))
            return history

        yield HistorySubject(
            open=partial(opens, url),
            elsewhere=partial(opens, url),
            failing=failing,
        )


@asynccontextmanager
async def ours_in_memory(folder: Path) -> AsyncGenerator[HistorySubject]:
    """Yield ours on memory."""
    async with ours_on_memory() as subject:
        yield subject


KNOWN: dict[str, Callable[[Path], Opened]] = {
    "SessionChatMessageHistory, SQLite": ours_on_sqlite,
    "SessionChatMessageHistory, memory": ours_in_memory,
    "InMemoryChatMessageHistory": in_memory,
    "FileChatMessageHistory": files,
    "SQLChatMessageHistory, blocking": partial(sql, is_async=False),
    "SQLChatMessageHistory, async": partial(sql, is_async=True),
    "PostgresChatMessageHistory": postgresql,
    "RedisChatMessageHistory, langchain-redis": partial(redis, community=False),
    "RedisChatMessageHistory, community": partial(redis, community=True),
}


@asynccontextmanager
async def opened(name: str) -> AsyncGenerator[HistorySubject]:
    """Yield a history in a folder of its own, its packages' warnings and log lines left out."""
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory(prefix="histories-", ignore_cleanup_errors=True) as folder,
    ):
        warnings.simplefilter("ignore")
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user than root
        logging.disable(logging.CRITICAL)
        try:
            async with KNOWN[name](Path(folder)) as subject:
                yield subject
        finally:
            logging.disable(logging.NOTSET)
