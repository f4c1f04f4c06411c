"""The session a conversation is imported into: what it holds already, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from langswarm_sessions.importing.plan import ImportPlan
from langswarm_sessions.importing.provenance import Origin, Provenance
from langswarm_sessions.importing.source import SourceEntry
from langswarm_sessions.lifecycle import stored_record
from langswarm_sessions.messages import SessionMessage, content_bytes
from langswarm_sessions.records import MessageFilter, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime
from langswarm_sessions_otel import OutsideStorageScope

__all__ = ["Ready", "Target"]

_PAGE = 500
_TAKEN = (
    "a session of this id is there that was not imported from this source for this user; give session_prefix to import "
    "into sessions of other ids"
)
_DELETED = "a session of this id was deleted here; restore it, or give session_prefix"
_ARCHIVED = "the session is archived and the source has grown; restore it first"
_CLEARED = "the session's messages were cleared here; give session_prefix to import them again"


@dataclass(frozen=True, slots=True)
class Ready:
    """A message to store, and the rows it was made of."""

    message: SessionMessage
    entries: tuple[SourceEntry, ...]


class Target:
    """A session of ours, there or not.

    Args:
        runtime: The manager's.
        plan: What the import is told to do.
        session_id: The session's id here.
        user_id: Whose it is, or will be.
        origin: The source.

    Attributes:
        known: The digest of each row of the source that the session holds, under its key.
        newest: When its last message was said.
    """

    def __init__(self, runtime: Runtime, plan: ImportPlan, *, session_id: str, user_id: str, origin: Origin) -> None:
        self._runtime = runtime
        self._plan = plan
        self.session_id = session_id
        self._user_id = user_id
        self._origin = origin
        self._record: SessionRecord | None = None
        self._is_all_imported = True
        self.known: dict[str, str] = {}
        self._place: str | None = None
        self.newest: datetime | None = None

    @property
    def is_there(self) -> bool:
        """Whether the session exists."""
        return self._record is not None

    @property
    def is_moved(self) -> bool:
        """Whether its rows were read at another place: from the same database, moved since, or from another one."""
        return self._place not in (None, self._origin.place)

    async def load(self) -> Self:
        """Read what the session holds, again if need be."""
        storage = self._runtime.services.storage
        self.known, self.newest, self._is_all_imported, self._place = {}, None, True, None
        cursor: str | None = None
        self._record = await stored_record(self._runtime, self.session_id)
        while self._record is not None:
            wanted = MessageFilter(limit=_PAGE, cursor=cursor, with_retracted=True)
            with self._storage_span("load") as op:
                page = await storage.list_messages(self.session_id, wanted)
                op.done(count=len(page), size=content_bytes(page))
            self._learn(page)
            cursor = page.next_cursor
            if cursor is None:
                break
        return self

    async def holds_all(self, entries: int, newest: str) -> bool:
        """Whether the session holds a conversation whole, to judge by the last row that was imported.

        Args:
            entries: How many rows the conversation has.
            newest: The key of its last one.
        """
        storage = self._runtime.services.storage
        record = await storage.load_session(self.session_id)
        if record is None or record.user_id != self._user_id or record.status is SessionStatus.DELETED:
            return False
        cursor: str | None = None
        while True:
            wanted = MessageFilter(limit=_PAGE // 10, cursor=cursor, with_retracted=True)
            page = await storage.list_messages(self.session_id, wanted)
            for message in reversed(page):
                if told := self._origin.read(message):
                    return (newest in told.rows, told.total, told.place) == (True, entries, self._origin.place)
            cursor = page.next_cursor
            if cursor is None:
                return False

    def problem(self, *, has_news: bool = False) -> str | None:
        """Return why nothing can be imported into the session; None when it can.

        Args:
            has_news: Whether the source has something that is not there yet.
        """
        record = self._record
        if record is None:
            return None
        if record.user_id != self._user_id:
            return _TAKEN
        if record.status is SessionStatus.DELETED:
            return _DELETED
        if record.cleared_seq:
            return _CLEARED
        if not self.known and record.next_seq > 1:
            return _TAKEN
        return _ARCHIVED if has_news and record.status is SessionStatus.ARCHIVED else None

    async def create(self, created_at: datetime) -> None:
        """Create the session, unless somebody else just did; then read it.

        Args:
            created_at: When its first message was said.
        """
        plan = self._plan
        record = SessionRecord(
            session_id=self.session_id,
            user_id=self._user_id,
            provider=plan.provider,
            model=plan.model,
            strategy=plan.strategy,
            created_at=created_at,
            last_activity=created_at,
            config=plan.session_config,
        )
        await self._runtime.create_unless_there(record)
        await self.load()

    async def append(self, batch: Sequence[Ready]) -> None:
        """Append messages to the session as it was read, with where they came from.

        Raises:
            TurnConflictError: Somebody else appended to it meanwhile; nothing was stored.
        """
        assert self._record is not None
        total, messages = len(self.known), list[SessionMessage]()
        for ready in batch:
            total += len(ready.entries)
            note = self._origin.noted(ready.entries, total)
            messages.append(replace(ready.message, metadata={**ready.message.metadata, **note}))
        with self._storage_span("append") as op:
            stored = await self._runtime.services.storage.append_messages(
                self.session_id, messages, after_seq=self._record.next_seq - 1
            )
            op.done(count=len(messages), size=content_bytes(stored.answers))
        self._adopt(stored.session)
        self._place = self._origin.place
        self.newest = messages[-1].timestamp
        self.known.update((entry.key, entry.digest) for ready in batch for entry in ready.entries)

    async def settle(self) -> None:
        """Let the session's last activity be its newest message, where all of them were imported."""
        newest, known = self.newest, self._record
        if newest is None or known is None or not self._is_all_imported:
            return

        def settled(record: SessionRecord) -> SessionRecord:
            return replace(record, last_activity=newest) if record.next_seq == known.next_seq else record

        with self._storage_span("replace"):
            record = await self._runtime.services.storage.change_session(self.session_id, settled)
        if record is not None:
            self._adopt(record)

    def _learn(self, page: Sequence[SessionMessage]) -> None:
        """Take in a page of messages; the newest page comes first."""
        told: Provenance | None = None
        for message in page:
            one = self._origin.read(message)
            self.known.update({} if one is None else one.rows)
            self._is_all_imported = self._is_all_imported and one is not None
            self.newest = message.timestamp if self.newest is None else max(self.newest, message.timestamp)
            told = one or told
        if self._place is None and told is not None:
            self._place = told.place

    def _storage_span(self, operation: str) -> OutsideStorageScope:
        return self._runtime.services.storage_span(operation, self.session_id)

    def _adopt(self, record: SessionRecord) -> None:
        self._record = record
        if held := self._runtime.handles.get(self.session_id):
            held.adopt(record)
