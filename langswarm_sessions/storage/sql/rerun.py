"""A turn that is asked for again by its idempotency key: its answer, or its inputs for another attempt."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, bindparam, or_, select, update

from langswarm_sessions.errors import StorageError
from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import Role, SessionMessage, TurnState
from langswarm_sessions.records import TurnOptions
from langswarm_sessions.storage.sql.message_rows import MESSAGES_WITH_STATE, copy_of, message_of
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.tables import messages
from langswarm_sessions.storage.sql.turn_rows import StoredTurn, insert_turn

__all__ = ["SUPERSEDED", "Reused", "recorded_answer", "reuse_inputs"]

SUPERSEDED = "superseded"

_BETWEEN = (
    messages.c.session_id == bindparam("of_session"),
    messages.c.seq >= bindparam("from_seq"),
    messages.c.seq <= bindparam("to_seq"),
    messages.c.turn_id == bindparam("of_turn"),
)
_OF_TURN = Prepared(MESSAGES_WITH_STATE.where(*_BETWEEN).order_by(messages.c.seq))
_OTHERS_AFTER = Prepared(
    select(messages.c.seq)
    .where(
        messages.c.session_id == bindparam("of_session"),
        messages.c.seq > bindparam("from_seq"),
        or_(messages.c.turn_id.is_(None), messages.c.turn_id != bindparam("of_turn")),
    )
    .limit(1)
)
_MOVE = Prepared(
    update(messages)
    .where(messages.c.message_id == bindparam("of_message"))
    .values(seq=bindparam("new_seq"), parent_id=bindparam("new_parent_id"))
)
_SET_ASIDE = Prepared(update(messages).where(*_BETWEEN).values(turn_id=bindparam("new_turn_id")))


@dataclass(frozen=True, slots=True)
class Reused:
    """The inputs of an earlier attempt, where they now stand.

    `shown_again` are those that a clearing of the session had hidden.
    """

    inputs: tuple[SessionMessage, ...]
    first_seq: int
    last_seq: int
    next_seq: int
    last_message_id: str | None
    shown_again: tuple[SessionMessage, ...] = ()


def recorded_answer(connection: Connection, turn: StoredTurn) -> SessionMessage:
    """Return the answer of a completed turn: its newest assistant message.

    Raises:
        StorageError: The turn has none, which no completed turn should be.
    """
    said = _read(connection, turn, from_seq=turn.last_input_seq + 1, to_seq=turn.last_seq)
    answers = [message for message in said if message.role is Role.ASSISTANT] or said
    if not answers:
        raise StorageError(
            "The turn of this idempotency_key was completed without an answer. Use another key to ask again.",
            session_id=turn.record.session_id,
        )
    return answers[-1]


def reuse_inputs(
    connection: Connection, turn: StoredTurn, *, next_seq: int, last_message_id: str | None, cleared_seq: int
) -> Reused:
    """Make the inputs of a turn that did not complete ready for another attempt.

    If other messages came after them they move to the end of the transcript, so that its order stays what the model
    is given. A partial answer of the earlier attempt stays in the transcript, as part of a failed attempt.

    Args:
        connection: Within the transaction of the unit of work.
        turn: The turn to run again.
        next_seq: The first free place of the transcript.
        last_message_id: The message before that place.
        cleared_seq: Messages up to this one are hidden.
    """
    inputs = tuple(_read(connection, turn, from_seq=turn.first_seq, to_seq=turn.last_input_seq))
    where = {"of_session": turn.record.session_id, "from_seq": turn.first_seq, "of_turn": turn.record.turn_id}
    hidden = turn.first_seq <= cleared_seq
    stays = not hidden and _OTHERS_AFTER.first(connection, where) is None
    _set_partial_answer_aside(connection, turn)
    if stays:
        pending = tuple(copy_of(message, status=TurnState.PENDING) for message in inputs)
        return Reused(pending, turn.first_seq, turn.last_input_seq, next_seq, last_message_id)
    moved: list[SessionMessage] = []
    for seq, message in enumerate(inputs, next_seq):
        moved.append(copy_of(message, seq=seq, parent_id=last_message_id, status=TurnState.PENDING))
        place = {"of_message": message.message_id, "new_seq": seq, "new_parent_id": last_message_id}
        _MOVE.write(connection, place)
        last_message_id = message.message_id
    after = next_seq + len(moved)
    shown_again = tuple(moved) if hidden else ()
    return Reused(tuple(moved), next_seq, after - 1, after, last_message_id, shown_again)


def _set_partial_answer_aside(connection: Connection, turn: StoredTurn) -> None:
    """Give what an interrupted attempt had answered to a failed turn of its own: the turn will be answered anew."""
    first, last = turn.last_input_seq + 1, turn.last_seq
    if not _read(connection, turn, from_seq=first, to_seq=last):
        return
    attempt = replace(
        turn.record,
        turn_id=new_id(),
        state=TurnState.FAILED,
        idempotency_key=None,
        error_type=SUPERSEDED,
        options=TurnOptions(),
    )
    insert_turn(connection, attempt, first_seq=first, last_seq=last)
    of_turn = {
        "of_session": turn.record.session_id,
        "of_turn": turn.record.turn_id,
        "from_seq": first,
        "to_seq": last,
        "new_turn_id": attempt.turn_id,
    }
    _SET_ASIDE.write(connection, of_turn)


def _read(connection: Connection, turn: StoredTurn, *, from_seq: int, to_seq: int) -> list[SessionMessage]:
    if to_seq < from_seq:
        return []
    of_turn = {
        "of_session": turn.record.session_id,
        "of_turn": turn.record.turn_id,
        "from_seq": from_seq,
        "to_seq": to_seq,
    }
    return [message_of(row) for row in _OF_TURN.all(connection, of_turn)]
