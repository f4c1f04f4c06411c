"""What pydantic-ai keeps of a conversation beside its messages, in the session's context. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_ai.conversation_store import ConversationRecord
from pydantic_ai.usage import RunUsage

from langswarm_sessions.records import SessionRecord

__all__ = ["CONTEXT_KEY", "is_blank", "keeping", "kept_record", "newest_known", "revision_of"]

CONTEXT_KEY = "langswarm_sessions:pydantic_ai"
"""Where the session's context holds it."""

_RECORDS = TypeAdapter(ConversationRecord)


def is_blank(session: SessionRecord) -> bool:
    """Whether nothing was ever said in a session, nor saved in it: to pydantic-ai it is not stored yet."""
    return session.next_seq == 1 and CONTEXT_KEY not in session.context


def kept_record(session: SessionRecord, *, head_id: str | None) -> ConversationRecord:
    """Return the record of a session.

    Args:
        session: The session's row.
        head_id: The entry of its newest message.
    """
    state, is_current = _state(session), newest_known(session) is not None
    try:
        kept = _RECORDS.validate_python(state.get("record") or {"conversation_id": session.session_id, "head_id": None})
    except ValidationError:  # written by another version of pydantic-ai
        kept = ConversationRecord(conversation_id=session.session_id, head_id=None)
    return replace(
        kept,
        conversation_id=session.session_id,
        head_id=head_id,
        usage=kept.usage if state else _counted(session),
        deferred_tool_requests=kept.deferred_tool_requests if is_current else None,
        scope=kept.scope if state else session.user_id,
        revision=revision_of(session),
        updated_at=kept.updated_at if is_current else session.last_activity,
    )


def newest_known(session: SessionRecord) -> tuple[str | None] | None:
    """Return the newest entry as the last save left it (None: there is none); None when more was said since."""
    state = _state(session)
    return (state["record"]["head_id"],) if state and state.get("mark") == _mark(session) else None


def revision_of(session: SessionRecord) -> str:
    """Return a token that changes with whatever is said, cleared or taken back in a session, by whomever."""
    state = _state(session)
    if newest_known(session) is not None:
        return str(state["record"]["revision"])
    return ".".join(map(str, (session.session_id, int(session.created_at.timestamp() * 1e6), *_mark(session))))


def keeping(session: SessionRecord, record: ConversationRecord, *, appended: int, retracted: int) -> SessionRecord:
    """Return a session's row with a record saved in it.

    Args:
        session: The row before.
        record: What is saved.
        appended: How many rows are appended along with it.
        retracted: How many are taken back.
    """
    seq, cleared, shown = _mark(session)
    state = {
        "record": _RECORDS.dump_python(record, mode="json"),
        "mark": [seq + appended, cleared, shown + appended - retracted],
    }
    moment = max(session.last_activity, record.updated_at)
    return replace(session, context={**session.context, CONTEXT_KEY: state}, last_activity=moment)


def _state(session: SessionRecord) -> Mapping[str, Any]:
    state = session.context.get(CONTEXT_KEY)
    return cast("Mapping[str, Any]", state) if isinstance(state, Mapping) else {}


def _mark(session: SessionRecord) -> list[int]:
    return [session.next_seq, session.cleared_seq, session.counters.messages]


def _counted(session: SessionRecord) -> RunUsage:
    counters = session.counters
    return RunUsage(input_tokens=counters.input_tokens, output_tokens=counters.output_tokens)
