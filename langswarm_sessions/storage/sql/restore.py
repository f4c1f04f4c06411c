"""Take over a conversation that was stored elsewhere, as it was; and let it go."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, Dialect, delete, select, update

from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionRecord, SessionSummary
from langswarm_sessions.storage.sql.conversation_rows import ConversationRows, conversation_rows
from langswarm_sessions.storage.sql.message_rows import insert_rows, taken_among, taken_ids
from langswarm_sessions.storage.sql.session_store import insert_session, load_session, refuse_taken
from langswarm_sessions.storage.sql.summary_store import save_summary
from langswarm_sessions.storage.sql.tables import sessions
from langswarm_sessions.storage.sql.turn_rows import insert_ended_turns

__all__ = ["forget_session", "forget_unused", "insert_conversation", "look_around", "restore_session"]


def restore_session(connection: Connection, record: SessionRecord, messages: Sequence[SessionMessage]) -> None:
    """Store a session with the messages it has had, whose answers tell how their turns ended.

    Args:
        connection: Within the transaction of the unit of work.
        record: The session's row.
        messages: What was said, oldest first.

    Raises:
        SessionExistsError: The id is taken.
    """
    insert_session(connection, record)
    taken = taken_ids(connection, messages)
    _insert(connection, record, conversation_rows(record, messages, dialect=connection.dialect, taken=taken))


def look_around(
    connection: Connection, session_id: str, messages: Sequence[SessionMessage]
) -> tuple[Dialect, set[str]]:
    """Return what the rows of a new session's messages depend on: the dialect, and the ids that are in use.

    Args:
        connection: To the database.
        session_id: The session's id.
        messages: What was said.

    Raises:
        SessionExistsError: The session's id is taken.
    """
    refuse_taken(connection, session_id)
    return connection.dialect, taken_ids(connection, messages)


def insert_conversation(
    connection: Connection,
    record: SessionRecord,
    messages: Sequence[SessionMessage],
    summary: SessionSummary | None,
    rows: ConversationRows,
) -> SessionRecord:
    """Do what `EngineStorage.insert_conversation` says, within the transaction of `connection`.

    Args:
        connection: Within the transaction of the unit of work.
        record: The session's row.
        messages: What was said, oldest first.
        summary: What stands for the oldest of it.
        rows: What `conversation_rows` made of it; made again if an id was taken since.
    """
    insert_session(connection, record)
    if taken_among(connection, rows.message_ids):
        taken = taken_ids(connection, messages)
        rows = conversation_rows(record, messages, dialect=connection.dialect, taken=taken, is_whole=True)
    _insert(connection, record, rows)
    if summary is not None:
        save_summary(connection, record.session_id, summary)
    return load_session(connection, record.session_id) or record


def _insert(connection: Connection, record: SessionRecord, rows: ConversationRows) -> None:
    insert_rows(connection, rows.messages)
    insert_ended_turns(connection, rows.turns)
    connection.execute(update(sessions).where(sessions.c.session_id == record.session_id).values(**rows.session))


def forget_session(connection: Connection, session_id: str) -> None:
    """Drop a session with all that belongs to it."""
    connection.execute(delete(sessions).where(sessions.c.session_id == session_id))


def forget_unused(connection: Connection, session_ids: Sequence[str], may_forget: Callable[[str], bool]) -> None:
    """Drop sessions that no turn holds and nobody else works on.

    Args:
        connection: Within the transaction of the unit of work.
        session_ids: Which.
        may_forget: Asked last of each; once it says yes the session is dropped.
    """
    held = select(sessions.c.session_id).where(
        sessions.c.session_id.in_(session_ids), sessions.c.lease_turn_id.is_not(None)
    )
    busy = set(connection.execute(held).scalars())
    for session_id in session_ids:
        if session_id not in busy and may_forget(session_id):
            forget_session(connection, session_id)
