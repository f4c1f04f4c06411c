"""Figures over sessions and turns, computed by the database."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    and_,
    case,
    cast,
    distinct,
    func,
    select,
    type_coerce,
)

from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import THREAD_TURNS, Analytics, SessionStatus
from langswarm_sessions.storage.sql.checkpoints.tables import checkpoint_threads, checkpoints
from langswarm_sessions.storage.sql.tables import messages, sessions, turns
from langswarm_sessions.storage.sql.types import from_picodollars

__all__ = ["analytics", "row_counts"]

_TURNS = turns.join(sessions, sessions.c.session_id == turns.c.session_id)
_CONVERSATION = sessions.c.user_id != THREAD_TURNS
_NOT_DELETED = and_(sessions.c.status != SessionStatus.DELETED.value, _CONVERSATION)
_COMPLETED = turns.c.state == TurnState.COMPLETED.value

# Summed in two parts: no database's whole numbers are too small for the sum.
_MILLION = 1_000_000
_PICODOLLARS = type_coerce(turns.c.cost, BigInteger)
_COST = (func.sum(_PICODOLLARS // _MILLION), func.sum(_PICODOLLARS % _MILLION))


def analytics(connection: Connection, start: datetime | None, end: datetime | None) -> Analytics:
    """Return the figures of a period.

    Sessions count when they were created before its end and active after its start, turns when they began within it;
    deleted sessions and their turns do not count.
    """
    alive = _alive(start, end)
    total, users, average = connection.execute(
        select(
            func.count(), func.count(distinct(sessions.c.user_id)), func.avg(cast(sessions.c.messages, Float))
        ).where(*alive)
    ).one()
    within = _within(start, end)
    tokens, duration = connection.execute(
        select(
            func.coalesce(func.sum(turns.c.total_tokens), 0),
            func.avg(case((_COMPLETED, turns.c.duration_ms))),
        )
        .select_from(_TURNS)
        .where(*within)
    ).one()
    return Analytics(
        total_sessions=total,
        active_users=users,
        avg_messages_per_session=float(average or 0),
        model_usage=_usage(connection, turns.c.model, within),
        provider_usage=_usage(connection, turns.c.provider, within),
        total_tokens=int(tokens),
        avg_response_time_ms=float(duration or 0),
        total_cost=_total_cost(connection, within),
        model_cost=_costs(connection, turns.c.model, within),
        provider_cost=_costs(connection, turns.c.provider, within),
        unpriced_turns=_unpriced(connection, within),
    )


def row_counts(connection: Connection) -> dict[str, int]:
    """Return how many sessions of each status, messages, turns, threads of graphs and their checkpoints there are."""
    grouped = connection.execute(
        select(sessions.c.status, func.count()).where(_CONVERSATION).group_by(sessions.c.status)
    )
    by_status: dict[str, int] = {row[0]: row[1] for row in grouped}
    counts = {f"{status.value}_sessions": by_status.get(status.value, 0) for status in SessionStatus}
    return {
        "sessions": sum(by_status.values()),
        **counts,
        "messages": connection.execute(select(func.count()).select_from(messages)).scalar_one(),
        "turns": connection.execute(select(func.count()).select_from(turns)).scalar_one(),
        "checkpoint_threads": connection.execute(select(func.count()).select_from(checkpoint_threads)).scalar_one(),
        "checkpoints": connection.execute(select(func.count()).select_from(checkpoints)).scalar_one(),
    }


def _alive(start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_NOT_DELETED]
    if start is not None:
        found.append(sessions.c.last_activity >= start)
    if end is not None:
        found.append(sessions.c.created_at <= end)
    return found


def _within(start: datetime | None, end: datetime | None) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [_NOT_DELETED]
    if start is not None:
        # A turn cannot be newer than its session's activity: the index over that finds the few sessions to look into.
        found.append(sessions.c.last_activity >= start)
        found.append(turns.c.started_at >= start)
    if end is not None:
        found.append(turns.c.started_at <= end)
    return found


def _usage(connection: Connection, name: ColumnElement[Any], within: list[ColumnElement[bool]]) -> dict[str, int]:
    answered = and_(name.is_not(None), turns.c.state.in_((TurnState.COMPLETED.value, TurnState.INTERRUPTED.value)))
    query = select(name, func.count()).select_from(_TURNS).where(*within, answered).group_by(name)
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def _costs(connection: Connection, name: ColumnElement[Any], within: list[ColumnElement[bool]]) -> dict[str, Decimal]:
    priced = (*within, name.is_not(None), turns.c.cost.is_not(None))
    query = select(name, *_COST).select_from(_TURNS).where(*priced).group_by(name)
    return {row[0]: _cost_of(row[1], row[2]) for row in connection.execute(query)}


def _total_cost(connection: Connection, within: list[ColumnElement[bool]]) -> Decimal | None:
    row: Any = connection.execute(select(*_COST).select_from(_TURNS).where(*within)).one()
    millions, rest = row
    return None if millions is None else _cost_of(millions, rest)


def _cost_of(millions: Any, rest: Any) -> Decimal:
    return from_picodollars(int(millions) * _MILLION + int(rest))


def _unpriced(connection: Connection, within: list[ColumnElement[bool]]) -> int:
    query = select(func.count()).select_from(_TURNS).where(*within, turns.c.unpriced > 0)
    return int(connection.execute(query).scalar_one())
