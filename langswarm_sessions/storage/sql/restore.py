"""Take over a conversation that was stored elsewhere, as it was; and let it go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Connection, bindparam, delete, select, update

from langswarm_sessions.config import LARGEST_COUNT
from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import SessionRecord, SessionSummary, TurnRecord, told_cost
from langswarm_sessions.storage.sql.counting import count_messages
from langswarm_sessions.storage.sql.message_rows import insert_messages, taken_ids
from langswarm_sessions.storage.sql.rerun import SUPERSEDED
from langswarm_sessions.storage.sql.session_store import insert_session, load_session
from langswarm_sessions.storage.sql.summary_store import save_summary
from langswarm_sessions.storage.sql.tables import sessions
from langswarm_sessions.storage.sql.tables import turns as turn_rows
from langswarm_sessions.storage.sql.turn_rows import USAGE_NAMES, insert_turn

__all__ = ["forget_session", "forget_unused", "insert_conversation", "restore_session"]

_MARK_UNPRICED = (
    update(turn_rows)
    .where(turn_rows.c.session_id == bindparam("of_session"), turn_rows.c.turn_id == bindparam("of_turn"))
    .values(unpriced=1)
)

_TELL_ANSWER = (
    update(turn_rows)
    .where(turn_rows.c.session_id == bindparam("of_session"), turn_rows.c.turn_id == bindparam("of_turn"))
    .values(
        provider=bindparam("new_provider"),
        model=bindparam("new_model"),
        finished_at=bindparam("new_finished_at"),
        cost=bindparam("new_cost"),
        duration_ms=bindparam("new_duration_ms"),
        **{name: bindparam(f"new_{name}") for name in USAGE_NAMES},
    )
)
_LONGEST_NAME = 255

_Attempt = tuple[str | None, TurnState]  # a turn's id and how it ended; another end is that of an attempt before


def restore_session(
    connection: Connection, record: SessionRecord, messages: Sequence[SessionMessage], *, is_whole: bool = False
) -> None:
    """Store a session with the messages it has had, oldest first.

    Messages of other turns, or of none, may stand between those of a turn. A turn without an answer was interrupted.

    Args:
        connection: Within the transaction of the unit of work.
        record: The session's row.
        messages: What was said.
        is_whole: Whether every message tells how its turn ended, and the row's counters what the turns took.
    """
    insert_session(connection, record)
    ends = _told_ends(messages) if is_whole else _ends_of(messages)
    end = _store_turns(connection, record.session_id, messages, ends)
    costs = _tell_costs(connection, record.session_id, messages)
    if is_whole:
        _tell_answers(connection, record, messages)
    figures = {} if is_whole else {"turns": len(ends), **costs}
    instructions = [message.content for message in messages if message.kind is MessageKind.INSTRUCTIONS]
    connection.execute(
        update(sessions)
        .where(sessions.c.session_id == record.session_id)
        .values(
            next_seq=end.next_seq,
            last_message_id=end.last_message_id,
            last_turn_index=len(ends),
            instructions=instructions[-1] if instructions else None,
            **count_messages(messages),
            **figures,
        )
    )


def insert_conversation(
    connection: Connection,
    record: SessionRecord,
    messages: Sequence[SessionMessage],
    summary: SessionSummary | None = None,
) -> SessionRecord:
    """Do what `EngineStorage.insert_conversation` says, within the transaction of `connection`."""
    restore_session(connection, record, messages, is_whole=True)
    if summary is not None:
        save_summary(connection, record.session_id, summary)
    return load_session(connection, record.session_id) or record


@dataclass(frozen=True, slots=True)
class _End:
    next_seq: int
    last_message_id: str | None


def _store_turns(
    connection: Connection, session_id: str, messages: Sequence[SessionMessage], ends: Mapping[str, TurnState]
) -> _End:
    """Store messages and their turns; return where the transcript ends."""
    turns: defaultdict[_Attempt, list[SessionMessage]] = defaultdict(list)
    names: dict[_Attempt, str | None] = {(turn_id, state): turn_id for turn_id, state in ends.items()}
    names[None, TurnState.COMPLETED] = None
    seq, last_id = 1, None
    taken = taken_ids(connection, messages)  # once for all: there may be tens of thousands of turns
    for attempt, group in groupby(messages, key=lambda message: _attempt_of(message, ends)):
        stored = insert_messages(
            connection,
            list(group),
            session_id=session_id,
            first_seq=seq,
            parent_id=last_id,
            turn_id=names.setdefault(attempt, new_id()),
            status=attempt[1],
            taken=taken,
        )
        turns[attempt].extend(stored)
        seq, last_id = seq + len(stored), stored[-1].message_id
    places = {turn_id: index for index, turn_id in enumerate(ends, start=1)}
    for (turn_id, state), entries in turns.items():
        if turn_id is None:
            continue
        turn = TurnRecord(
            turn_id=names[turn_id, state] or turn_id,
            session_id=session_id,
            index=places[turn_id],
            state=state,
            started_at=entries[0].timestamp,
            error_type=None if state is ends[turn_id] else SUPERSEDED,
        )
        insert_turn(connection, turn, first_seq=entries[0].seq or 1, last_seq=entries[-1].seq or 1)
    return _End(seq, last_id)


def _tell_answers(connection: Connection, record: SessionRecord, messages: Sequence[SessionMessage]) -> None:
    """Let turns know who answered, when, and what it took, as far as the answers tell; how long, on the average."""
    told: dict[str, dict[str, Any]] = {}
    took = record.counters.response_ms / max(record.counters.response_count, 1)
    for message in messages:
        provider, model, usage = (message.provider_metadata.get(name) for name in ("provider", "model", "usage"))
        if not message.turn_id or not _is_name(provider) or not _is_name(model):
            continue
        turn = told.setdefault(message.turn_id, {"of_session": record.session_id, "of_turn": message.turn_id})
        turn.update(new_provider=provider, new_model=model, new_finished_at=message.timestamp, new_duration_ms=took)
        for name in USAGE_NAMES:
            turn[f"new_{name}"] = turn.get(f"new_{name}", 0) + _count_of(usage, name)
        cost, before = told_cost(message), turn.get("new_cost")
        turn["new_cost"] = before if cost is None else cost + (before or 0)
    if told:
        connection.execute(_TELL_ANSWER, list(told.values()))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME


def _count_of(usage: object, name: str) -> int:
    count: object = cast("Mapping[str, object]", usage).get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and 0 <= count <= LARGEST_COUNT else 0


def _tell_costs(
    connection: Connection, session_id: str, messages: Sequence[SessionMessage]
) -> dict[str, Decimal | int]:
    """Mark the turns whose answers tell no price; return what the others tell."""
    answers = [message for message in messages if message.role is Role.ASSISTANT and message.turn_id]
    costs = [(message.turn_id, cost) for message in answers if (cost := told_cost(message)) is not None]
    priced = {turn_id for turn_id, _ in costs}
    unpriced = {message.turn_id for message in answers} - priced
    if unpriced:
        connection.execute(_MARK_UNPRICED, [{"of_session": session_id, "of_turn": turn_id} for turn_id in unpriced])
    total = sum((cost for _, cost in costs), Decimal(0))
    return {"cost": total, "priced_turns": len(priced), "unpriced_turns": len(unpriced)}


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


def _told_ends(messages: Sequence[SessionMessage]) -> dict[str, TurnState]:
    """Return how each turn ended, in the order they began: each of its messages tells."""
    return {message.turn_id: message.status for message in messages if message.turn_id}


def _ends_of(messages: Sequence[SessionMessage]) -> dict[str, TurnState]:
    """Return how each turn ended, in the order they began: its newest answer tells."""
    ends: dict[str, TurnState] = {}
    for message in messages:
        if message.turn_id:
            ends.setdefault(message.turn_id, TurnState.INTERRUPTED)
            if _is_settled_answer(message):
                ends[message.turn_id] = message.status
    return ends


def _attempt_of(message: SessionMessage, ends: Mapping[str, TurnState]) -> _Attempt:
    if not message.turn_id:
        return None, TurnState.COMPLETED
    end = ends[message.turn_id]
    superseded = _is_settled_answer(message) and message.status is not end
    return message.turn_id, TurnState.FAILED if superseded else end


def _is_settled_answer(message: SessionMessage) -> bool:
    return message.role is Role.ASSISTANT and message.status is not TurnState.PENDING
