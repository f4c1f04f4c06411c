"""Append and read messages outside of turns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.ids import now
from langswarm_sessions.messages import MessageKind, SessionMessage, TurnState
from langswarm_sessions.records import Finished, Lease, MessageFilter, Page
from langswarm_sessions.storage.sql.counting import (
    MESSAGE_COUNTERS,
    added_to,
    additions,
    count_messages,
    counter_updates,
)
from langswarm_sessions.storage.sql.cursors import page_size, read_cursor, write_cursor
from langswarm_sessions.storage.sql.history import FOR_MODEL, NOT_RETRACTED
from langswarm_sessions.storage.sql.locate import checked, checked_holder, find_session
from langswarm_sessions.storage.sql.message_rows import MESSAGES_WITH_STATE, insert_messages, message_of, messages_of
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.tables import messages, sessions

__all__ = ["append_messages", "list_messages", "load_message"]


_GROW = Prepared(
    update(sessions)
    .where(sessions.c.session_id == bindparam("of_session"))
    .values(
        last_activity=bindparam("new_last_activity"),
        next_seq=bindparam("new_next_seq"),
        last_message_id=bindparam("new_last_message_id"),
        instructions=bindparam("new_instructions"),
        version=sessions.c.version + 1,
        **counter_updates(MESSAGE_COUNTERS),
    )
)
_VISIBLE = messages.c.seq > (
    select(sessions.c.cleared_seq).where(sessions.c.session_id == messages.c.session_id).scalar_subquery()
)
_LOAD = Prepared(
    MESSAGES_WITH_STATE.where(
        messages.c.message_id == bindparam("of_message"),
        messages.c.session_id == bindparam("of_session"),
        _VISIBLE,
        NOT_RETRACTED,
    )
)


def append_messages(
    connection: Connection,
    session_id: str,
    given: Sequence[SessionMessage],
    held: Lease | None = None,
    after_seq: int | None = None,
) -> Finished:
    """Append messages outside any turn, all or none; under a lease only while it is in force."""
    found = find_session(connection, session_id)
    session = checked(found, session_id) if held is None else checked_holder(found, held)
    before = session.record
    if after_seq is not None and before.next_seq - 1 != after_seq:
        raise TurnConflictError(
            "Something else was appended to this session meanwhile; nothing was stored. Read it again.",
            session_id=session_id,
        )
    if not given:
        return Finished(session=before, answers=())
    stored = insert_messages(
        connection,
        given,
        session_id=session_id,
        first_seq=before.next_seq,
        parent_id=session.last_message_id,
        turn_id=None,
        status=TurnState.COMPLETED,
    )
    told = [message.content for message in stored if message.kind is MessageKind.INSTRUCTIONS]
    instructions = told[-1] if told else before.instructions
    next_seq, amounts, moment = before.next_seq + len(stored), count_messages(stored), max(now(), before.last_activity)
    _GROW.write(
        connection,
        {
            "of_session": session_id,
            "new_last_activity": moment,
            "new_next_seq": next_seq,
            "new_last_message_id": stored[-1].message_id,
            "new_instructions": instructions,
            **additions(amounts, MESSAGE_COUNTERS),
        },
    )
    after = replace(
        before,
        last_activity=moment,
        next_seq=next_seq,
        instructions=instructions,
        version=before.version + 1,
        counters=added_to(before.counters, amounts),
    )
    return Finished(session=after, answers=stored)


def list_messages(connection: Connection, session_id: str, wanted: MessageFilter) -> Page[SessionMessage]:
    """Return a page of the transcript, oldest first; the cursor leads to older messages."""
    limit = page_size(wanted.limit)
    cleared = select(sessions.c.cleared_seq).where(sessions.c.session_id == session_id).scalar_subquery()
    query = MESSAGES_WITH_STATE.where(messages.c.session_id == session_id, messages.c.seq > cleared)
    if wanted.role is not None:
        query = query.where(messages.c.role == wanted.role.value)
    if wanted.start_time is not None:
        query = query.where(messages.c.timestamp >= wanted.start_time)
    if wanted.end_time is not None:
        query = query.where(messages.c.timestamp <= wanted.end_time)
    if not wanted.with_retracted:
        query = query.where(NOT_RETRACTED)
    if wanted.for_model:
        query = query.where(FOR_MODEL)
    if wanted.cursor is not None:
        (before,) = read_cursor(wanted.cursor, int)
        query = query.where(messages.c.seq < before)
    if wanted.before_seq is not None:
        query = query.where(messages.c.seq < wanted.before_seq)
    query = query.order_by(messages.c.seq.desc())
    if limit is not None:
        query = query.limit(limit + 1)
    rows = connection.execute(query).all()
    if limit is None or len(rows) <= limit:
        return Page(messages_of(rows))
    page = messages_of(rows[:limit])
    return Page(page, next_cursor=write_cursor(page[0].seq or 0) if page else None)


def load_message(connection: Connection, session_id: str, message_id: str) -> SessionMessage | None:
    """Return one message of the session, unless it was cleared."""
    row = _LOAD.first(connection, {"of_session": session_id, "of_message": message_id})
    return None if row is None else message_of(row)
