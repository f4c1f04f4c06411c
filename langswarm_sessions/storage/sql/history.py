"""The part of a transcript a model may be given, newest first until a bound is met."""

from __future__ import annotations

from contextlib import closing

from sqlalchemy import ColumnElement, Connection, and_, bindparam, literal_column, or_

from langswarm_sessions.messages import SessionMessage, TurnState
from langswarm_sessions.records import HistoryQuery, SessionRecord
from langswarm_sessions.storage.sql.message_rows import MESSAGES_WITH_STATE, message_of
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.tables import messages, turns

__all__ = ["FOR_MODEL", "NOT_RETRACTED", "load_history"]

# Written out, so that it is part of every prepared statement.
NOT_RETRACTED: ColumnElement[bool] = messages.c.kind != literal_column("'retracted'")

_NO_TURN = ""
_EVERYTHING = 2**31 - 1
_END = 2**62

# Inputs of failed turns were never answered, those of pending ones belong to a turn that is still running.
FOR_MODEL: ColumnElement[bool] = or_(
    turns.c.state.is_(None),
    turns.c.state == TurnState.COMPLETED.value,
    turns.c.state == TurnState.INTERRUPTED.value,
)

_WITHIN = (
    messages.c.session_id == bindparam("of_session"),
    messages.c.seq > bindparam("after"),
    messages.c.seq < bindparam("before"),
    NOT_RETRACTED,
    or_(
        messages.c.turn_id.is_(None),
        and_(messages.c.turn_id != bindparam("not_turn"), messages.c.turn_id != bindparam("nor_turn")),
    ),
    FOR_MODEL,
)
_SAID = Prepared(
    MESSAGES_WITH_STATE.where(messages.c.role != literal_column("'system'"), *_WITHIN)
    .order_by(messages.c.seq.desc())
    .limit(bindparam("at_most"))
)

# Instructions travel by themselves: those in force, and none of those before them. Both conditions are written out, so
# that the database sees that its index of system messages answers this.
_SYSTEM = Prepared(
    MESSAGES_WITH_STATE.where(
        messages.c.role == literal_column("'system'"), messages.c.kind != literal_column("'instructions'"), *_WITHIN
    ).order_by(messages.c.seq.desc())
)


def load_history(
    connection: Connection,
    session: SessionRecord,
    query: HistoryQuery,
    *,
    before: int | None = None,
    own_turn: str | None = None,
) -> tuple[SessionMessage, ...]:
    """Return the newest messages within the bounds of `query`, oldest first.

    What is read is bounded by the query, whatever the length of the transcript.

    Args:
        connection: Within a transaction.
        session: Whose transcript.
        query: The bounds.
        before: Only messages with a lower `seq` (None: all).
        own_turn: A running turn whose messages are left out as well.
    """
    within: dict[str, int | str] = {
        "of_session": session.session_id,
        "after": max(query.after_seq, session.cleared_seq),
        "before": _END if before is None else before,
        "not_turn": query.not_turn or _NO_TURN,
        "nor_turn": own_turn or _NO_TURN,
    }
    found, stopped = _read_said(connection, within, query, session.next_seq)
    if session.counters.system_messages:
        if stopped and not query.with_system:
            within["after"] = (found[-1].seq or 0) if found else _END
        found.extend(map(message_of, _SYSTEM.all(connection, within)))
        found.sort(key=lambda message: message.seq or 0)
    else:
        found.reverse()
    return tuple(found)


def _read_said(
    connection: Connection, within: dict[str, int | str], query: HistoryQuery, next_seq: int
) -> tuple[list[SessionMessage], bool]:
    """Return the newest that was said, and whether a bound was met; rows beyond it are not fetched."""
    wanted = _EVERYTHING if query.max_messages is None else query.max_messages
    budget = _EVERYTHING if query.max_tokens is None else query.max_tokens
    kept_from = _END if query.down_to is None else query.down_to
    found: list[SessionMessage] = []
    if (wanted <= 0 or budget <= 0) and query.down_to is None:
        return found, True
    at_most = wanted if query.down_to is None else max(wanted, next_seq - query.down_to)
    with closing(_SAID.each(connection, {**within, "at_most": at_most})) as rows:
        for row in rows:
            found.append(message_of(row))
            budget -= found[-1].tokens or 0
            if (budget <= 0 or len(found) >= wanted) and (found[-1].seq or 0) <= kept_from:
                return found, True
    return found, len(found) >= wanted
