"""Change a transcript outside any turn: take messages back, append, change the session's row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlalchemy import Connection, bindparam, select, update

from langswarm_sessions.errors import SessionNotFoundError
from langswarm_sessions.messages import MessageKind, SessionMessage
from langswarm_sessions.records import Amendment, Finished, NativeState, SessionRecord
from langswarm_sessions.storage.sql.counting import (
    MESSAGE_COUNTERS,
    added_to,
    additions,
    count_messages,
    counter_updates,
)
from langswarm_sessions.storage.sql.locate import checked, checked_holder, find_session
from langswarm_sessions.storage.sql.message_rows import MESSAGES_WITH_STATE, message_of
from langswarm_sessions.storage.sql.message_store import append_messages
from langswarm_sessions.storage.sql.prepared import Prepared
from langswarm_sessions.storage.sql.session_rows import native_to_json
from langswarm_sessions.storage.sql.session_store import change_session
from langswarm_sessions.storage.sql.tables import messages, sessions

__all__ = ["amend_session"]

_MOST_PARAMETERS = 10_000

_NAMED = (
    messages.c.session_id == bindparam("of_session"),
    messages.c.message_id.in_(bindparam("ids", expanding=True)),
)
_SHOWN = MESSAGES_WITH_STATE.where(
    *_NAMED, messages.c.kind != MessageKind.RETRACTED.value, messages.c.seq > bindparam("cleared")
)
_RETRACT = update(messages).where(*_NAMED).values(kind=MessageKind.RETRACTED.value)
_KNOWN = select(messages.c.message_id).where(*_NAMED, messages.c.kind != MessageKind.RETRACTED.value)
_REST = (
    select(messages.c.message_id, messages.c.content)
    .where(
        messages.c.session_id == bindparam("of_session"),
        messages.c.seq > bindparam("cleared"),
        messages.c.kind != MessageKind.RETRACTED.value,
    )
    .order_by(messages.c.seq.desc())
    .limit(1)
)
_NEWEST = Prepared(_REST)
_IN_FORCE = Prepared(_REST.where(messages.c.kind == MessageKind.INSTRUCTIONS.value))
_SHRINK = Prepared(
    update(sessions)
    .where(sessions.c.session_id == bindparam("of_session"))
    .values(
        native=bindparam("new_native"),
        last_message_id=bindparam("new_last_message_id"),
        instructions=bindparam("new_instructions"),
        version=sessions.c.version + 1,
        **counter_updates(MESSAGE_COUNTERS),
    )
)


def amend_session(connection: Connection, session_id: str, amendment: Amendment) -> Finished:
    """Do what `EngineStorage.amend_session` says, within the transaction of `connection`."""
    found, held = find_session(connection, session_id), amendment.held
    before = (checked(found, session_id) if held is None else checked_holder(found, held)).record
    if amendment.change is not None:
        before = change_session(connection, session_id, amendment.change) or before
    for other_id in sorted(amendment.also):  # in one order, so that no two of these wait for each other
        if change_session(connection, other_id, amendment.also[other_id]) is None:
            raise SessionNotFoundError(
                "There is no session with this id. Create it, or check the id.", session_id=other_id
            )
    if amendment.retract:
        before = _retract(connection, before, amendment.retract)
    new = amendment.append
    if amendment.skip_known and new:
        known = _known(connection, session_id, new)
        new = tuple(message for message in new if message.message_id not in known)
    if not new:
        return Finished(session=before, answers=())
    return append_messages(connection, session_id, new, held)


def _retract(connection: Connection, before: SessionRecord, ids: Sequence[str]) -> SessionRecord:
    """Hide messages and uncount them; the provider's side starts anew where it knows one of them.

    What is said next follows the newest message that is left, in the tree of parents too.
    """
    visible = {"of_session": before.session_id, "cleared": before.cleared_seq}
    shown: list[SessionMessage] = []
    for some in _portions(ids):
        shown += [message_of(row) for row in connection.execute(_SHOWN, {**visible, "ids": some})]
        connection.execute(_RETRACT, {"of_session": before.session_id, "ids": some})
    if not shown:
        return before
    amounts = {name: -amount for name, amount in count_messages(shown).items()}
    native = None if before.native is not None and _is_known_to(before.native, shown) else before.native
    newest, told = _NEWEST.first(connection, visible), before.instructions
    if any(message.kind is MessageKind.INSTRUCTIONS for message in shown):
        in_force = _IN_FORCE.first(connection, visible)
        told = None if in_force is None else in_force[1]
    _SHRINK.write(
        connection,
        {
            "of_session": before.session_id,
            "new_native": native_to_json(native),
            "new_last_message_id": None if newest is None else newest[0],
            "new_instructions": told,
            **additions(amounts, MESSAGE_COUNTERS),
        },
    )
    counters = added_to(before.counters, amounts)
    return replace(before, native=native, instructions=told, version=before.version + 1, counters=counters)


def _is_known_to(native: NativeState, retracted: Sequence[SessionMessage]) -> bool:
    return any((message.seq or 0) <= native.cursor or message.turn_id == native.turn_id for message in retracted)


def _known(connection: Connection, session_id: str, given: Sequence[SessionMessage]) -> set[str]:
    ids = [message.message_id for message in given if message.message_id]
    found = (connection.execute(_KNOWN, {"of_session": session_id, "ids": some}) for some in _portions(ids))
    return {known for rows in found for known in rows.scalars()}


def _portions(ids: Sequence[str]) -> Iterator[list[str]]:
    """Yield ids in as many at a time as every database takes as parameters of one statement, each once."""
    distinct = list(dict.fromkeys(ids))
    for start in range(0, len(distinct), _MOST_PARAMETERS):
        yield distinct[start : start + _MOST_PARAMETERS]
