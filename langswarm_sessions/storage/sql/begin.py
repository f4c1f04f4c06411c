"""Begin a turn: take the lease, store the input, read what the plan needs. One transaction."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection, bindparam, update

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import BeginTurn, Begun, Busy, Lease, Recorded, SessionRecord
from langswarm_sessions.storage.liveness import is_dead
from langswarm_sessions.storage.sql.counting import MESSAGE_COUNTERS, added_to, additions, counter_updates
from langswarm_sessions.storage.sql.history import load_history
from langswarm_sessions.storage.sql.input import StoredInput, ended_turn, store_input
from langswarm_sessions.storage.sql.line import anyone_ahead, leave_line, stay_in_line
from langswarm_sessions.storage.sql.locate import NOT_IN_LINE, checked, checked_holder, find_with_line
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.rerun import recorded_answer
from langswarm_sessions.storage.sql.session_rows import StoredSession, native_to_json
from langswarm_sessions.storage.sql.tables import sessions
from langswarm_sessions.storage.sql.turn_rows import (
    StoredTurn,
    close_turn,
    find_turn,
    find_turn_by_key,
)

__all__ = ["begin_turn"]

_COUNTED = (*MESSAGE_COUNTERS, "turns", "failed_turns")

_TAKE = Prepared(
    update(sessions)
    .where(sessions.c.session_id == bindparam("of_session"))
    .values(
        lease_fence=bindparam("new_fence"),
        lease_turn_id=bindparam("new_turn_id"),
        lease_host=bindparam("new_host"),
        lease_pid=bindparam("new_pid"),
        lease_started=bindparam("new_started"),
        lease_expires_at=bindparam("new_expires_at"),
        last_activity=bindparam("new_last_activity"),
        next_seq=bindparam("new_next_seq"),
        last_message_id=bindparam("new_last_message_id"),
        last_turn_index=bindparam("new_last_turn_index"),
        last_turn_id=bindparam("new_last_turn_id"),
        instructions=bindparam("new_instructions"),
        version=sessions.c.version + 1,
        **counter_updates(_COUNTED),
    )
)
_SUSPECT = Prepared(
    update(sessions).where(sessions.c.session_id == bindparam("of_session")).values(native=bindparam("new_native"))
)
_COUNT_UNPRICED = Prepared(
    update(sessions)
    .where(sessions.c.session_id == bindparam("of_session"))
    .values(unpriced_turns=sessions.c.unpriced_turns + 1)
)


def begin_turn(connection: Connection, begin: BeginTurn) -> Begun | Recorded | Busy:
    """Do what `EngineStorage.begin_turn` says, within the transaction of `connection`."""
    ticket = NOT_IN_LINE if begin.ticket is None else begin.ticket
    found, line = find_with_line(connection, begin.session_id, ticket)
    session = checked(found, begin.session_id, user_id=begin.user_id)
    earlier = _earlier_attempt(connection, begin, session)
    if earlier is not None and earlier.record.state is TurnState.COMPLETED:
        _leave(connection, begin)
        answer = recorded_answer(connection, earlier)
        return Recorded(session=session.record, turn=earlier.record, answer=answer)
    if begin.held is not None:
        return _follow(connection, begin, session=checked_holder(session, begin.held), earlier=earlier)
    held = session.holder is not None
    if held and not _may_be_taken(session, begin):
        return _wait(connection, begin, session)
    if line and anyone_ahead(connection, begin.session_id, ticket=ticket, now=begin.now):
        return _wait(connection, begin, session)
    _leave(connection, begin)
    before = _take_over(connection, session, begin) if held else session.record
    if held and earlier is not None and earlier.record.turn_id == session.turn_id:  # counted there
        earlier = replace(earlier, record=replace(earlier.record, is_unpriced=True))
    if begin.resumes is not None:
        stored = ended_turn(find_turn(connection, begin.session_id, begin.resumes), session)
    else:
        before = _known_before(earlier, before)
        stored = store_input(connection, begin, session, earlier)
    return _take(connection, begin, session=session, before=before, stored=stored)


def _follow(connection: Connection, begin: BeginTurn, *, session: StoredSession, earlier: StoredTurn | None) -> Begun:
    """Begin the turn of a caller that kept the lease of its turn before."""
    before = _known_before(earlier, session.record)
    stored = store_input(connection, begin, session, earlier)
    return replace(_take(connection, begin, session=session, before=before, stored=stored), took_over=False)


def _known_before(earlier: StoredTurn | None, session: SessionRecord) -> SessionRecord:
    """Return the session without the native state that holds the input of a turn which is run again."""
    return replace(session, native=None) if _is_known_to_provider(earlier, session) else session


def _is_known_to_provider(earlier: StoredTurn | None, session: SessionRecord) -> bool:
    """Whether the provider was given the input of an interrupted turn, which is run again, with a later turn."""
    if earlier is None or earlier.record.state is not TurnState.INTERRUPTED or session.native is None:
        return False
    return earlier.first_seq <= session.native.cursor


def _earlier_attempt(connection: Connection, begin: BeginTurn, session: StoredSession) -> StoredTurn | None:
    """Return the turn this call asks for again, if it does."""
    if begin.resume_failed and session.last_turn_id is not None:
        newest = find_turn(connection, begin.session_id, session.last_turn_id)
        failed = newest is not None and newest.record.state is TurnState.FAILED
        if newest is not None and failed and newest.record.input_digest == begin.input_digest:
            return newest
    if begin.idempotency_key is None:
        return None
    earlier = find_turn_by_key(connection, begin.session_id, begin.idempotency_key)
    if earlier is not None and earlier.record.input_digest != begin.input_digest:
        raise TurnConflictError(
            "This idempotency_key was used for another input of the session. Use a new key for a new input.",
            session_id=begin.session_id,
        )
    return earlier


def _may_be_taken(session: StoredSession, begin: BeginTurn) -> bool:
    expired = session.expires_at is not None and session.expires_at <= begin.now
    return expired or (session.holder is not None and is_dead(session.holder))


def _wait(connection: Connection, begin: BeginTurn, session: StoredSession) -> Busy:
    ticket = stay_in_line(connection, begin)
    return Busy(ticket=ticket, holder=session.holder, expires_at=session.expires_at)


def _leave(connection: Connection, begin: BeginTurn) -> None:
    if begin.ticket is not None:
        leave_line(connection, begin.session_id, begin.ticket)


def _take_over(connection: Connection, session: StoredSession, begin: BeginTurn) -> SessionRecord:
    """End the turn of a holder that died or fell silent; what it told the provider, and what that cost, is unknown."""
    record = session.record
    if session.turn_id is not None:
        turn = find_turn(connection, begin.session_id, session.turn_id)
        closed = close_turn(connection, begin.session_id, session.turn_id, begin.now, may_be_billed=True)
        if closed and turn is not None and not turn.record.is_unpriced:
            _COUNT_UNPRICED.write(connection, {"of_session": begin.session_id})
            record = replace(record, counters=added_to(record.counters, {"unpriced_turns": 1}))
    if record.native is None:
        return record
    suspect = replace(record.native, suspect=True)
    _SUSPECT.write(connection, {"of_session": begin.session_id, "new_native": native_to_json(suspect)})
    return replace(record, native=suspect)


def _take(
    connection: Connection,
    begin: BeginTurn,
    *,
    session: StoredSession,
    before: SessionRecord,
    stored: StoredInput,
) -> Begun:
    after = _update_session(connection, begin, session, before=before, stored=stored)
    query = begin.needs(before)
    history = (
        ()
        if query is None
        else load_history(
            connection,
            before,
            query,
            before=before.next_seq,
            own_turn=stored.turn.turn_id,
        )
    )
    return Begun(
        session=after,
        turn=stored.turn,
        lease=Lease(session_id=begin.session_id, turn_id=stored.turn.turn_id, fence=session.fence + 1),
        inputs=stored.inputs,
        history=history,
        took_over=session.holder is not None,
    )


def _update_session(
    connection: Connection, begin: BeginTurn, session: StoredSession, *, before: SessionRecord, stored: StoredInput
) -> SessionRecord:
    _TAKE.write(
        connection,
        {
            "of_session": begin.session_id,
            "new_fence": session.fence + 1,
            "new_turn_id": stored.turn.turn_id,
            "new_host": begin.owner.host,
            "new_pid": begin.owner.pid,
            "new_started": begin.owner.started,
            "new_expires_at": begin.now + timedelta(seconds=begin.lease_seconds),
            "new_last_activity": begin.now,
            "new_next_seq": stored.end.next_seq,
            "new_last_message_id": stored.end.last_message_id,
            "new_last_turn_index": stored.turn_index,
            "new_last_turn_id": stored.turn.turn_id,
            "new_instructions": stored.end.instructions,
            **additions(stored.amounts, _COUNTED),
        },
    )
    return replace(
        before,
        last_activity=begin.now,
        next_seq=stored.end.next_seq,
        instructions=stored.end.instructions,
        version=before.version + 1,
        counters=added_to(before.counters, stored.amounts),
    )
