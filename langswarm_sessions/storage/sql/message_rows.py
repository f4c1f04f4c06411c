"""Rows of the messages table as messages, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Select, bindparam, insert, select

from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import (
    MessageKind,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    TurnState,
    part_to_json,
    parts_from_json,
)
from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.storage.sql.prepared import BoundRow, Prepared
from langswarm_sessions.storage.sql.tables import messages, turns
from langswarm_sessions.storage.sql.types import select_all

__all__ = [
    "MESSAGES_WITH_STATE",
    "copy_of",
    "identified",
    "insert_messages",
    "insert_rows",
    "message_of",
    "messages_of",
    "named",
    "place_messages",
    "placed_rows",
    "taken_among",
    "taken_ids",
]

# Every read of messages begins here: a message's status is that of its turn.
MESSAGES_WITH_STATE: Select[Any] = select_all(
    messages.c.message_id,
    messages.c.session_id,
    messages.c.seq,
    messages.c.turn_id,
    messages.c.parent_id,
    messages.c.group_id,
    messages.c.role,
    messages.c.kind,
    messages.c.content,
    messages.c.parts,
    messages.c.metadata,
    messages.c.provider_metadata,
    messages.c.provider_message_id,
    messages.c.provider_payload,
    messages.c.tokens,
    messages.c.timestamp,
    messages.c.schema_version,
    turns.c.state,
).select_from(
    messages.outerjoin(turns, (turns.c.session_id == messages.c.session_id) & (turns.c.turn_id == messages.c.turn_id))
)

_INSERT = Prepared(insert(messages), columns=[column.name for column in messages.c])
_TAKEN_IDS = select(messages.c.message_id).where(messages.c.message_id.in_(bindparam("ids", expanding=True)))
_MOST_PARAMETERS = 10_000  # as many as every database takes in one statement
_ROLES = {item.value: item for item in Role}
_KINDS = {item.value: item for item in MessageKind}
_STATES: dict[str | None, TurnState] = {item.value: item for item in TurnState}
_STATES[None] = TurnState.COMPLETED  # a message outside of any turn


def message_of(row: Sequence[Any]) -> SessionMessage:
    """Build a message from a row of MESSAGES_WITH_STATE.

    What was stored was checked and aligned then: the constructor's checks are not paid again for each row read.
    """
    content: str = row[8]
    parts: list[Part] = parts_from_json(row[9]) if row[9] is not None else [TextPart(content)] if content else []
    message = SessionMessage.__new__(SessionMessage)
    message.__dict__.update(
        role=_ROLES[row[6]],
        content=content,
        session_id=row[1],
        message_id=row[0],
        timestamp=row[15],
        metadata=row[10] or {},
        status=_STATES[row[17]],
        provider_message_id=row[12],
        provider_metadata=row[11] or {},
        parts=parts,
        tool_calls=[] if row[9] is None else [part for part in parts if isinstance(part, ToolCall)],
        kind=_KINDS[row[7]],
        turn_id=row[3],
        parent_id=row[4],
        group_id=row[5],
        seq=row[2],
        tokens=row[14],
        provider_payload=row[13],
        schema_version=row[16],
    )
    return message


def messages_of(rows: Sequence[Sequence[Any]]) -> list[SessionMessage]:
    """Build the messages of rows that came newest first, oldest first."""
    return [message_of(row) for row in reversed(rows)]


def copy_of(message: SessionMessage, **changes: Any) -> SessionMessage:
    """Return a copy of `message` with fields changed, checked and aligned again: middleware may have edited it."""
    copied = SessionMessage.__new__(SessionMessage)
    copied.__dict__.update(message.__dict__)
    copied.__dict__["metadata"] = dict(message.metadata)
    copied.__dict__["provider_metadata"] = dict(message.provider_metadata)
    copied.__dict__.update(changes)
    copied.__post_init__()
    return copied


def insert_messages(
    connection: Connection,
    given: Sequence[SessionMessage],
    *,
    session_id: str,
    first_seq: int,
    parent_id: str | None,
    turn_id: str | None,
    status: TurnState,
) -> tuple[SessionMessage, ...]:
    """Store messages one after the other; return them as they are stored.

    Args:
        connection: Within the transaction of the unit of work.
        given: What to store, oldest first; the objects are not changed.
        session_id: The session they belong to.
        first_seq: The `seq` of the first.
        parent_id: The message before the first.
        turn_id: Their turn, if any.
        status: The state of that turn.
    """
    entries = identified(connection, given, session_id=session_id, turn_id=turn_id, status=status)
    place_messages(connection, entries, first_seq=first_seq, parent_id=parent_id)
    return entries


def identified(
    connection: Connection,
    given: Sequence[SessionMessage],
    *,
    session_id: str,
    turn_id: str | None,
    status: TurnState,
) -> tuple[SessionMessage, ...]:
    """Return copies of `given` with the ids they will have; an id that is taken becomes the provider's."""
    taken = taken_ids(connection, given)
    return named(given, session_id=session_id, turn_id=turn_id, status=status, taken=taken)


