"""Summaries, beside the transcripts they stand for."""

from __future__ import annotations

from sqlalchemy import Connection, bindparam, insert, select

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.records import SessionSummary
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_store import load_session
from langswarm_sessions.storage.sql.tables import sessions, summaries
from langswarm_sessions.storage.sql.types import select_all

__all__ = ["load_summary", "save_summary"]

_COLUMNS = (
    summaries.c.up_to_seq,
    summaries.c.text,
    summaries.c.tokens,
    summaries.c.created_at,
    summaries.c.provider,
    summaries.c.model,
)
# A summary of what was cleared is no longer one of the conversation.
_NEWEST = Prepared(
    select_all(*_COLUMNS)
    .select_from(summaries.join(sessions, sessions.c.session_id == summaries.c.session_id))
    .where(summaries.c.session_id == bindparam("of_session"), summaries.c.up_to_seq > sessions.c.cleared_seq)
    .order_by(summaries.c.up_to_seq.desc())
    .limit(1)
)
_SAME = select(summaries.c.up_to_seq).where(
    summaries.c.session_id == bindparam("of_session"), summaries.c.up_to_seq == bindparam("of_seq")
)
_INSERT = insert(summaries)


def load_summary(connection: Connection, session_id: str) -> SessionSummary | None:
    """Return the newest summary of what a session shows of its transcript."""
    row = _NEWEST.first(connection, {"of_session": session_id})
    if row is None:
        return None
    up_to_seq, text, tokens, created_at, provider, model = row
    return SessionSummary(
        up_to_seq=up_to_seq, text=text, tokens=tokens, created_at=created_at, provider=provider, model=model
    )


def save_summary(connection: Connection, session_id: str, summary: SessionSummary) -> None:
    """Store a summary, unless there is one up to the same message.

    Raises:
        SessionNotFoundError: No such session.
    """
    if load_session(connection, session_id) is None:
        raise SessionNotFoundError("The session was purged while its turn ran.", session_id=session_id)
    if connection.execute(_SAME, {"of_session": session_id, "of_seq": summary.up_to_seq}).first() is not None:
        return
    connection.execute(
        _INSERT,
        {
            "session_id": session_id,
            "up_to_seq": summary.up_to_seq,
            "text": summary.text,
            "tokens": summary.tokens,
            "provider": summary.provider,
            "model": summary.model,
            "created_at": summary.created_at,
        },
    )
