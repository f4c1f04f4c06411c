"""Rows of the turns table as records, and the statements that write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, func, insert, update

from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import BeginTurn, FinishTurn, TurnOptions, TurnRecord, Usage
from langswarm_sessions.storage.sql.prepared import BoundRow, Prepared
from langswarm_sessions.storage.sql.tables import turns
from langswarm_sessions.storage.sql.types import select_all

__all__ = [
    "USAGE_NAMES",
    "StoredTurn",
    "close_turn",
    "end_turn",
    "ended_turn_rows",
    "find_turn",
    "find_turn_by_key",
    "insert_ended_turns",
    "insert_turn",
    "reopen_turn",
    "values_of",
]

USAGE_NAMES = ("input_tokens", "output_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")
_NO_USAGE = Usage()

_ONE = (turns.c.session_id == bindparam("of_session"), turns.c.turn_id == bindparam("of_turn"))
_STORED = select_all(
    turns.c.turn_id,
    turns.c.session_id,
    turns.c.turn_index,
    turns.c.state,
    turns.c.started_at,
    turns.c.idempotency_key,
    turns.c.input_digest,
    turns.c.options,
    turns.c.finished_at,
    turns.c.error_type,
    turns.c.traceparent,
    turns.c.first_seq,
    turns.c.last_input_seq,
    turns.c.last_seq,
    turns.c.unpriced,
).where(turns.c.session_id == bindparam("of_session"))
_BY_ID = Prepared(_STORED.where(turns.c.turn_id == bindparam("of_turn")))
_BY_KEY = Prepared(_STORED.where(turns.c.idempotency_key == bindparam("of_key")))

_INSERT = Prepared(
    insert(turns),
    columns=(
        "turn_id",
        "session_id",
        "turn_index",
        "state",
        "idempotency_key",
        "input_digest",
        "options",
        "first_seq",
        "last_input_seq",
        "last_seq",
        "started_at",
        "finished_at",
        "error_type",
    ),
)

_INSERT_ENDED = Prepared(insert(turns), columns=[column.name for column in turns.c])
_NOTHING_TOLD: dict[str, Any] = {
    **dict.fromkeys(("provider", "model", "mode", "cost", "traceparent")),
    **dict.fromkeys((*USAGE_NAMES, "unpriced", "duration_ms", "retries", "rebuilds"), 0),
}

_REOPEN = Prepared(
    update(turns)
    .where(*_ONE)
    .values(
        state=TurnState.PENDING.value,
        started_at=bindparam("new_started_at"),
        finished_at=None,
        error_type=None,
        options=bindparam("new_options"),
        first_seq=bindparam("new_first_seq"),
        last_input_seq=bindparam("new_last_seq"),
        last_seq=bindparam("new_last_seq"),
    )
)

_CLOSE = Prepared(
    update(turns)
    .where(*_ONE, turns.c.state == TurnState.PENDING.value)
    .values(
        state=TurnState.INTERRUPTED.value,
        finished_at=bindparam("new_finished_at"),
        unpriced=turns.c.unpriced + bindparam("add_unpriced"),
    )
)

# What is not known adds nothing, and leaves what is not known so.
_ADDED_COST = bindparam("add_cost", type_=turns.c.cost.type)
_COST_AFTER = func.coalesce(turns.c.cost + _ADDED_COST, _ADDED_COST, turns.c.cost)

_END = Prepared(
    update(turns)
    .where(*_ONE, turns.c.state == TurnState.PENDING.value)
    .values(
        state=bindparam("new_state"),
        finished_at=bindparam("new_finished_at"),
        provider=bindparam("new_provider"),
        model=bindparam("new_model"),
        mode=bindparam("new_mode"),
        error_type=bindparam("new_error_type"),
        traceparent=bindparam("new_traceparent"),
        last_seq=bindparam("new_last_seq"),
        duration_ms=turns.c.duration_ms + bindparam("add_duration_ms"),
        retries=turns.c.retries + bindparam("add_retries"),
        rebuilds=turns.c.rebuilds + bindparam("add_rebuilds"),
        cost=_COST_AFTER,
        unpriced=turns.c.unpriced + bindparam("add_unpriced"),
        **{name: turns.c[name] + bindparam(f"add_{name}") for name in USAGE_NAMES},
    )
)


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """A turn's record with where its messages lie: the inputs side by side, the answers somewhere after them."""

    record: TurnRecord
    first_seq: int
    last_input_seq: int
    last_seq: int


