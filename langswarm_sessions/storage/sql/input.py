"""Store what a turn was asked: instructions that changed, the turn's row, its input messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import BeginTurn, TurnRecord
from langswarm_sessions.storage.sql.counting import count_messages
from langswarm_sessions.storage.sql.message_rows import copy_of, insert_messages
from langswarm_sessions.storage.sql.rerun import reuse_inputs
from langswarm_sessions.storage.sql.session_rows import StoredSession
from langswarm_sessions.storage.sql.turn_rows import StoredTurn, insert_turn, reopen_turn

__all__ = ["Position", "StoredInput", "ended_turn", "store_input"]


@dataclass(frozen=True, slots=True)
class Position:
    """The end of a transcript, and the instructions in force there."""

    next_seq: int
    last_message_id: str | None
    instructions: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredInput:
    """The turn as it is stored, and by how much it moved the session's counters."""

    turn: TurnRecord
    inputs: tuple[SessionMessage, ...]
    end: Position
    turn_index: int
    amounts: Mapping[str, int]


def store_input(
    connection: Connection, begin: BeginTurn, session: StoredSession, earlier: StoredTurn | None
) -> StoredInput:
    """Store a turn's instructions and inputs; of a turn that is run again, the inputs stored before are used."""
    start = Position(session.record.next_seq, session.last_message_id, session.record.instructions)
    start, instructions = _store_instructions(connection, begin, start)
    if earlier is None:
        stored = _store_turn(connection, begin, start, turn_index=session.last_turn_index + 1)
    else:
        stored = _run_again(connection, begin, start, session=session, earlier=earlier)
    return stored if not instructions else replace(stored, amounts=_sum(stored.amounts, count_messages(instructions)))


def ended_turn(turn: StoredTurn | None, session: StoredSession) -> StoredInput:
    """Return a completed turn that is gone on with; nothing of it is stored anew.

    Raises:
        TurnConflictError: There is no such turn, or it did not complete.
    """
    if turn is None or turn.record.state is not TurnState.COMPLETED:
        raise TurnConflictError(
            "The turn to go on with did not complete. Send its input again.", session_id=session.record.session_id
        )
    record = session.record
    end = Position(record.next_seq, session.last_message_id, record.instructions)
    return StoredInput(turn=turn.record, inputs=(), end=end, turn_index=session.last_turn_index, amounts={})


def _store_instructions(
    connection: Connection, begin: BeginTurn, start: Position
) -> tuple[Position, tuple[SessionMessage, ...]]:
    if begin.instructions is None or begin.instructions.content == start.instructions:
        return start, ()
    stored = insert_messages(
        connection,
        [copy_of(begin.instructions, role=Role.SYSTEM, kind=MessageKind.INSTRUCTIONS)],
        session_id=begin.session_id,
        first_seq=start.next_seq,
        parent_id=start.last_message_id,
        turn_id=None,  # instructions stay in force even if this turn fails
        status=TurnState.COMPLETED,
    )
    return Position(start.next_seq + 1, stored[0].message_id, stored[0].content), stored


def _store_turn(connection: Connection, begin: BeginTurn, start: Position, *, turn_index: int) -> StoredInput:
    inputs = insert_messages(
        connection,
        begin.inputs,
        session_id=begin.session_id,
        first_seq=start.next_seq,
        parent_id=start.last_message_id,
        turn_id=begin.turn_id,
        status=TurnState.PENDING,
    )
    turn = TurnRecord(
        turn_id=begin.turn_id,
        session_id=begin.session_id,
        index=turn_index,
        state=TurnState.PENDING,
        started_at=begin.now,
        idempotency_key=begin.idempotency_key,
        input_digest=begin.input_digest,
        options=begin.options,
    )
    next_seq = start.next_seq + len(inputs)
    insert_turn(connection, turn, first_seq=start.next_seq, last_seq=next_seq - 1)
    last = inputs[-1].message_id if inputs else start.last_message_id
    return StoredInput(
        turn=turn,
        inputs=inputs,
        end=replace(start, next_seq=next_seq, last_message_id=last),
        turn_index=turn_index,
        amounts={**count_messages(inputs), "turns": 1},
    )


def _run_again(
    connection: Connection, begin: BeginTurn, start: Position, *, session: StoredSession, earlier: StoredTurn
) -> StoredInput:
    reused = reuse_inputs(
        connection,
        earlier,
        next_seq=start.next_seq,
        last_message_id=start.last_message_id,
        cleared_seq=session.record.cleared_seq,
    )
    reopen_turn(connection, earlier.record.turn_id, begin, first_seq=reused.first_seq, last_seq=reused.last_seq)
    turn = replace(
        earlier.record,
        state=TurnState.PENDING,
        started_at=begin.now,
        finished_at=None,
        error_type=None,
        options=begin.options,
    )
    failed_before = earlier.record.state is TurnState.FAILED
    return StoredInput(
        turn=turn,
        inputs=reused.inputs,
        end=replace(start, next_seq=reused.next_seq, last_message_id=reused.last_message_id),
        turn_index=session.last_turn_index,
        amounts={**count_messages(reused.shown_again), "failed_turns": -1 if failed_before else 0},
    )


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {*one, *other}}
