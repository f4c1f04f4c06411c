"""How messages move a session's counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, bindparam

from langswarm_sessions.messages import Role, SessionMessage, content_bytes
from langswarm_sessions.records import SessionCounters, total_of
from langswarm_sessions.storage.sql.tables import sessions

__all__ = ["MESSAGE_COUNTERS", "added_to", "additions", "count_messages", "counter_updates"]


MESSAGE_COUNTERS = ("messages", "user_messages", "assistant_messages", "system_messages", "content_bytes")


def count_messages(entries: Sequence[SessionMessage]) -> dict[str, int]:
    """Return by how much `entries` raise each message counter."""
    roles = Counter(entry.role for entry in entries)
    return {
        "messages": roles.total(),
        "user_messages": roles[Role.USER],
        "assistant_messages": roles[Role.ASSISTANT],
        "system_messages": roles[Role.SYSTEM],
        "content_bytes": content_bytes(entries),
    }


def counter_updates(names: Iterable[str]) -> dict[str, ColumnElement[Any]]:
    """Return the SET clauses that raise counters within the database, never from a value read before."""
    return {name: sessions.c[name] + bindparam(f"add_{name}", type_=sessions.c[name].type) for name in names}


def additions(amounts: Mapping[str, float | Decimal], names: Iterable[str]) -> dict[str, float | Decimal]:
    """Return the parameters of `counter_updates(names)`."""
    return {f"add_{name}": amounts.get(name, 0) for name in names}


def added_to(counters: SessionCounters, amounts: Mapping[str, float | Decimal]) -> SessionCounters:
    """Return `counters` as the database has them after the additions."""
    return replace(counters, **{name: _sum(getattr(counters, name), amount) for name, amount in amounts.items()})


def _sum(count: Any, amount: Any) -> Any:
    if isinstance(count, Decimal) or isinstance(amount, Decimal):
        return total_of((Decimal(count), Decimal(amount)))
    return count + amount
