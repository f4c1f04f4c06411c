"""Create, load, change and list sessions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.exc import IntegrityError

from langswarm_sessions.errors import InvalidInputError, SessionExistsError
from langswarm_sessions.records import THREAD_TURNS, Page, SessionFilter, SessionRecord, SessionStatus
from langswarm_sessions.storage.sql.casefold import holds_text
from langswarm_sessions.storage.sql.checkpoints.threads import delete_threads
from langswarm_sessions.storage.sql.cursors import page_size, read_cursor, write_cursor
from langswarm_sessions.storage.sql.locate import find_session
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_rows import RECORD_COLUMNS, record_of, values_of
from langswarm_sessions.storage.sql.tables import session_tags, sessions
from langswarm_sessions.storage.sql.types import from_microseconds, select_all, to_microseconds

__all__ = [
    "change_session",
    "change_status",
    "insert_session",
    "list_sessions",
    "load_session",
    "purge_batch",
    "refuse_taken",
]

_INSERT = insert(sessions)
_LOAD = Prepared(select_all(*RECORD_COLUMNS).where(sessions.c.session_id == bindparam("of_session")))
_INSERT_TAGS = insert(session_tags)
_DELETE_TAGS = delete(session_tags).where(session_tags.c.session_id == bindparam("of_session"))
_UNCHANGEABLE = frozenset({"session_id", "user_id", "created_at", "next_seq"})
_NOT_DELETED = (SessionStatus.ACTIVE, SessionStatus.ARCHIVED)
_PURGE_MESSAGES = 5_000  # about as many messages as one transaction destroys, so that others get their turn between


def insert_session(connection: Connection, record: SessionRecord) -> None:
    """Store a new session.

    Raises:
        SessionExistsError: The id is taken.
    """
    try:
        connection.execute(_INSERT, {**values_of(record), "version": record.version})
    except IntegrityError as error:
        raise _taken(record.session_id) from error
    _store_tags(connection, record)


def refuse_taken(connection: Connection, session_id: str) -> None:
    """Refuse the id of a session that is there.

    Raises:
        SessionExistsError: It is taken.
    """
    if _LOAD.first(connection, {"of_session": session_id}) is not None:
        raise _taken(session_id)


def _taken(session_id: str) -> SessionExistsError:
    return SessionExistsError(
        "A session with this id exists already (it may be archived or deleted). Use get_session, restore_session where "
        "it was deleted, or another id.",
        session_id=session_id,
    )


def load_session(connection: Connection, session_id: str) -> SessionRecord | None:
    """Return the session's row, of whatever status."""
    row = _LOAD.first(connection, {"of_session": session_id})
    return None if row is None else record_of(row)


def change_session(
    connection: Connection, session_id: str, change: Callable[[SessionRecord], SessionRecord]
) -> SessionRecord | None:
    """Apply a pure change to the session's row; what may not be changed keeps its value."""
    found = find_session(connection, session_id)
    if found is None:
        return None
    before = found.record
    after = change(before)
    old, new = values_of(before), values_of(after)
    changed = {name: value for name, value in new.items() if name not in _UNCHANGEABLE and value != old[name]}
    if not changed:
        return before
    connection.execute(
        update(sessions).where(sessions.c.session_id == session_id).values(**changed, version=sessions.c.version + 1)
    )
    if after.config.tags != before.config.tags:
        connection.execute(_DELETE_TAGS, {"of_session": session_id})
        _store_tags(connection, after)
    return load_session(connection, session_id)


def list_sessions(connection: Connection, wanted: SessionFilter) -> Page[SessionRecord]:
    """Return a page of sessions, newest activity first."""
    limit = page_size(wanted.limit)
    query = _newest_first(select_all(*RECORD_COLUMNS), wanted)
    if limit is not None:
        query = query.limit(limit + 1)
    records = [record_of(row) for row in connection.execute(query)]
    if limit is None or len(records) <= limit:
        return Page(records)
    records = records[:limit]
    if not records:
        return Page(records)
    last = records[-1]
    return Page(records, next_cursor=write_cursor(to_microseconds(last.last_activity), last.session_id))


