"""Storage interfaces: the small one for users, the whole one for the turn engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from langswarm_sessions.errors import SessionNotFoundError, StorageError
from langswarm_sessions.interfaces.checkpoints import CheckpointStore
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

__all__ = ["EngineStorage", "SessionStorage"]


class SessionStorage(ABC):
    """What a storage of your own must do. Six methods; values reach it as plain JSON-ready data.

    With such a storage turns are ordered within one process only, and what these six cannot express (archiving,
    analytics, ...) is a StorageError that says so.
    """

    @abstractmethod
    async def create_session(
        self,
        session_id: str,
        user_id: str,
        provider: str,
        model: str,
        config: dict[str, Any],
        context: dict[str, Any],
    ) -> Any:
        """Store a new session."""

    @abstractmethod
    async def get_session(self, session_id: str) -> Any:
        """Return what `create_session` was given, as a mapping; None when there is no such session."""

    @abstractmethod
    async def add_message(self, session_id: str, message: dict[str, Any]) -> Any:
        """Append one message (a mapping with at least role, content, timestamp, message_id, metadata)."""

    @abstractmethod
    async def get_messages(
        self,
        session_id: str,
        limit: int | None = None,
        role: str | None = None,
        since: datetime | None = None,
    ) -> Any:
        """Return the newest `limit` messages as mappings, oldest first."""

    @abstractmethod
    async def health_check(self) -> Any:
        """Return something true when the storage works."""

    @abstractmethod
    async def close(self) -> None:
        """Release what the storage holds. Called once more than needed, it does nothing."""


class EngineStorage(ABC):
    """What the turn engine needs of a storage. Every method is one transaction.

    Implementations open themselves on first use; construction does no I/O. All are usable from several event loops
    and threads. Errors are those of `langswarm_sessions.errors`: foreign ones are translated here, once.
    """

    backend: ClassVar[str]
    db_system: ClassVar[str | None] = None

    @property
    def checkpoints(self) -> CheckpointStore | None:
        """Where checkpoints of graphs are kept; None: this storage keeps none."""
        return None

    @abstractmethod
    async def insert_session(self, record: SessionRecord) -> None:
        """Store a new session.

        Raises:
            SessionExistsError: The id is taken (also by a deleted session).
        """

    async def insert_conversation(
        self, record: SessionRecord, messages: Sequence[SessionMessage], *, summary: SessionSummary | None = None
    ) -> SessionRecord:
        """Store a new session with all that was said in it, all or nothing; return its row as it is stored.

        Each message tells its turn and how that ended; the row's counters tell what the turns took. The messages get
        the places from 1 on, which `summary.up_to_seq` counts.

        A storage that does not do this itself refuses it.

        Raises:
            SessionExistsError: The id is taken (also by a deleted session).
            StorageError: The storage cannot do this.
        """
        raise StorageError(
            f"The storage {self.backend!r} cannot take over a conversation. Use the storage 'sqlite' or 'memory'.",
            session_id=record.session_id,
        )

    @abstractmethod
    async def load_session(self, session_id: str) -> SessionRecord | None:
        """Return the session's row, of whatever status; None when there is none."""

    @abstractmethod
    async def change_session(
        self, session_id: str, change: Callable[[SessionRecord], SessionRecord]
    ) -> SessionRecord | None:
        """Apply a pure change to the session's row, atomically; None when there is no such session.

        `change` may replace provider, model, strategy, status, config, provider_config, context, archived_at,
        deleted_at, last_activity, native, instructions, cleared_seq, traceparent and counters.
        """

    @abstractmethod
    async def list_sessions(self, wanted: SessionFilter) -> Page[SessionRecord]:
        """Return a page of sessions, newest activity first, without touching messages."""

    @abstractmethod
    async def change_status(self, wanted: SessionFilter, status: SessionStatus, now: datetime) -> list[str]:
        """Give every session that `wanted` matches a new status, in one statement; return their ids."""

    @abstractmethod
    async def purge_sessions(self, deleted_before: datetime) -> list[str]:
        """Destroy sessions that were deleted before a time, with their messages and turns; return their ids."""

    @abstractmethod
    async def begin_turn(self, begin: BeginTurn) -> Begun | Recorded | Busy:
        """Take the session's lease, store the input and read what the plan needs.

        A lease whose owner is seen dead or which has expired is taken over: its pending turn becomes interrupted and
        the native state suspect. A key whose turn failed or was interrupted is rerun in place. Cancelled while it
        runs, it leaves neither lease nor place in line behind.

        Raises:
            SessionNotFoundError: No such session, or it is deleted.
            SessionArchivedError: The session is archived.
            TurnConflictError: The idempotency key names a turn with another input; the lease to go on with was lost;
                the turn to resume did not complete.
        """

    @abstractmethod
    async def finish_turn(self, finish: FinishTurn) -> Finished:
        """Store answer, native state, usage, counters and the turn's end, and release the lease (or keep it).

        Once called it is carried out, also when the caller is cancelled meanwhile.
        Where the answers follow the native cursor without a gap, the cursor is moved to the last of them.

        Raises:
            TurnConflictError: The lease was taken over, or the turn has ended before; nothing was stored.
        """

    @abstractmethod
    async def release_lease(self, lease: Lease) -> None:
        """Let go of a lease that was kept by a turn that ended; one that was lost is none of ours any more.

        Once called it is carried out, also when the caller is cancelled meanwhile.
        """

    @abstractmethod
    async def leave_line(self, session_id: str, ticket: int) -> None:
        """Give up a place in the line of waiters."""

    @abstractmethod
    def beat(self, leases: Sequence[Lease], expires_at: datetime) -> list[Lease]:
        """Extend leases; return those that were lost. Blocking: called from a thread of its own."""

    @abstractmethod
    async def load_history(self, session_id: str, query: HistoryQuery) -> tuple[SessionMessage, ...]:
        """Return the part of the transcript a model may be given: failed inputs are left out."""

    @abstractmethod
    async def append_messages(
        self,
        session_id: str,
        messages: Sequence[SessionMessage],
        *,
        held: Lease | None = None,
        after_seq: int | None = None,
    ) -> Finished:
        """Append messages outside any turn, all or none, and count them.

        Args:
            session_id: The session.
            messages: What to append, oldest first.
            held: Append only while this lease is in force, also to a session that was archived meanwhile.
            after_seq: Append only if the newest message has this `seq` (0: there is none).

        Raises:
            SessionNotFoundError: No such session, or it is deleted.
            SessionArchivedError: The session is archived.
            TurnConflictError: The lease was taken over, or another message is the newest; nothing was stored.
        """

    async def amend_session(self, session_id: str, amendment: Amendment) -> Finished:
        """Take messages back, append others and change the session's row, all or nothing.

        A storage that does not do this itself changes the rows and appends one after the other, and retracts nothing.

        Raises:
            SessionNotFoundError: No such session, or it is deleted.
            SessionArchivedError: The session is archived.
            TurnConflictError: The lease was taken over; nothing was stored.
            StorageError: The storage cannot take messages back.
        """
        if amendment.retract:
            raise StorageError(
                f"The storage {self.backend!r} cannot take back messages. Use the storage 'sqlite' or 'memory'.",
                session_id=session_id,
            )
        own = {} if amendment.change is None else {session_id: amendment.change}
        for changed_id, change in (own | dict(amendment.also)).items():
            if await self.change_session(changed_id, change) is None:
                raise SessionNotFoundError(
                    "There is no session with this id. Create it, or check the id.", session_id=changed_id
                )
        new = list(amendment.append)
        if amendment.skip_known:
            new = [one for one in new if not one.message_id or not await self.load_message(session_id, one.message_id)]
        return await self.append_messages(session_id, new, held=amendment.held)

    @abstractmethod
    async def list_messages(self, session_id: str, wanted: MessageFilter) -> Page[SessionMessage]:
        """Return a page of the transcript in chronological order; `next_cursor` leads to older messages."""

    @abstractmethod
    async def load_message(self, session_id: str, message_id: str) -> SessionMessage | None:
        """Return one message of the session, or None."""

    @abstractmethod
    async def load_summary(self, session_id: str) -> SessionSummary | None:
        """Return the newest summary of the session's transcript; None when there is none, or it was cleared."""

    @abstractmethod
    async def save_summary(self, session_id: str, summary: SessionSummary) -> None:
        """Store a summary beside the transcript; the first one up to a message stays.

        Raises:
            SessionNotFoundError: No such session.
        """

    @abstractmethod
    async def load_turn(self, session_id: str, turn_id: str) -> TurnRecord | None:
        """Return one turn of the session, or None."""

    @abstractmethod
    async def analytics(self, start: datetime | None, end: datetime | None) -> Analytics:
        """Return figures over the sessions and turns of a period."""

    @abstractmethod
    async def statistics(self) -> Mapping[str, Any]:
        """Return sizes and counts of the database."""

    @abstractmethod
    async def optimize(self) -> Mapping[str, Any]:
        """Give back unused space and refresh the planner's statistics."""

    @abstractmethod
    async def backup(self, path: str | Path) -> Path:
        """Copy the live database to a new file; return its path."""

    @abstractmethod
    async def check_health(self) -> Mapping[str, Any]:
        """Read and write; return backend, latency in milliseconds and schema revision.

        Raises:
            StorageError: The storage does not work; the message says why and what to do.
        """

    @abstractmethod
    async def close(self) -> None:
        """Release what the storage holds; a second call does nothing."""