def find_turn(connection: Connection, session_id: str, turn_id: str) -> StoredTurn | None:
    """Return a turn of the session."""
    row = _BY_ID.first(connection, {"of_session": session_id, "of_turn": turn_id})
    return None if row is None else _stored_of(row)


def find_turn_by_key(connection: Connection, session_id: str, key: str) -> StoredTurn | None:
    """Return the turn an idempotency key names."""
    row = _BY_KEY.first(connection, {"of_session": session_id, "of_key": key})
    return None if row is None else _stored_of(row)


def insert_turn(connection: Connection, record: TurnRecord, *, first_seq: int, last_seq: int) -> None:
    """Store a new turn whose inputs are the messages from `first_seq` to `last_seq`."""
    _INSERT.write(connection, values_of(record, first_seq=first_seq, last_seq=last_seq))


def ended_turn_rows(dialect: Dialect, many: Iterable[Mapping[str, Any]]) -> list[BoundRow]:
    """Return the rows of turns that have ended: `values_of` each, with who answered and what it took where known."""
    return _INSERT_ENDED.bound(dialect, ({**_NOTHING_TOLD, **values} for values in many))


def insert_ended_turns(connection: Connection, rows: Sequence[BoundRow]) -> None:
    """Store what `ended_turn_rows` returned."""
    _INSERT_ENDED.write_bound(connection, rows)


def values_of(record: TurnRecord, *, first_seq: int, last_seq: int) -> dict[str, Any]:
    """Return the columns of a turn whose inputs are the messages from `first_seq` to `last_seq`."""
    return {
        "turn_id": record.turn_id,
        "session_id": record.session_id,
        "turn_index": record.index,
        "state": record.state.value,
        "idempotency_key": record.idempotency_key,
        "input_digest": record.input_digest,
        "options": record.options.to_json() or None,
        "first_seq": first_seq,
        "last_input_seq": last_seq,
        "last_seq": last_seq,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "error_type": record.error_type,
    }


def reopen_turn(connection: Connection, turn_id: str, begin: BeginTurn, *, first_seq: int, last_seq: int) -> None:
    """Set a turn that did not complete back to pending."""
    _REOPEN.write(
        connection,
        {
            "of_session": begin.session_id,
            "of_turn": turn_id,
            "new_started_at": begin.now,
            "new_options": begin.options.to_json() or None,
            "new_first_seq": first_seq,
            "new_last_seq": last_seq,
        },
    )


def close_turn(
    connection: Connection, session_id: str, turn_id: str, now: datetime, *, may_be_billed: bool = False
) -> bool:
    """Mark a turn nobody works on any more as interrupted. Return False for one that has ended before."""
    closed = _CLOSE.write(
        connection,
        {
            "of_session": session_id,
            "of_turn": turn_id,
            "new_finished_at": now,
            "add_unpriced": int(may_be_billed),
        },
    )
    return closed == 1


def end_turn(connection: Connection, finish: FinishTurn, *, last_seq: int) -> bool:
    """Store how a turn ended; what earlier attempts cost stays counted. Return False for one that has ended before."""
    usage = finish.usage or _NO_USAGE
    ended = _END.write(
        connection,
        {
            "of_session": finish.lease.session_id,
            "of_turn": finish.lease.turn_id,
            "new_state": finish.state.value,
            "new_finished_at": finish.now,
            "new_provider": finish.provider,
            "new_model": finish.model,
            "new_mode": finish.mode,
            "new_error_type": finish.error_type,
            "new_traceparent": finish.traceparent,
            "new_last_seq": last_seq,
            "add_duration_ms": finish.duration_ms,
            "add_retries": finish.retries,
            "add_rebuilds": finish.rebuilds,
            "add_cost": finish.cost,
            "add_unpriced": int(finish.is_unpriced),
            **{f"add_{name}": getattr(usage, name) for name in USAGE_NAMES},
        },
    )
    return ended == 1


def _stored_of(row: Sequence[Any]) -> StoredTurn:
    turn_id, session_id, index, state, started_at, key, digest, options, finished_at, error_type, trace, *places = row
    first_seq, last_input_seq, last_seq, unpriced = places
    record = TurnRecord(
        turn_id=turn_id,
        session_id=session_id,
        index=index,
        state=TurnState(state),
        started_at=started_at,
        idempotency_key=key,
        input_digest=digest,
        options=TurnOptions.from_json(options),
        finished_at=finished_at,
        error_type=error_type,
        traceparent=trace,
        is_unpriced=unpriced > 0,
    )
    return StoredTurn(record=record, first_seq=first_seq, last_input_seq=last_input_seq, last_seq=last_seq)
