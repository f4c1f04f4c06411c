"""Take over a conversation that was stored elsewhere, as it was."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from sqlalchemy import Connection, delete, update

from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import SessionRecord, TurnRecord
from langswarm_sessions.storage.sql.counting import count_messages
from langswarm_sessions.storage.sql.message_rows import insert_messages
from langswarm_sessions.storage.sql.session_store import insert_session
from langswarm_sessions.storage.sql.tables import sessions
from langswarm_sessions.storage.sql.turn_rows import insert_turn

__all__ = ["forget_session", "restore_session"]


def restore_session(connection: Connection, record: SessionRecord, messages: Sequence[SessionMessage]) -> None:
    """Store a session with the messages it has had, oldest first; a turn without an answer was interrupted."""
    insert_session(connection, record)
    seq, last_id, turns = 1, None, 0
    for turn_id, group in groupby(messages, key=lambda message: message.turn_id):
        entries = list(group)
        state = _state_of(entries) if turn_id else TurnState.COMPLETED
        stored = insert_messages(
            connection,
            entries,
            session_id=record.session_id,
            first_seq=seq,
            parent_id=last_id,
            turn_id=turn_id,
            status=state,
        )
        if turn_id:
            turns += 1
            _store_turn(connection, record, turn_id, entries=stored, state=state, index=turns)
        seq, last_id = seq + len(stored), stored[-1].message_id
    instructions = [message.content for message in messages if message.kind is MessageKind.INSTRUCTIONS]
    connection.execute(
        update(sessions)
        .where(sessions.c.session_id == record.session_id)
        .values(
            next_seq=seq,
            last_message_id=last_id,
            last_turn_index=turns,
            turns=turns,
            instructions=instructions[-1] if instructions else None,
            **count_messages(messages),
        )
    )


def forget_session(connection: Connection, session_id: str) -> None:
    """Drop a session with all that belongs to it."""
    connection.execute(delete(sessions).where(sessions.c.session_id == session_id))


def _state_of(entries: Sequence[SessionMessage]) -> TurnState:
    answers = [message.status for message in entries if message.role is Role.ASSISTANT]
    known = [status for status in answers if status is not TurnState.PENDING]
    return known[-1] if known else TurnState.INTERRUPTED


def _store_turn(
    connection: Connection,
    record: SessionRecord,
    turn_id: str,
    *,
    entries: Sequence[SessionMessage],
    state: TurnState,
    index: int,
) -> None:
    first = entries[0].seq or 1
    turn = TurnRecord(
        turn_id=turn_id, session_id=record.session_id, index=index, state=state, started_at=entries[0].timestamp
    )
    insert_turn(connection, turn, first_seq=first, last_seq=first + len(entries) - 1)
