"""Find the session a unit of work is about, and refuse what may not be worked on."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, func, select

from langswarm_sessions.errors import SessionArchivedError, SessionNotFoundError, TurnConflictError
from langswarm_sessions.records import Lease, SessionStatus
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_rows import STATE_COLUMNS, StoredSession, stored_of
from langswarm_sessions.storage.sql.tables import session_waiters, sessions
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["NOT_IN_LINE", "checked", "checked_holder", "find_session", "find_with_line"]

NOT_IN_LINE = 2**62  # a ticket behind every other

_FIND = Prepared(select_all(*STATE_COLUMNS).where(sessions.c.session_id == bindparam("of_session")).with_for_update())

_FIRST_AHEAD = (
    select(func.min(session_waiters.c.ticket))
    .where(session_waiters.c.session_id == bindparam("of_session"), session_waiters.c.ticket < bindparam("own_ticket"))
    .scalar_subquery()
)
_FIND_WITH_LINE = Prepared(
    select_all(*STATE_COLUMNS, _FIRST_AHEAD)
    .where(sessions.c.session_id == bindparam("of_session"))
    .with_for_update(of=sessions)
)


def find_session(connection: Connection, session_id: str) -> StoredSession | None:
    """Return the session, locked for this transaction where the database locks rows."""
    row = _FIND.first(connection, {"of_session": session_id})
    return None if row is None else stored_of(row)


def find_with_line(connection: Connection, session_id: str, ticket: int) -> tuple[StoredSession | None, bool]:
    """Return the session, and whether there are tickets before `ticket` in its line."""
    row = _FIND_WITH_LINE.first(connection, {"of_session": session_id, "own_ticket": ticket})
    return (None, False) if row is None else (stored_of(row), row[-1] is not None)


def checked(session: StoredSession | None, session_id: str, *, user_id: str | None = None) -> StoredSession:
    """Return a session that may be written.

    Raises:
        SessionNotFoundError: There is none, it is deleted, or it is another user's (which is not said).
        SessionArchivedError: It is archived.
    """
    found = session is not None and session.record.status is not SessionStatus.DELETED
    if session is None or not found or (user_id is not None and session.record.user_id != user_id):
        raise SessionNotFoundError(
            "There is no session with this id. Create it, or check the id.", session_id=session_id
        )
    if session.record.status is SessionStatus.ARCHIVED:
        raise SessionArchivedError("The session is archived. Restore it to go on.", session_id=session_id)
    return session


def checked_holder(session: StoredSession | None, lease: Lease) -> StoredSession:
    """Return a session whose lease is in force.

    Raises:
        SessionNotFoundError: The session was purged.
        TurnConflictError: The lease is another's.
    """
    if session is None:
        raise SessionNotFoundError("The session was purged while its turn ran.", session_id=lease.session_id)
    if (session.turn_id, session.fence) != (lease.turn_id, lease.fence):
        raise TurnConflictError(
            "The turn's lease was taken over by another process or ended before; nothing was stored. Send it again.",
            session_id=lease.session_id,
        )
    return session
