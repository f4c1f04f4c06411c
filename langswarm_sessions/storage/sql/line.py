"""The line of those who wait for a session: tickets in order, each with a sign of life."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from langswarm_sessions.records import BeginTurn, LeaseOwner
from langswarm_sessions.storage.liveness import is_dead
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.tables import session_waiters

__all__ = ["WAITER_LIFE", "anyone_ahead", "drop_ticket", "leave_line", "stay_in_line"]

WAITER_LIFE = timedelta(seconds=5)  # a waiter that has not come again for so long has given up

_AHEAD = Prepared(
    select(
        session_waiters.c.ticket,
        session_waiters.c.host,
        session_waiters.c.pid,
        session_waiters.c.started,
        session_waiters.c.expires_at,
    )
    .where(session_waiters.c.session_id == bindparam("of_session"), session_waiters.c.ticket < bindparam("own_ticket"))
    .order_by(session_waiters.c.ticket)
)
_REFRESH = Prepared(
    update(session_waiters)
    .where(session_waiters.c.ticket == bindparam("own_ticket"), session_waiters.c.session_id == bindparam("of_session"))
    .values(expires_at=bindparam("new_expires_at"))
)
_JOIN = insert(session_waiters)
_DROP = Prepared(delete(session_waiters).where(session_waiters.c.ticket == bindparam("own_ticket")))
_LEAVE = Prepared(
    delete(session_waiters).where(
        session_waiters.c.ticket == bindparam("own_ticket"), session_waiters.c.session_id == bindparam("of_session")
    )
)


def anyone_ahead(connection: Connection, session_id: str, *, ticket: int, now: datetime) -> bool:
    """Return whether a living waiter has an earlier ticket; waiters that died or gave up are removed on the way."""
    waiters = _AHEAD.all(connection, {"of_session": session_id, "own_ticket": ticket})
    for place, host, pid, started, expires_at in waiters:
        owner = LeaseOwner(host=host, pid=pid, started=started)
        if expires_at > now and not is_dead(owner):
            return True
        leave_line(connection, session_id, place)
    return False


def stay_in_line(connection: Connection, begin: BeginTurn) -> int:
    """Keep the caller's place in line, or give it one at the end; return its ticket."""
    expires_at = begin.now + WAITER_LIFE
    if begin.ticket is not None:
        place = {"own_ticket": begin.ticket, "of_session": begin.session_id, "new_expires_at": expires_at}
        if _REFRESH.write(connection, place):
            return begin.ticket
    waiter = {
        "session_id": begin.session_id,
        "host": begin.owner.host,
        "pid": begin.owner.pid,
        "started": begin.owner.started,
        "expires_at": expires_at,
    }
    joined = connection.execute(_JOIN, waiter).inserted_primary_key
    if joined is None:
        raise AssertionError("an insert of one row tells its key")
    return int(joined[0])


def leave_line(connection: Connection, session_id: str, ticket: int) -> None:
    """Give up a place in line."""
    _LEAVE.write(connection, {"own_ticket": ticket, "of_session": session_id})


def drop_ticket(connection: Connection, ticket: int) -> None:
    """Give up a place in whatever line."""
    _DROP.write(connection, {"own_ticket": ticket})
