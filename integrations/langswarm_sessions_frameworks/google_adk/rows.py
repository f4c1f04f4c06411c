"""Finding and creating the sessions that ADK knows by app, user and id."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError

from langswarm_sessions.errors import SessionExistsError, SessionNotFoundError
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Amendment, MessageFilter, SessionRecord
from langswarm_sessions.session import Session
from langswarm_sessions_frameworks.google_adk.places import (
    adk_id,
    app_of,
    app_tag,
    id_tag,
    own_context,
    row_ids,
    tags_of,
)
from langswarm_sessions_frameworks.google_adk.states import FRAMEWORK, Change
from langswarm_sessions_frameworks.provider import FRAMEWORK_PROVIDER, register

__all__ = ["Key", "Mark", "create", "find", "is_known_as", "snapshot"]


@dataclass(frozen=True, slots=True)
class Key:
    """What ADK knows a session by."""

    app_name: str
    user_id: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Up to where a copy of a session was read: numbers of messages, which no clock and no upkeep disturbs.

    Args:
        row_id: The session's id here.
        seq: Number of the newest message.
        cleared: Number of the newest message that was cleared.
    """

    row_id: str
    seq: int
    cleared: int

    @classmethod
    def of(cls, record: SessionRecord) -> Mark:
        """Return the mark of a session as it is."""
        return cls(record.session_id, record.next_seq - 1, record.cleared_seq)

    @classmethod
    def read(cls, text: str) -> Mark:
        """Return the mark that `str` wrote."""
        return cls(*json.loads(text))

    def __str__(self) -> str:
        """Return it as ADK's sessions carry it."""
        return json.dumps([self.row_id, self.seq, self.cleared])

    def check(self, record: SessionRecord) -> None:
        """Refuse to go on from a copy of a session that has gone on elsewhere.

        Raises:
            StaleSessionError: Something was appended since.
        """
        if Mark.of(record) != self:
            raise StaleSessionError(
                "The session has gone on since this copy of it was read. Nothing was stored. Read it again with "
                "get_session(...) and run again."
            )

    def change(self, key: Key, state: Mapping[str, Any]) -> Callable[[SessionRecord], SessionRecord]:
        """Return the change of a session's row that goes with an event: checked, claimed for the app, in a new state.

        Args:
            key: What ADK knows the session by.
            state: What of the state changes.
        """

        def changed(record: SessionRecord) -> SessionRecord:
            self.check(record)
            return _claimed(record, key, state)

        return changed


async def find(manager: SessionManager, key: Key) -> Session | None:
    """Return the session ADK knows by a key, also one that another framework began under the same id and user."""
    try:
        session = await manager.get_session(key.session_id)
    except SessionNotFoundError:
        pass
    else:
        if is_known_as(session.record, key):
            return session
    tags = [app_tag(key.app_name), id_tag(key.session_id)]
    return next(iter(await manager.search_sessions(user_id=key.user_id, tags=tags, limit=1)), None)


async def create(manager: SessionManager, key: Key, state: Mapping[str, Any], *, also: Mapping[str, Change]) -> Session:
    """Create a session in a state.

    Args:
        manager: Where sessions live.
        key: What ADK knows the session by.
        state: What it begins with.
        also: Changes of other sessions that go with it.

    Raises:
        AlreadyExistsError: There is one.
    """
    register()
    if await find(manager, key) is None:
        for row_id in row_ids(key.app_name, key.user_id, key.session_id):
            session = await _begun(manager, row_id, key)
            if session is not None:
                await session.amend(Amendment(change=_beginning(key, state), also=also))
                return session
    raise _exists(key)


async def snapshot(
    session: Session, wanted: MessageFilter, *, is_enough: Callable[[Sequence[SessionMessage]], bool] | None = None
) -> tuple[SessionRecord, list[SessionMessage]]:
    """Return a session's row, and of its messages those that were there when it was read.

    Args:
        session: The session.
        wanted: Which messages.
        is_enough: Whether no older ones than these are needed; None: what `wanted` finds is enough.
    """
    while True:
        await session.refresh()
        record = session.record
        page = await session.list_messages(wanted)
        rows = list(page)
        while is_enough is not None and page.next_cursor is not None and not is_enough(rows):
            page = await session.list_messages(replace(wanted, cursor=page.next_cursor))
            rows = [*page, *rows]
        if all((row.seq or 0) < record.next_seq for row in rows):
            return record, rows


async def _begun(manager: SessionManager, row_id: str, key: Key) -> Session | None:
    """Return a session that is new, or this key's own; None when the id is another's, or a deleted session's."""
    try:
        return await manager.create_session(key.user_id, FRAMEWORK_PROVIDER, FRAMEWORK, session_id=row_id)
    except SessionExistsError:
        pass
    try:
        session = await manager.get_session(row_id)
    except SessionNotFoundError:
        return None
    return session if session.user_id == key.user_id and _is_open_to(session.record, key) else None


def _beginning(key: Key, state: Mapping[str, Any]) -> Callable[[SessionRecord], SessionRecord]:
    def begun(record: SessionRecord) -> SessionRecord:
        if not _is_unfinished(record):  # by another caller, who was faster
            raise _exists(key)
        return _claimed(record, key, state)

    return begun


def _claimed(record: SessionRecord, key: Key, state: Mapping[str, Any]) -> SessionRecord:
    context = {**record.context, **state, **own_context(key.app_name, key.session_id)}
    tags = tags_of(key.app_name, record, key.session_id)
    return replace(record, context=context, config=replace(record.config, tags=tags))


def is_known_as(record: SessionRecord, key: Key) -> bool:
    """Whether a session is the one ADK knows by a key."""
    is_theirs = record.user_id == key.user_id and _is_open_to(record, key)
    return is_theirs and adk_id(record) == key.session_id and not _is_unfinished(record)


def _is_open_to(record: SessionRecord, key: Key) -> bool:
    return app_of(record) in (None, key.app_name)


def _is_unfinished(record: SessionRecord) -> bool:
    """Whether somebody began to create a session, and did not come to the end."""
    return record.provider == FRAMEWORK_PROVIDER and record.model == FRAMEWORK and app_of(record) is None


def _exists(key: Key) -> AlreadyExistsError:
    return AlreadyExistsError(f"Session with id {key.session_id} already exists.")