def change_status(connection: Connection, wanted: SessionFilter, status: SessionStatus, now: datetime) -> list[str]:
    """Give every session that `wanted` matches a new status; return their ids."""
    times: dict[SessionStatus, dict[str, datetime | None]] = {
        SessionStatus.ACTIVE: {"archived_at": None, "deleted_at": None},
        SessionStatus.ARCHIVED: {"archived_at": now, "deleted_at": None},
        SessionStatus.DELETED: {"deleted_at": now},
    }
    query: Select[Any] = _newest_first(select(sessions.c.session_id), wanted)
    if wanted.limit is not None:
        query = query.limit(page_size(wanted.limit))
    change = (
        update(sessions)
        .where(sessions.c.session_id.in_(query.scalar_subquery()), sessions.c.status != status.value)
        .values(status=status.value, version=sessions.c.version + 1, **times[status])
        .returning(sessions.c.session_id)
    )
    return list(connection.execute(change).scalars())


def purge_batch(connection: Connection, deleted_before: datetime) -> list[str]:
    """Destroy some of the sessions deleted before a time, with all that belongs to them; none left when it is empty."""
    due = (
        select(sessions.c.session_id, sessions.c.user_id, sessions.c.next_seq)
        .where(
            sessions.c.deleted_at.is_not(None),
            sessions.c.deleted_at < deleted_before,
            sessions.c.status == SessionStatus.DELETED.value,
        )
        .order_by(sessions.c.deleted_at)
        .limit(200)
    )
    chosen: dict[str, str] = {}
    size = 0
    for session_id, user_id, next_seq in connection.execute(due).all():
        chosen[session_id] = user_id
        size += next_seq
        if size >= _PURGE_MESSAGES:
            break
    if chosen:
        connection.execute(delete(sessions).where(sessions.c.session_id.in_(chosen)))
        delete_threads(connection, [(user_id, session_id) for session_id, user_id in chosen.items()])
    return list(chosen)


def _store_tags(connection: Connection, record: SessionRecord) -> None:
    if record.config.tags:
        rows = [{"session_id": record.session_id, "tag": tag} for tag in record.config.tags]
        connection.execute(_INSERT_TAGS, rows)


def _newest_first(query: Select[Any], wanted: SessionFilter) -> Select[Any]:
    order = (sessions.c.last_activity, sessions.c.session_id)
    if wanted.cursor is not None:
        microseconds, session_id = read_cursor(wanted.cursor, int, str)
        query = query.where(tuple_(*order) < (_moment_of(microseconds), session_id))
    return query.where(*_conditions(wanted)).order_by(*(column.desc() for column in order))


def _moment_of(microseconds: int) -> datetime:
    try:
        return from_microseconds(microseconds)
    except OverflowError:
        raise InvalidInputError("cursor: not a cursor of this listing. Pass the next_cursor of a page.") from None


def _conditions(wanted: SessionFilter) -> list[ColumnElement[bool]]:
    statuses = [status.value for status in wanted.statuses or _NOT_DELETED]
    found: list[ColumnElement[bool]] = [sessions.c.status.in_(statuses), sessions.c.user_id != THREAD_TURNS]
    if wanted.user_id is not None:
        found.append(sessions.c.user_id == wanted.user_id)
    if wanted.provider is not None:
        found.append(sessions.c.provider == wanted.provider)
    if wanted.since is not None:
        found.append(sessions.c.last_activity >= wanted.since)
    if wanted.inactive_since is not None:
        found.append(sessions.c.last_activity < wanted.inactive_since)
    if wanted.archived_before is not None:
        found.append(sessions.c.archived_at < wanted.archived_before)
    if wanted.more_messages_than is not None:
        found.append(sessions.c.messages > wanted.more_messages_than)
    if wanted.text:
        found.append(holds_text(sessions.c.name, wanted.text) | holds_text(sessions.c.description, wanted.text))
    for tag in dict.fromkeys(wanted.tags):
        tagged = select(session_tags.c.session_id).where(session_tags.c.tag == tag)
        found.append(sessions.c.session_id.in_(tagged))
    return found