def named(
    given: Sequence[SessionMessage], *, session_id: str, turn_id: str | None, status: TurnState, taken: set[str]
) -> tuple[SessionMessage, ...]:
    """Do what `identified` does, without the database.

    Args:
        given: Messages, oldest first; the objects are not changed.
        session_id: The session they belong to.
        turn_id: Their turn, if any.
        status: The state of that turn.
        taken: The ids that are in use, which those of the messages are added to.
    """
    entries: list[SessionMessage] = []
    for message in given:
        wanted = message.message_id
        free = bool(wanted) and wanted not in taken
        entry = copy_of(
            message,
            session_id=session_id,
            message_id=wanted if free else new_id(),
            provider_message_id=message.provider_message_id or (None if free else wanted or None),
            turn_id=turn_id,
            status=status,
        )
        taken.add(entry.message_id)
        entry.tokens = estimate_tokens(entry)
        entries.append(entry)
    return tuple(entries)


def place_messages(
    connection: Connection, entries: Sequence[SessionMessage], *, first_seq: int, parent_id: str | None
) -> None:
    """Store messages that have their ids, from `first_seq` on; their place is noted in them."""
    insert_rows(connection, placed_rows(connection.dialect, entries, first_seq=first_seq, parent_id=parent_id))


def placed_rows(
    dialect: Dialect, entries: Sequence[SessionMessage], *, first_seq: int, parent_id: str | None
) -> list[BoundRow]:
    """Return the rows of messages that have their ids, from `first_seq` on; their place is noted in them."""
    for seq, entry in enumerate(entries, first_seq):
        entry.seq, entry.parent_id = seq, parent_id
        parent_id = entry.message_id
    return _INSERT.bound(dialect, map(_values_of, entries))


def insert_rows(connection: Connection, rows: Sequence[BoundRow]) -> None:
    """Store what `placed_rows` returned."""
    _INSERT.write_bound(connection, rows)


def taken_ids(connection: Connection, given: Sequence[SessionMessage]) -> set[str]:
    """Return which of the ids that messages were given are in use."""
    return taken_among(connection, [message.message_id for message in given if message.message_id])


def taken_among(connection: Connection, wanted: Sequence[str]) -> set[str]:
    """Return which ids are in use."""
    taken: set[str] = set()
    for start in range(0, len(wanted), _MOST_PARAMETERS):
        taken |= set(connection.execute(_TAKEN_IDS, {"ids": wanted[start : start + _MOST_PARAMETERS]}).scalars())
    return taken


def _values_of(message: SessionMessage) -> dict[str, Any]:
    plain = message.parts == [TextPart(message.content)] if message.content else not message.parts
    return {
        "message_id": message.message_id,
        "session_id": message.session_id,
        "seq": message.seq,
        "turn_id": message.turn_id,
        "parent_id": message.parent_id,
        "group_id": message.group_id,
        "role": message.role.value,
        "kind": message.kind.value,
        "content": message.content,
        "parts": None if plain else [part_to_json(part) for part in message.parts],
        "metadata": message.metadata or None,
        "provider_metadata": message.provider_metadata or None,
        "provider_message_id": message.provider_message_id,
        "provider_payload": message.provider_payload,
        "tokens": message.tokens,
        "timestamp": message.timestamp,
        "schema_version": message.schema_version,
    }
