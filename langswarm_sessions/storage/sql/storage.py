"""The engine storage over SQL: each operation is one unit of work, given to a runner."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from langswarm_sessions.errors import StorageError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import (
    Amendment,
    Analytics,
    BeginTurn,
    Begun,
    Busy,
    Finished,
    FinishTurn,
    HistoryQuery,
    Lease,
    MessageFilter,
    Page,
    Recorded,
    SessionFilter,
    SessionRecord,
    SessionStatus,
    SessionSummary,
    TurnRecord,
)
from langswarm_sessions.storage.sql import analytics, line, message_store, session_store
from langswarm_sessions.storage.sql.amend import amend_session
from langswarm_sessions.storage.sql.begin import begin_turn
from langswarm_sessions.storage.sql.checkpoints.store import SqlCheckpoints
from langswarm_sessions.storage.sql.conversation_rows import conversation_rows
from langswarm_sessions.storage.sql.finish import OpenTurn, abandon_turn, beat, finish_turn, open_turn, release_lease
from langswarm_sessions.storage.sql.history import load_history
from langswarm_sessions.storage.sql.restore import insert_conversation, look_around
from langswarm_sessions.storage.sql.runner import Runner
from langswarm_sessions.storage.sql.schema import probe
from langswarm_sessions.storage.sql.session_store import load_session
from langswarm_sessions.storage.sql.summary_store import load_summary, save_summary
from langswarm_sessions.storage.sql.turn_rows import find_turn

__all__ = ["SqlStorage"]


_OPEN_TURNS = 10_000


class SqlStorage(EngineStorage):
    """Every operation of the engine but those that are the database's own affair (statistics, backup ...)."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._open_turns: dict[Lease, OpenTurn] = {}
        self._checkpoints = SqlCheckpoints(runner)

    @property
    def checkpoints(self) -> SqlCheckpoints:
        """Checkpoints of graphs, in the same database."""
        return self._checkpoints

    async def insert_session(self, record: SessionRecord) -> None:
        """Store a new session."""
        await self._runner.write(session_store.insert_session, record)

    async def insert_conversation(
        self, record: SessionRecord, messages: Sequence[SessionMessage], *, summary: SessionSummary | None = None
    ) -> SessionRecord:
        """Store a new session with all that was said in it; nobody has to wait while its rows are made."""
        dialect, taken = await self._runner.read(look_around, record.session_id, messages)
        rows = await asyncio.to_thread(conversation_rows, record, messages, dialect=dialect, taken=taken, is_whole=True)
        return await self._runner.write(insert_conversation, record, messages, summary, rows)

    async def load_session(self, session_id: str) -> SessionRecord | None:
        """Return the session's row."""
        return await self._runner.read(load_session, session_id)

    async def change_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord | None:
        """Apply a pure change to the session's row, atomically."""
        return await self._runner.write(session_store.change_session, session_id, change)

    async def list_sessions(self, wanted: SessionFilter) -> Page[SessionRecord]:
        """Return a page of sessions."""
        return await self._runner.read(session_store.list_sessions, wanted)

    async def change_status(self, wanted: SessionFilter, status: SessionStatus, now: datetime) -> list[str]:
        """Give every session that `wanted` matches a new status."""
        return await self._runner.write(session_store.change_status, wanted, status, now)

    async def purge_sessions(self, deleted_before: datetime) -> list[str]:
        """Destroy sessions that were deleted before a time, some at a time, so that turns run in between."""
        purged: list[str] = []
        while batch := await self._runner.write(session_store.purge_batch, deleted_before):
            purged.extend(batch)
        return purged

    async def begin_turn(self, begin: BeginTurn) -> Begun | Recorded | Busy:
        """Take the session's lease, store the input and read what the plan needs."""
        try:
            outcome = await self._runner.write_or_undo(begin_turn, begin, _undo_begin)
        except asyncio.CancelledError:
            if begin.ticket is not None:  # given by a call before: this one may have been dropped before it ran
                with suppress(StorageError):
                    await self.leave_line(begin.session_id, begin.ticket)
            raise
        if isinstance(outcome, Begun) and (known := open_turn(outcome)) is not None:
            self._open_turns[outcome.lease] = known
            while len(self._open_turns) > _OPEN_TURNS:  # turns whose callers never came back
                self._open_turns.pop(next(iter(self._open_turns)), None)
        return outcome

    async def finish_turn(self, finish: FinishTurn) -> Finished:
        """Store answer, native state, usage, counters and the turn's end, and release the lease (or keep it)."""
        known = self._open_turns.pop(finish.lease, None)
        return await self._runner.write_surely(finish_turn, finish, known)

    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease that was kept by a turn that ended."""
        await self._runner.write_surely(release_lease, lease)

    async def leave_line(self, session_id: str, ticket: int) -> None:
        """Give up a place in the line of waiters."""
        await self._runner.write_surely(line.leave_line, session_id, ticket)

    def beat(self, leases: Sequence[Lease], expires_at: datetime) -> list[Lease]:
        """Extend leases; return those that were lost."""
        return self._runner.write_blocking(beat, leases, expires_at)

    async def load_history(self, session_id: str, query: HistoryQuery) -> tuple[SessionMessage, ...]:
        """Return the part of the transcript a model may be given."""
        return await self._runner.read(_load_history, session_id, query)

    async def append_messages(
        self,
        session_id: str,
        messages: Sequence[SessionMessage],
        *,
        held: Lease | None = None,
        after_seq: int | None = None,
    ) -> Finished:
        """Append messages outside any turn."""
        return await self._runner.write(message_store.append_messages, session_id, messages, held, after_seq)

    async def amend_session(self, session_id: str, amendment: Amendment) -> Finished:
        """Change the transcript outside any turn."""
        return await self._runner.write(amend_session, session_id, amendment)

    async def list_messages(self, session_id: str, wanted: MessageFilter) -> Page[SessionMessage]:
        """Return a page of the transcript."""
        return await self._runner.read(message_store.list_messages, session_id, wanted)

    async def load_message(self, session_id: str, message_id: str) -> SessionMessage | None:
        """Return one message of the session."""
        return await self._runner.read(message_store.load_message, session_id, message_id)

    async def load_summary(self, session_id: str) -> SessionSummary | None:
        """Return the newest summary of the session."""
        return await self._runner.read(load_summary, session_id)

    async def save_summary(self, session_id: str, summary: SessionSummary) -> None:
        """Store a summary beside the transcript."""
        await self._runner.write(save_summary, session_id, summary)

    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """Return one turn of the session."""
        return await self._runner.read(_load_turn, session_id, turn_id)

    async def analytics(self, start: datetime | None, end: datetime | None) -> Analytics:
        """Return figures over the sessions and turns of a period."""
        return await self._runner.read(analytics.analytics, start, end)

    async def check_health(self) -> Mapping[str, Any]:
        """Write (and undo it), read, and say how long it took."""
        started = time.perf_counter()
        revision = await self._runner.write(probe)
        latency = (time.perf_counter() - started) * 1000
        return {"status": "healthy", "backend": self.backend, "latency_ms": latency, "schema_revision": revision}

    async def close(self) -> None:
        """Release connections and threads."""
        await self._runner.close()


def _undo_begin(connection: Connection, outcome: Begun | Recorded | Busy) -> None:
    """Leave no lease and no place in line to a caller that went away."""
    if isinstance(outcome, Begun):
        abandon_turn(connection, outcome, now())
    elif isinstance(outcome, Busy):
        line.drop_ticket(connection, outcome.ticket)


def _load_history(connection: Connection, session_id: str, query: HistoryQuery) -> tuple[SessionMessage, ...]:
    session = load_session(connection, session_id)
    return () if session is None else load_history(connection, session, query)


def _load_turn(connection: Connection, session_id: str, turn_id: str) -> TurnRecord | None:
    found = find_turn(connection, session_id, turn_id)
    return None if found is None else found.record
