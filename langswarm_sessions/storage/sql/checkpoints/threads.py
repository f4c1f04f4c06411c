"""Threads: the row that names a user's thread, and its end."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, Table, bindparam, delete, insert, literal, select, tuple_, update

from langswarm_sessions.errors import SessionExistsError, SessionNotFoundError
from langswarm_sessions.ids import now
from langswarm_sessions.storage.sql.checkpoints.tables import (
    checkpoint_heads,
    checkpoint_threads,
    checkpoint_values,
    checkpoint_writes,
    checkpoints,
)
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.tables import session_waiters, sessions

__all__ = [
    "copy_thread",
    "delete_inactive_batch",
    "delete_thread",
    "delete_threads",
    "find_thread",
    "forget_turn",
    "open_thread",
]

_IS_NAMED = (
    checkpoint_threads.c.user_id == bindparam("of_user"),
    checkpoint_threads.c.thread_id == bindparam("of_thread"),
)
_FIND = Prepared(select(checkpoint_threads.c.thread_key).where(*_IS_NAMED))
_TOUCH = Prepared(
    update(checkpoint_threads)
    .where(checkpoint_threads.c.thread_key == bindparam("of_key"))
    .values(last_activity=bindparam("new_last_activity"))
)
_DELETE = Prepared(delete(checkpoint_threads).where(*_IS_NAMED))
_FORGET = Prepared(
    delete(sessions).where(
        sessions.c.session_id == bindparam("of_session"),
        sessions.c.lease_turn_id.is_(None),
        ~select(session_waiters.c.ticket).where(session_waiters.c.session_id == bindparam("of_session")).exists(),
    )
)
_BATCH = 100  # threads that one transaction destroys, so that others get their turn between
_ROWS: tuple[Table, ...] = (checkpoint_heads, checkpoints, checkpoint_values, checkpoint_writes)


def find_thread(connection: Connection, user_id: str, thread_id: str) -> int | None:
    """Return the key of a user's thread, or None."""
    row = _FIND.first(connection, {"of_user": user_id, "of_thread": thread_id})
    return None if row is None else int(row[0])


def open_thread(connection: Connection, user_id: str, thread_id: str, moment: datetime) -> int:
    """Return the key of a user's thread, which is made if need be, and note that something happens in it."""
    key = find_thread(connection, user_id, thread_id)
    if key is not None:
        _TOUCH.write(connection, {"of_key": key, "new_last_activity": moment})
        return key
    made = connection.execute(
        insert(checkpoint_threads),
        {"user_id": user_id, "thread_id": thread_id, "created_at": moment, "last_activity": moment},
    ).inserted_primary_key
    if made is None:
        raise AssertionError("an insert of one row tells its key")
    return int(made[0])


def delete_thread(connection: Connection, user_id: str, thread_id: str) -> None:
    """Remove a thread with all that hangs on it."""
    _DELETE.write(connection, {"of_user": user_id, "of_thread": thread_id})


def delete_threads(connection: Connection, named: Collection[tuple[str, str]]) -> None:
    """Remove the threads with these users and ids, those that there are."""
    names = tuple_(checkpoint_threads.c.user_id, checkpoint_threads.c.thread_id)
    connection.execute(delete(checkpoint_threads).where(names.in_(named)))


def delete_inactive_batch(connection: Connection, user_id: str | None, inactive_since: datetime) -> int:
    """Remove some of the threads (of everybody when `user_id` is None) in which nothing has happened since a time.

    Returns:
        How many; 0 when none is left.
    """
    due = select(checkpoint_threads.c.thread_key).where(checkpoint_threads.c.last_activity < inactive_since)
    if user_id is not None:
        due = due.where(checkpoint_threads.c.user_id == user_id)
    keys = connection.execute(due.limit(_BATCH)).scalars().all()
    if keys:
        connection.execute(delete(checkpoint_threads).where(checkpoint_threads.c.thread_key.in_(keys)))
    return len(keys)


def copy_thread(connection: Connection, user_id: str, source: str, target: str) -> None:
    """Copy a thread's rows.

    Raises:
        SessionNotFoundError: There is no such thread.
        SessionExistsError: The target is there already.
    """
    found = find_thread(connection, user_id, source)
    if found is None:
        raise SessionNotFoundError("There is no thread with this id to copy. Check the id.", session_id=source)
    if find_thread(connection, user_id, target) is not None:
        raise SessionExistsError("The thread to copy to exists. Delete it first, or name another.", session_id=target)
    key = open_thread(connection, user_id, target, now())
    for table in _ROWS:
        rest = [column for column in table.c if column.name != "thread_key"]
        rows = select(literal(key), *rest).where(table.c.thread_key == found)
        connection.execute(insert(table).from_select([table.c.thread_key, *rest], rows))


def forget_turn(connection: Connection, session_id: str) -> None:
    """Remove a session that only was there to be waited for, unless it is held or waited for."""
    _FORGET.write(connection, {"of_session": session_id})
