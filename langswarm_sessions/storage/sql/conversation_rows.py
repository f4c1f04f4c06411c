"""A conversation that was stored elsewhere, as rows: all that can be done before the transaction that stores them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from typing import Any, cast

from sqlalchemy import Dialect

from langswarm_sessions.config import LARGEST_COUNT
from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.records import SessionRecord, TurnRecord, told_cost, total_of
from langswarm_sessions.storage.sql.counting import count_messages
from langswarm_sessions.storage.sql.message_rows import named, placed_rows
from langswarm_sessions.storage.sql.prepared import BoundRow
from langswarm_sessions.storage.sql.rerun import SUPERSEDED
from langswarm_sessions.storage.sql.turn_rows import USAGE_NAMES, ended_turn_rows, values_of

__all__ = ["ConversationRows", "conversation_rows"]

_LONGEST_NAME = 255

_Attempt = tuple[str | None, TurnState]  # a turn's id and how it ended; another end is that of an attempt before


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRows:
    """What is stored of a conversation, beside its session's own values.

    Args:
        message_ids: The ids of the messages: free when the rows were made.
        messages: Rows of the messages table, oldest first.
        turns: Rows of the turns table.
        session: Columns of the session that its messages tell.
    """

    message_ids: Sequence[str]
    messages: Sequence[BoundRow] = field(repr=False)
    turns: Sequence[BoundRow] = field(repr=False)
    session: Mapping[str, Any] = field(repr=False)


def conversation_rows(
    record: SessionRecord,
    given: Sequence[SessionMessage],
    *,
    dialect: Dialect,
    taken: Collection[str],
    is_whole: bool = False,
) -> ConversationRows:
    """Return the rows of a session's messages and turns.

    Messages of other turns, or of none, may stand between those of a turn. A turn without an answer was interrupted.

    Args:
        record: The session's row.
        given: What was said, oldest first.
        dialect: That of the database they are for.
        taken: Those of the messages' ids that are in use there.
        is_whole: Whether every message tells how its turn ended, and the row's counters what the turns took.
    """
    ends = _told_ends(given) if is_whole else _ends_of(given)
    names: dict[_Attempt, str | None] = {(turn_id, state): turn_id for turn_id, state in ends.items()}
    names[None, TurnState.COMPLETED] = None
    attempts: defaultdict[_Attempt, list[SessionMessage]] = defaultdict(list)
    entries: list[SessionMessage] = []
    used = {*taken}
    for attempt, group in groupby(given, key=lambda message: _attempt_of(message, ends)):
        if attempt not in names:
            names[attempt] = new_id()
        stored = named(list(group), session_id=record.session_id, turn_id=names[attempt], status=attempt[1], taken=used)
        attempts[attempt].extend(stored)
        entries.extend(stored)
    placed = placed_rows(dialect, entries, first_seq=1, parent_id=None)
    told = _told_answers(record, given) if is_whole else {}
    costs = _told_costs(given)
    turns = _turn_values(record, attempts, names=names, ends=ends)
    for turn in turns:
        turn.update(told.get(turn["turn_id"], {}), unpriced=int(turn["turn_id"] in costs.unpriced))
    instructions = [message.content for message in given if message.kind is MessageKind.INSTRUCTIONS]
    return ConversationRows(
        message_ids=[entry.message_id for entry in entries],
        messages=placed,
        turns=ended_turn_rows(dialect, turns),
        session={
            "next_seq": len(entries) + 1,
            "last_message_id": entries[-1].message_id if entries else None,
            "last_turn_index": len(ends),
            "instructions": instructions[-1] if instructions else None,
            **count_messages(given),
            **({} if is_whole else {"turns": len(ends), **costs.figures()}),
        },
    )


def _turn_values(
    record: SessionRecord,
    attempts: Mapping[_Attempt, Sequence[SessionMessage]],
    *,
    names: Mapping[_Attempt, str | None],
    ends: Mapping[str, TurnState],
) -> list[dict[str, Any]]:
    places = {turn_id: index for index, turn_id in enumerate(ends, start=1)}
    found: list[dict[str, Any]] = []
    for (turn_id, state), entries in attempts.items():
        if turn_id is None:
            continue
        turn = TurnRecord(
            turn_id=names[turn_id, state] or turn_id,
            session_id=record.session_id,
            index=places[turn_id],
            state=state,
            started_at=entries[0].timestamp,
            error_type=None if state is ends[turn_id] else SUPERSEDED,
        )
        found.append(values_of(turn, first_seq=entries[0].seq or 1, last_seq=entries[-1].seq or 1))
    return found


def _told_answers(record: SessionRecord, given: Sequence[SessionMessage]) -> dict[str, dict[str, Any]]:
    """Return who answered turns, when, and what it took, as far as the answers tell; how long, on the average."""
    told: dict[str, dict[str, Any]] = {}
    took = record.counters.response_ms / max(record.counters.response_count, 1)
    for message in given:
        provider, model, usage = (message.provider_metadata.get(name) for name in ("provider", "model", "usage"))
        if not message.turn_id or not _is_name(provider) or not _is_name(model):
            continue
        turn = told.setdefault(message.turn_id, {})
        turn.update(provider=provider, model=model, finished_at=message.timestamp, duration_ms=took)
        for name in USAGE_NAMES:
            turn[name] = turn.get(name, 0) + _count_of(usage, name)
        cost, before = told_cost(message), turn.get("cost")
        turn["cost"] = before if cost is None else total_of((before or Decimal(0), cost))
    return told


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME


def _count_of(usage: object, name: str) -> int:
    count: object = cast("Mapping[str, object]", usage).get(name) if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) and 0 <= count <= LARGEST_COUNT else 0


@dataclass(frozen=True, slots=True)
class _Costs:
    """What turns cost together, which of them answers price, and which not."""

    total: Decimal
    priced: frozenset[str]
    unpriced: frozenset[str]

    def figures(self) -> dict[str, Any]:
        return {"cost": self.total, "priced_turns": len(self.priced), "unpriced_turns": len(self.unpriced)}


def _told_costs(given: Sequence[SessionMessage]) -> _Costs:
    answers = [(message, message.turn_id) for message in given if message.role is Role.ASSISTANT and message.turn_id]
    costs = [(turn_id, cost) for message, turn_id in answers if (cost := told_cost(message)) is not None]
    priced = frozenset(turn_id for turn_id, _ in costs)
    unpriced = frozenset(turn_id for _, turn_id in answers) - priced
    return _Costs(total_of(cost for _, cost in costs), priced, unpriced)


def _told_ends(given: Sequence[SessionMessage]) -> dict[str, TurnState]:
    """Return how each turn ended, in the order they began: each of its messages tells."""
    return {message.turn_id: message.status for message in given if message.turn_id}


def _ends_of(given: Sequence[SessionMessage]) -> dict[str, TurnState]:
    """Return how each turn ended, in the order they began: its newest answer tells."""
    ends: dict[str, TurnState] = {}
    for message in given:
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
