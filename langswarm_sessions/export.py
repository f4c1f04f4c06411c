"""A conversation as one plain dict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from langswarm_sessions.ids import now
from langswarm_sessions.messages import SCHEMA_VERSION, SessionMessage, part_to_json
from langswarm_sessions.records import SessionCounters, SessionRecord, SessionSummary, plain_amount

__all__ = ["EXPORT_FORMAT", "FIGURES", "exported"]

EXPORT_FORMAT = "langswarm-sessions"
FIGURES = (
    "turns",
    "failed_turns",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "response_count",
    "response_ms",
    "retries",
    "rebuilds",
    "cost",
    "priced_turns",
    "unpriced_turns",
)
"""The counters of a session that its messages do not tell."""


def exported(
    record: SessionRecord, messages: Iterable[SessionMessage], *, summary: SessionSummary | None = None
) -> dict[str, Any]:
    """Return session and transcript, JSON-ready: everything needed to read or import it elsewhere."""
    said = list(messages)
    return {
        "format": EXPORT_FORMAT,
        "version": SCHEMA_VERSION,
        "exported_at": now().isoformat(),
        "session": {
            "session_id": record.session_id,
            "user_id": record.user_id,
            "provider": record.provider,
            "model": record.model,
            "strategy": record.strategy.value,
            "status": record.status.value,
            "created_at": record.created_at.isoformat(),
            "last_activity": record.last_activity.isoformat(),
            "archived_at": None if record.archived_at is None else record.archived_at.isoformat(),
            "config": record.config.to_json(),
            "provider_config": dict(record.provider_config),
            "context": dict(record.context),
        },
        "cost": _cost(record),
        "figures": _figures(record.counters),
        "messages": [_message(message) for message in said],
        "summary": None if summary is None else _summary(summary, said),
    }


def _cost(record: SessionRecord) -> dict[str, Any]:
    counters = record.counters
    total = counters.total_cost
    return {
        "total": None if total is None else plain_amount(total),
        "currency": "USD",
        "unpriced_turns": counters.unpriced_turns,
    }


def _figures(counters: SessionCounters) -> dict[str, Any]:
    """Return what the turns took; messages are counted anew wherever they are stored."""
    figures = {name: getattr(counters, name) for name in FIGURES}
    return {**figures, "cost": plain_amount(counters.cost)}


def _summary(summary: SessionSummary, messages: Sequence[SessionMessage]) -> dict[str, Any]:
    """Return a summary with the message that it goes up to: places may be others where it is imported."""
    covered = [message.message_id for message in messages if (message.seq or 0) <= summary.up_to_seq]
    return {
        **asdict(summary),
        "created_at": summary.created_at.isoformat(),
        "up_to_message_id": covered[-1] if covered else None,
    }


def _message(message: SessionMessage) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "role": message.role.value,
        "kind": message.kind.value,
        "content": message.content,
        "parts": [part_to_json(part) for part in message.parts],
        "timestamp": message.timestamp.isoformat(),
        "status": message.status.value,
        "metadata": message.metadata,
        "turn_id": message.turn_id,
        "parent_id": message.parent_id,
        "group_id": message.group_id,
        "provider_message_id": message.provider_message_id,
        "provider_metadata": message.provider_metadata,
        "provider_payload": message.provider_payload,
    }
