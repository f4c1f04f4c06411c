"""Sessions and messages as plain data, the way a storage of a user's own is given them and gives them back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, cast

from langswarm_sessions.errors import StorageError
from langswarm_sessions.ids import as_utc
from langswarm_sessions.messages import MessageKind, SessionMessage, TurnState, part_to_json, parts_from_json
from langswarm_sessions.records import SessionRecord

__all__ = [
    "mapping_of",
    "message_from_plain",
    "message_to_plain",
    "plain_dict",
    "plain_list",
    "plain_text",
    "session_to_plain",
    "time_of",
]

_MILLISECONDS_FROM = 1e11  # as seconds this is the year 5138: a larger number counts milliseconds


def message_to_plain(message: SessionMessage) -> dict[str, Any]:
    """Return a message as a JSON-ready mapping; what is unset is left out, times are ISO 8601."""
    data: dict[str, Any] = {
        "message_id": message.message_id,
        "session_id": message.session_id,
        "role": message.role.value,
        "content": message.content,
        "timestamp": message.timestamp.isoformat(),
        "metadata": dict(message.metadata),
        "status": message.status.value,
        "kind": message.kind.value,
        "parts": [part_to_json(part) for part in message.parts],
        "provider_metadata": dict(message.provider_metadata),
        "schema_version": message.schema_version,
    }
    for name in ("provider_message_id", "turn_id", "parent_id", "group_id", "seq", "tokens", "provider_payload"):
        if (value := getattr(message, name)) is not None:
            data[name] = value
    return data


def session_to_plain(record: SessionRecord) -> dict[str, Any]:
    """Return a session as a JSON-ready mapping."""
    return {
        "session_id": record.session_id,
        "user_id": record.user_id,
        "provider": record.provider,
        "model": record.model,
        "strategy": record.strategy.value,
        "status": record.status.value,
        "config": record.config.to_json(),
        "provider_config": dict(record.provider_config),
        "context": dict(record.context),
        "created_at": record.created_at.isoformat(),
        "last_activity": record.last_activity.isoformat(),
        "message_count": record.counters.messages,
    }


def message_from_plain(value: object, *, session_id: str) -> SessionMessage:
    """Build a message from whatever a storage returned: a mapping, JSON text, an object with attributes.

    Raises:
        StorageError: It is nothing a message can be read from; the message names the field.
    """
    data = mapping_of(value, what="a message")
    role = plain_text(data.get("role"))
    try:
        return SessionMessage(
            role=cast("Any", role),
            content=plain_text(data.get("content")),
            session_id=plain_text(data.get("session_id")) or session_id,
            message_id=plain_text(data.get("message_id") or data.get("id")),
            timestamp=time_of(data.get("timestamp"), field="timestamp"),
            metadata=plain_dict(data.get("metadata"), field="metadata"),
            status=TurnState(plain_text(data.get("status")) or TurnState.COMPLETED),
            provider_message_id=_optional_text(data.get("provider_message_id")),
            provider_metadata=plain_dict(data.get("provider_metadata"), field="provider_metadata"),
            parts=parts_from_json(plain_list(data.get("parts"), field="parts")),
            kind=MessageKind(plain_text(data.get("kind")) or MessageKind.SAID),
            turn_id=_optional_text(data.get("turn_id")),
            parent_id=_optional_text(data.get("parent_id")),
            group_id=_optional_text(data.get("group_id")),
            seq=_optional_int(data.get("seq"), field="seq"),
            tokens=_optional_int(data.get("tokens"), field="tokens"),
            provider_payload=plain_dict(data.get("provider_payload"), field="provider_payload") or None,
        )
    except ValueError as error:
        raise StorageError(
            "The storage returned a message that cannot be read: check its role, status, kind and parts.",
            session_id=session_id,
        ) from error


def mapping_of(value: object, *, what: str) -> Mapping[str, Any]:
    """Return `value` as a mapping: decoded if it is JSON, its attributes if it is an object.

    Raises:
        StorageError: It is neither.
    """
    decoded = _decoded(value, field=what)
    if isinstance(decoded, Mapping):
        return {plain_text(key): item for key, item in cast("Mapping[object, Any]", decoded).items()}
    if is_dataclass(decoded) and not isinstance(decoded, type):
        if isinstance(decoded, SessionMessage):
            return message_to_plain(decoded)
        return asdict(decoded)
    if hasattr(decoded, "_mapping"):  # a row of SQLAlchemy
        return dict(cast("Any", decoded)._mapping)
    if hasattr(decoded, "keys") and hasattr(decoded, "__getitem__"):  # a row of sqlite3
        row = cast("Any", decoded)
        return {plain_text(key): row[key] for key in row.keys()}  # noqa: SIM118 - not a mapping
    if hasattr(decoded, "__dict__"):
        return {name: item for name, item in vars(decoded).items() if not name.startswith("_")}
    raise StorageError(f"The storage returned {type(value).__name__} for {what}. Return a mapping.")


def plain_dict(value: object, *, field: str) -> dict[str, Any]:
    """Return `value` (a mapping or JSON text of one; None is empty) as a dict."""
    decoded = _decoded(value, field=field)
    if decoded is None or decoded == "":
        return {}
    if not isinstance(decoded, Mapping):
        raise StorageError(f"The storage returned {type(decoded).__name__} for {field!r}. Return a mapping.")
    return {plain_text(key): item for key, item in cast("Mapping[object, Any]", decoded).items()}


def plain_list(value: object, *, field: str) -> list[Any]:
    """Return `value` (a list or JSON text of one; None is empty) as a list."""
    decoded = _decoded(value, field=field)
    if decoded is None or decoded == "":
        return []
    if not isinstance(decoded, list | tuple):
        raise StorageError(f"The storage returned {type(decoded).__name__} for {field!r}. Return a list.")
    return list(cast("list[Any]", decoded))


def time_of(value: object, *, field: str) -> datetime:
    """Return a time: from a datetime (naive means local), ISO 8601 text, or a number of (milli)seconds.

    Raises:
        StorageError: It is none of these.
    """
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, datetime):
        return as_utc(value)
    try:
        if isinstance(value, str):
            if not _is_number(value):
                return as_utc(datetime.fromisoformat(value))
            value = float(value)
        if isinstance(value, int | float):
            seconds = value / 1000 if value > _MILLISECONDS_FROM else value
            return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise StorageError(f"The storage returned no time for {field!r}. Return a datetime or ISO 8601 text.")


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").replace(".", "", 1).isdigit()


def plain_text(value: object) -> str:
    """Return `value` as text: decoded if it is bytes, empty if it is None."""
    if isinstance(value, bytes | bytearray):
        return value.decode()
    return "" if value is None else str(value)


def _decoded(value: object, *, field: str) -> object:
    if isinstance(value, bytes | bytearray):
        value = value.decode()
    if isinstance(value, str) and value:
        try:
            return json.loads(value)
        except ValueError:
            raise StorageError(f"The storage returned text for {field} that is not JSON.") from None
    return value


def _optional_text(value: object) -> str | None:
    return plain_text(value) or None


def _optional_int(value: object, *, field: str) -> int | None:
    text = plain_text(value)
    try:
        return int(text) if text else None
    except ValueError:
        raise StorageError(f"The storage returned no whole number for {field!r}.") from None
