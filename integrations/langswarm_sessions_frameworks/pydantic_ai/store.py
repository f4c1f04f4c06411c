"""Sessions as pydantic-ai's store of conversations."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)
from pydantic_ai.messages import ModelMessage

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.checks import check_name
from langswarm_sessions.errors import SessionExistsError, SessionNotFoundError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import Amendment, MessageFilter, SessionRecord
from langswarm_sessions.session import Session
from langswarm_sessions_frameworks.conversation import DEFAULT_USER, checked_manager
from langswarm_sessions_frameworks.formats import LossReport, read_as
from langswarm_sessions_frameworks.provider import FRAMEWORK_PROVIDER, register
from langswarm_sessions_frameworks.pydantic_ai.format import MessagesFormat, entry_id_of, rows_of, whole_messages
from langswarm_sessions_frameworks.pydantic_ai.record import is_blank, keeping, kept_record, newest_known, revision_of

__all__ = ["SessionConversationStore"]

_FORMAT = MessagesFormat()
_NOT_SAID = (TurnState.FAILED, TurnState.PENDING)
_MOST_PLACES = 100_000
_SMALLEST_PAGE = 20


class SessionConversationStore(ConversationStore):
    """A `ConversationStore` of pydantic-ai over the sessions of this library: a conversation is a session.

    `conversation_id` is the session's id; `scope` is whose the session is, or a label of its own in a store that is
    one user's. A save is one transaction, checked against the revision, which changes with whatever is said in the
    session, also by other frameworks. A history that was left for a branch stays stored and is hidden from everybody
    else; a fork has rows of its own. `delete` deletes the session softly: it can be restored until it is purged, and
    its id is free again only then.

    Args:
        manager: Where sessions live, blocking or not; None: the process-wide one.
        user_id: Whose conversations these are; None: of whichever user their `scope` names, else of "user".

    Raises:
        MissingDependencyError: pydantic-ai is not installed.
        ConfigurationError: The manager is none.

    Example:
        >>> async def ask(agent, store, question):
        ...     conversation = await store.load("trip") or Conversation(conversation_id="trip")
        ...     result = await agent.run(question, conversation=conversation)
        ...     await store.save(result)
        ...     return result.output
    """

    def __init__(
        self, manager: SessionManager | BlockingSessionManager | None = None, *, user_id: str | None = None
    ) -> None:
        self._manager = checked_manager(manager)
        self._user_id = None if user_id is None else check_name(user_id, field="user_id")
        self._places: OrderedDict[str, str] = OrderedDict()  # entries that were seen → their session

    def __repr__(self) -> str:
        """Name the user, if there is one."""
        return f"{type(self).__name__}(user_id={self._user_id!r})"

    async def loss_report(self, conversation_id: str) -> LossReport:
        """Return how a conversation reads in this format: what crosses, what is converted, what dropped, and why.

        Raises:
            SessionNotFoundError: There is none, or it is another user's.
        """
        session = await self._session(conversation_id)
        if session is None:
            raise SessionNotFoundError(
                "There is no such conversation. Check the id, and whose conversations this store holds.",
                session_id=conversation_id,
            )
        stored = await session.list_messages(MessageFilter(for_model=True))
        return read_as(_FORMAT, stored, session_id=conversation_id).report

    # The storage primitives

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record of a conversation; None when there is no such session, or it is another user's."""
        session = await self._session(conversation_id)
        return None if session is None or is_blank(session.record) else await self._record(session)

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[ConversationRecord]:
        """Return the records of conversations, most recently saved first."""
        if limit == 0:
            return []
        owner = self._user_id or scope
        found: list[ConversationRecord] = []
        cursor: str | None = None
        while True:
            if owner is None:
                page = await self._manager.search_sessions(limit=limit, cursor=cursor)
            else:
                page = await self._manager.get_user_sessions(owner, limit=limit, cursor=cursor)
            records = [await self._record(session) for session in page if not is_blank(session.record)]
            found += [record for record in records if scope is None or record.scope == scope]
            cursor = page.next_cursor
            if cursor is None or (limit is not None and len(found) >= limit):
                break
        return sorted(found, key=lambda record: record.updated_at, reverse=True)[:limit]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and the entries it adds, in one transaction.

        Raises:
            ConversationConflict: The conversation changed since it was read, or exists already.
            SessionExistsError: It was deleted, and is not purged yet.
        """
        conversation_id = record.conversation_id
        session = await self._session(conversation_id)
        if session is None and expected_revision is None:
            session = await self._created(conversation_id, record.scope)
        if session is None or self._revision(session.record) != expected_revision:
            raise ConversationConflict(conversation_id)
        kept_id = new_entries[0].parent_id if new_entries else record.head_id
        retract, taken_up = await self._turned_to(session, kept_id)
        rows = [row for entry in (*taken_up, *new_entries) for row in rows_of(entry.message, entry_id=entry.id)]

        def saved(before: SessionRecord) -> SessionRecord:
            if self._revision(before) != expected_revision:
                raise ConversationConflict(conversation_id)
            return keeping(before, record, appended=len(rows), retracted=len(retract))

        await session.amend(Amendment(append=tuple(rows), retract=tuple(retract), change=saved))
        self._note(conversation_id, [record.head_id, *record.branches, *(entry.id for entry in new_entries)])

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation's session softly, entries and all.

        Raises:
            ConversationConflict: It changed since it was read.
        """
        session = await self._session(conversation_id)
        if session is None or self._revision(session.record) != expected_revision:
            raise ConversationConflict(conversation_id)
        await session.delete()

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return an entry of a conversation that was read.

        Raises:
            LookupError: No conversation that was read has it.
        """
        return (await self.read_history(entry_id))[-1]

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """Return the entries up to one of a conversation that was read, or only the last of them.

        Raises:
            LookupError: No conversation that was read has it, or its session is gone.
        """
        if head_id is None or limit == 0:
            return []
        session = await self._session(self._places[head_id]) if head_id in self._places else None
        if session is None:
            raise LookupError(f"No conversation that was read has the entry {head_id!r}.")
        found = await self._newest(session, limit)
        if not found or found[-1].id != head_id:
            found = await self._branch(session, head_id)
        self._note(session.session_id, [entry.id for entry in found])
        return found if limit is None else found[-limit:]

    # Sessions

    async def _session(self, conversation_id: str) -> Session | None:
        register()
        try:
            session = await self._manager.get_session(conversation_id)
        except SessionNotFoundError:
            return None
        return session if self._user_id in (None, session.user_id) else None

    async def _created(self, conversation_id: str, scope: str | None) -> Session:
        user_id = self._user_id or scope or DEFAULT_USER
        try:
            return await self._manager.create_session(
                user_id, FRAMEWORK_PROVIDER, _FORMAT.name, session_id=conversation_id
            )
        except SessionExistsError:
            if await self._session(conversation_id) is not None:
                raise ConversationConflict(conversation_id) from None
            raise SessionExistsError(
                "The conversation's id is taken: by another user's session, or by one that was deleted and is not "
                "purged yet. Use another id, or purge what was deleted: manager.cleanup_deleted_sessions(days=0).",
                session_id=conversation_id,
            ) from None

    async def _record(self, session: Session) -> ConversationRecord:
        known = newest_known(session.record)
        if known is None:
            newest = await self._newest(session, 1)
            known = (newest[-1].id if newest else None,)
        record = kept_record(session.record, head_id=known[0])
        self._note(session.session_id, [record.head_id, *record.branches])
        return record

    def _revision(self, session: SessionRecord) -> str | None:
        return None if is_blank(session) else revision_of(session)

    def _note(self, conversation_id: str, entries: Sequence[str | None]) -> None:
        """Remember where entries are: histories are asked for by entry alone."""
        for entry_id in filter(None, entries):
            self._places.pop(entry_id, None)  # it is the newest now
            self._places[entry_id] = conversation_id
        while len(self._places) > _MOST_PLACES:
            self._places.popitem(last=False)

    # Histories

    async def _newest(self, session: Session, limit: int | None) -> list[ConversationEntry]:
        """Return the newest entries of what is visible: all, or `limit` at least; each knows the one before it."""
        stored: list[SessionMessage] = []
        cursor: str | None = None
        size = None if limit is None else max(2 * limit, _SMALLEST_PAGE)
        while True:
            page = await session.list_messages(MessageFilter(for_model=True, limit=size, cursor=cursor))
            stored, cursor = [*page, *stored], page.next_cursor
            entries = _entries(stored)
            if cursor is None:
                return entries
            if limit is not None and len(entries) > limit:
                return entries[1:]  # rows of the first one may be missing

    async def _branch(self, session: Session, head_id: str) -> list[ConversationEntry]:
        """Return the history up to an entry that was left for a branch."""
        stored = await session.list_messages(MessageFilter(with_retracted=True))
        rows = {message.message_id: message for message in stored}
        at = next((message for message in reversed(stored) if entry_id_of(message) == head_id), None)
        line: list[SessionMessage] = []
        while at is not None:
            line.append(at)
            at = rows.get(at.parent_id or "")
        if not line:
            raise LookupError(f"The session {session.session_id!r} has no entry {head_id!r} any more.")
        return _entries([message for message in reversed(line) if message.status not in _NOT_SAID])

    async def _turned_to(self, session: Session, kept_id: str | None) -> tuple[list[str], list[ConversationEntry]]:
        """Return which rows are to be hidden, and which entries said again, so that the history ends with an entry."""
        record = await self._record(session)
        if record.head_id == kept_id:
            return [], []
        stored = await session.list_messages(MessageFilter(for_model=True))
        shown = [entry.id for entry in _entries(stored)]
        wanted: list[ConversationEntry] = []
        if kept_id is not None and kept_id not in shown:
            wanted = await self._history_to(session, kept_id)
        line = [entry.id for entry in wanted] if wanted else shown[: shown.index(kept_id) + 1] if kept_id else []
        shared = next((at for at, (one, other) in enumerate(zip(shown, line, strict=False)) if one != other), None)
        length = min(len(shown), len(line)) if shared is None else shared
        return _from_entry(stored, shown[length:]), wanted[length:]

    async def _history_to(self, session: Session, entry_id: str) -> list[ConversationEntry]:
        try:
            if self._places.get(entry_id) in (None, session.session_id):
                return await self._branch(session, entry_id)
            return await self.read_history(entry_id)
        except LookupError:
            raise ConversationConflict(session.session_id) from None


def _from_entry(stored: Sequence[SessionMessage], left: Sequence[str]) -> list[str]:
    """Return the ids of the rows from the first of some entries on: what stands before it is no branch's."""
    start = next((at for at, message in enumerate(stored) if entry_id_of(message) in left[:1]), len(stored))
    return [message.message_id for message in stored[start:]]


def _entries(stored: Sequence[SessionMessage]) -> list[ConversationEntry]:
    rows = read_as(_FORMAT, stored, session_id="").rows
    found: list[ConversationEntry] = []
    messages: list[tuple[str, ModelMessage]] = whole_messages(rows)
    for entry_id, message in messages:
        before = found[-1].id if found else None
        found.append(ConversationEntry(id=entry_id, parent_id=before, message=message))
    return found
