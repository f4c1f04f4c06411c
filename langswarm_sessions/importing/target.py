"""The session a conversation is imported into: what it holds already, and how it grows."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Self

from langswarm_sessions.errors import SessionExistsError
from langswarm_sessions.importing.plan import ImportPlan
from langswarm_sessions.importing.provenance import rows_of
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import MessageFilter, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Runtime

__all__ = ["Target"]

_PAGE = 500
_TAKEN = (
    "a session of this id is there that was not imported from this source for this user; give session_prefix to import "
    "into sessions of other ids"
)
_DELETED = "a session of this id was deleted here; restore it, or give session_prefix"
_ARCHIVED = "the session is archived and the source has grown; restore it first"
_CLEARED = "the session's messages were cleared here; give session_prefix to import them again"


class Target:
    """A session of ours, there or not.

    Args:
        runtime: The manager's.
        plan: What the import is told to do.
        session_id: The session's id here.
        user_id: Whose it is, or will be.
        source: The name of the source.
    """

    def __init__(self, runtime: Runtime, plan: ImportPlan, *, session_id: str, user_id: str, source: str) -> None:
        self._runtime = runtime
        self._plan = plan
        self.session_id = session_id
        self._user_id = user_id
        self._source = source
        self._record: SessionRecord | None = None
        self._is_all_imported = True
        self.known: dict[str, str] = {}
        self.newest: datetime | None = None

    @property
    def is_there(self) -> bool:
        """Whether the session exists."""
        return self._record is not None

    async def load(self) -> Self:
        """Read what the session holds, again if need be."""
        storage = self._runtime.services.storage
        self._record = await storage.load_session(self.session_id)
        self.known, self.newest, self._is_all_imported = {}, None, True
        cursor: str | None = None
        while self._record is not None:
            wanted = MessageFilter(limit=_PAGE, cursor=cursor, with_retracted=True)
            page = await storage.list_messages(self.session_id, wanted)
            for message in page:
                rows = rows_of(message, self._source)
                self.known.update(rows or {})
                self._is_all_imported = self._is_all_imported and rows is not None
                self.newest = message.timestamp if self.newest is None else max(self.newest, message.timestamp)
            cursor = page.next_cursor
            if cursor is None:
                break
        return self

    async def newest_row(self) -> str | None:
        """Return the key of the last row that was imported; None when there is none, or it is not this source's."""
        storage = self._runtime.services.storage
        record = await storage.load_session(self.session_id)
        if record is None or record.user_id != self._user_id or record.status is SessionStatus.DELETED:
            return None
        cursor: str | None = None
        while True:
            wanted = MessageFilter(limit=_PAGE // 10, cursor=cursor, with_retracted=True)
            page = await storage.list_messages(self.session_id, wanted)
            for message in reversed(page):
                if rows := rows_of(message, self._source):
                    return list(rows)[-1]
            cursor = page.next_cursor
            if cursor is None:
                return None

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
        with suppress(SessionExistsError):
            await self._runtime.create(record)
        await self.load()

    async def append(self, messages: Sequence[SessionMessage]) -> None:
        """Append messages to the session as it was read.

        Raises:
            TurnConflictError: Somebody else appended to it meanwhile; nothing was stored.
        """
        assert self._record is not None
        stored = await self._runtime.services.storage.append_messages(
            self.session_id, messages, after_seq=self._record.next_seq - 1
        )
        self._adopt(stored.session)
        self.newest = messages[-1].timestamp
        for message in messages:
            self.known.update(rows_of(message, self._source) or {})

    async def settle(self) -> None:
        """Let the session's last activity be its newest message, where all of them were imported."""
        newest, known = self.newest, self._record
        if newest is None or known is None or not self._is_all_imported:
            return

        def settled(record: SessionRecord) -> SessionRecord:
            return replace(record, last_activity=newest) if record.next_seq == known.next_seq else record

        record = await self._runtime.services.storage.change_session(self.session_id, settled)
        if record is not None:
            self._adopt(record)

    def _adopt(self, record: SessionRecord) -> None:
        self._record = record
        if held := self._runtime.handles.get(self.session_id):
            held.adopt(record)
