"""Rows of the sessions table as records, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.records import (
    LeaseOwner,
    NativeKind,
    NativeState,
    SessionCounters,
    SessionRecord,
    SessionStatus,
)
from langswarm_sessions.storage.sql.tables import COUNTER_NAMES, sessions

__all__ = ["RECORD_COLUMNS", "STATE_COLUMNS", "StoredSession", "native_to_json", "record_of", "stored_of", "values_of"]

RECORD_COLUMNS = (
    sessions.c.session_id,
    sessions.c.user_id,
    sessions.c.provider,
    sessions.c.model,
    sessions.c.strategy,
    sessions.c.status,
    sessions.c.name,
    sessions.c.description,
    sessions.c.config,
    sessions.c.provider_config,
    sessions.c.context,
    sessions.c.created_at,
    sessions.c.last_activity,
    sessions.c.archived_at,
    sessions.c.deleted_at,
    sessions.c.native,
    sessions.c.instructions,
    sessions.c.next_seq,
    sessions.c.cleared_seq,
    sessions.c.version,
    sessions.c.traceparent,
    *(sessions.c[name] for name in COUNTER_NAMES),
)

STATE_COLUMNS = (
    *RECORD_COLUMNS,
    sessions.c.last_turn_index,
    sessions.c.last_message_id,
    sessions.c.last_turn_id,
    sessions.c.lease_fence,
    sessions.c.lease_turn_id,
    sessions.c.lease_host,
    sessions.c.lease_pid,
    sessions.c.lease_started,
    sessions.c.lease_expires_at,
)

_DEFAULT_CONFIG = SessionConfig()
_STRATEGIES = {item.value: item for item in Strategy}
_STATUSES = {item.value: item for item in SessionStatus}
_WIDTH = len(RECORD_COLUMNS)
_FIRST_COUNTER = _WIDTH - len(COUNTER_NAMES)


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session's record with what only the storage needs of its row."""

    record: SessionRecord
    last_turn_index: int
    last_message_id: str | None
    last_turn_id: str | None
    fence: int
    turn_id: str | None
    holder: LeaseOwner | None
    expires_at: datetime | None


def record_of(row: Sequence[Any]) -> SessionRecord:
    """Build the record from a row that begins with RECORD_COLUMNS."""
    return SessionRecord(
        session_id=row[0],
        user_id=row[1],
        provider=row[2],
        model=row[3],
        strategy=_STRATEGIES[row[4]],
        status=_STATUSES[row[5]],
        config=_config_of(row[6], row[7], row[8]),
        provider_config=row[9] or {},
        context=row[10] or {},
        created_at=row[11],
        last_activity=row[12],
        archived_at=row[13],
        deleted_at=row[14],
        native=None if row[15] is None else native_from_json(row[15]),
        instructions=row[16],
        next_seq=row[17],
        cleared_seq=row[18],
        version=row[19],
        traceparent=row[20],
        counters=SessionCounters(**dict(zip(COUNTER_NAMES, row[_FIRST_COUNTER:_WIDTH], strict=True))),
    )


def stored_of(row: Sequence[Any]) -> StoredSession:
    """Build the stored session from a row that begins with STATE_COLUMNS."""
    turn_index, last_message_id, last_turn_id, fence, turn_id, host, pid, started, expires_at = row[_WIDTH : _WIDTH + 9]
    held = turn_id is not None
    return StoredSession(
        record=record_of(row),
        last_turn_index=turn_index,
        last_message_id=last_message_id,
        last_turn_id=last_turn_id,
        fence=fence,
        turn_id=turn_id,
        holder=LeaseOwner(host=host, pid=pid, started=started) if held else None,
        expires_at=expires_at if held else None,
    )


def values_of(record: SessionRecord) -> dict[str, Any]:
    """Return the columns of `record`, all but `version`."""
    config = record.config.to_json()
    name, description = config.pop("name", None), config.pop("description", None)
    return {
        "session_id": record.session_id,
        "user_id": record.user_id,
        "provider": record.provider,
        "model": record.model,
        "strategy": record.strategy.value,
        "status": record.status.value,
        "name": name,
        "description": description,
        "config": config or None,
        "provider_config": dict(record.provider_config) or None,
        "context": dict(record.context) or None,
        "created_at": record.created_at,
        "last_activity": record.last_activity,
        "archived_at": record.archived_at,
        "deleted_at": record.deleted_at,
        "native": native_to_json(record.native),
        "instructions": record.instructions,
        "next_seq": record.next_seq,
        "cleared_seq": record.cleared_seq,
        "traceparent": record.traceparent,
        **{name: getattr(record.counters, name) for name in COUNTER_NAMES},
    }


def native_to_json(native: NativeState | None) -> dict[str, Any] | None:
    """Return native state as plain JSON."""
    if native is None:
        return None
    return {
        "provider": native.provider,
        "kind": native.kind.value,
        "id": native.id,
        "cursor": native.cursor,
        "turn_id": native.turn_id,
        "model": native.model,
        "open_calls": list(native.open_calls),
        "suspect": native.suspect,
        "memo": dict(native.memo),
    }


def native_from_json(data: dict[str, Any]) -> NativeState:
    """Build native state from its JSON form."""
    known: dict[str, Any] = {**data, "kind": NativeKind(data["kind"]), "open_calls": tuple(data["open_calls"])}
    return NativeState(**known)


def _config_of(name: str | None, description: str | None, config: dict[str, Any] | None) -> SessionConfig:
    if name is None and description is None and config is None:
        return _DEFAULT_CONFIG
    return SessionConfig.of({**(config or {}), "name": name, "description": description})
