"""What a turn costs: a fixed number of statements, whatever the length of the transcript, all of them by index."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from langswarm_sessions.messages import Role
from langswarm_sessions.records import HistoryQuery, MessageFilter, SessionFilter, SessionRecord, SessionStatus
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit, instructions, no_history, session_record

Needs = Callable[[SessionRecord], HistoryQuery | None]


def window(_: SessionRecord) -> HistoryQuery:
    """Need the newest twenty messages."""
    return HistoryQuery(max_messages=20)


def budget(_: SessionRecord) -> HistoryQuery:
    """Need what fits into a budget."""
    return HistoryQuery(max_tokens=100)


@pytest.fixture
async def storage(db: Path) -> AsyncIterator[SQLiteSessionStorage]:
    """A storage whose connections are the same from call to call."""
    storage = SQLiteSessionStorage(db, pool_size=1, max_overflow=0)
    yield storage
    await storage.close()


class Trace:
    """The statements that reach SQLite."""

    def __init__(self, storage: SQLiteSessionStorage) -> None:
        self._storage = storage
        self.statements: list[str] = []

    @contextmanager
    def recording(self) -> Generator[None]:
        """Note statements within the block."""
        self._each_connection(lambda raw: raw.set_trace_callback(self.statements.append))
        try:
            yield
        finally:
            self._each_connection(lambda raw: raw.set_trace_callback(None))

    def _each_connection(self, do: Callable[[sqlite3.Connection], None]) -> None:
        runner: Any = self._storage._runner
        for workers in (runner._writer, runner._readers):
            for worker in workers._workers:
                if worker.transactions._raw is not None:
                    do(worker.transactions._raw)

    @property
    def work(self) -> list[str]:
        """The statements but BEGIN and COMMIT."""
        return [text for text in self.statements if not text.startswith(("BEGIN", "COMMIT", "PRAGMA"))]


@pytest.mark.parametrize(("needs", "expected"), [(no_history, 7), (window, 9), (budget, 9)])
async def test_a_turn_is_few_statements_at_any_length(
    storage: SQLiteSessionStorage, kit: StorageKit, needs: Needs, expected: int
) -> None:
    counts: list[int] = []
    for length in (40, 10_000):
        while (await kit.record()).counters.messages < length:
            await kit.append(*(str(number) for number in range(min(length, 2_000))))
        await kit.turn("warm", "up", needs=needs)
        trace = Trace(storage)
        with trace.recording():
            await kit.turn("question", "answer", needs=needs, instructions=instructions("Be brief."))
            trace.statements.clear()
            await kit.turn("question", "answer", needs=needs, instructions=instructions("Be brief."))
        counts.append(len(trace.work))
        assert sum(text.startswith("COMMIT") for text in trace.statements) == 2
    assert counts == [expected, expected]


async def test_no_statement_of_a_turn_reads_a_table_from_end_to_end(
    storage: SQLiteSessionStorage, kit: StorageKit
) -> None:
    await kit.turn("question", "answer")
    trace = Trace(storage)
    with trace.recording():
        await kit.failed_turn("failed", idempotency_key="key")
        await kit.turn("between", "them")
        await kit.turn("failed", "now it works", idempotency_key="key", needs=window)
        await kit.turn("with budget", "answer", needs=budget)
        await kit.append("appended", role=Role.SYSTEM)
        await kit.transcript(limit=5)
        await kit.record()
    for text, plan in await _plans(storage, trace.work):
        assert "SCAN" not in plan, f"{text}\n{plan}"
        assert "TEMP B-TREE" not in plan, f"{text}\n{plan}"


async def test_older_system_messages_are_found_by_their_index(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    await kit.append("system", role=Role.SYSTEM)
    await kit.append(*(str(number) for number in range(100)))
    trace = Trace(storage)
    with trace.recording():
        await kit.begin("question", needs=window)
    plans = [plan for text, plan in await _plans(storage, trace.work) if "role = 'system'" in text]
    assert len(plans) == 1
    assert "ix_messages_system" in plans[0]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (SessionFilter(user_id="user", limit=10), "ix_sessions_user_id_last_activity_session_id"),
        (SessionFilter(limit=10), "ix_sessions_last_activity_session_id"),
        (SessionFilter(statuses=(SessionStatus.ACTIVE,), limit=10), "ix_sessions_last_activity_session_id"),
        (SessionFilter(tags=("tag",), limit=10), "ix_session_tags_tag_session_id"),
    ],
)
async def test_listings_are_read_by_index(storage: SQLiteSessionStorage, wanted: SessionFilter, index: str) -> None:
    await storage.insert_session(session_record())
    trace = Trace(storage)
    await storage.list_sessions(wanted)
    with trace.recording():
        await storage.list_sessions(wanted)
    ((text, plan),) = await _plans(storage, trace.work)
    assert index in plan, f"{text}\n{plan}"
    assert "messages" not in text.split("FROM", 1)[1]


async def test_pages_of_messages_are_read_by_index(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    await kit.append(*(str(number) for number in range(30)))
    page = await storage.list_messages(kit.session_id, MessageFilter(limit=10))
    trace = Trace(storage)
    with trace.recording():
        await storage.list_messages(kit.session_id, MessageFilter(limit=10, cursor=page.next_cursor))
    ((_, plan),) = await _plans(storage, trace.work)
    assert "uq_messages_session_id_seq" in plan or "sqlite_autoindex_messages" in plan
    assert "SCAN" not in plan
    assert "TEMP B-TREE" not in plan


async def _plans(storage: SQLiteSessionStorage, statements: list[str]) -> list[tuple[str, str]]:
    def explain(connection: Connection) -> list[tuple[str, str]]:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        return [
            (text, "\n".join(row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {text}").fetchall()))
            for text in statements
            if not text.startswith("--") and not text.startswith("INSERT")
        ]

    return await storage._runner.read(explain)
