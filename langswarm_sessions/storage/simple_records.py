"""What a storage of six methods is told of a session, and what can be read back from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langswarm_sessions.config import SessionConfig, Strategy
from langswarm_sessions.errors import ConfigurationError, StorageError
from langswarm_sessions.ids import now
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionRecord, SessionStatus
from langswarm_sessions.storage.plain import mapping_of, plain_dict, plain_text, time_of

__all__ = ["beyond_memory", "config_to_plain", "record_from_plain"]

# What a session is configured with beside its SessionConfig, kept under names no SessionConfig field has.
_STRATEGY = "strategy"
_PROVIDER_CONFIG = "provider_config"

_DURABLE = {
    "status": "archiving, restoring and deleting sessions",
    "cleared_seq": "clearing messages",
    "context": "update_context",
    "config": "update_config",
    "provider_config": "changing provider settings",
    "provider": "changing the provider",
    "model": "changing the model",
    "strategy": "changing the strategy",
}


def config_to_plain(record: SessionRecord) -> dict[str, Any]:
    """Return what `create_session` is given as `config`."""
    config = {**record.config.to_json(), _STRATEGY: record.strategy.value}
    return {**config, _PROVIDER_CONFIG: dict(record.provider_config)} if record.provider_config else config


def record_from_plain(value: object, *, session_id: str, messages: Sequence[SessionMessage]) -> SessionRecord:
    """Build a session from whatever `get_session` returned.

    Args:
        value: A mapping, JSON text or an object with attributes.
        session_id: The session asked for.
        messages: Its messages, oldest first; they tell its times where the storage does not. Without any it is new.

    Raises:
        StorageError: What a session needs is missing; the message names it.
    """
    data = mapping_of(value, what="a session")
    _check_complete(data, session_id)
    config = plain_dict(data.get("config"), field="config")
    strategy = config.pop(_STRATEGY, None) or data.get(_STRATEGY) or Strategy.HYBRID
    provider_config = config.pop(_PROVIDER_CONFIG, None) or data.get(_PROVIDER_CONFIG)
    times = [message.timestamp for message in messages]
    first = time_of(data.get("created_at") or min(times, default=now()), field="created_at")
    last = data.get("last_activity")
    try:
        return SessionRecord(
            session_id=session_id,
            user_id=plain_text(data["user_id"]),
            provider=plain_text(data["provider"]),
            model=plain_text(data["model"]),
            strategy=Strategy(plain_text(strategy)),
            status=SessionStatus(plain_text(data.get("status")) or SessionStatus.ACTIVE),
            config=SessionConfig.of(config),
            provider_config=plain_dict(provider_config, field=_PROVIDER_CONFIG),
            context=plain_dict(data.get("context"), field="context"),
            created_at=first,
            last_activity=time_of(last, field="last_activity") if last else max(times, default=first),
        )
    except (ValueError, ConfigurationError) as error:
        raise StorageError(
            "The storage returned a session that cannot be read: check its strategy, status and config.",
            session_id=session_id,
        ) from error


def _check_complete(data: Mapping[str, Any], session_id: str) -> None:
    for name in ("user_id", "provider", "model"):
        if not data.get(name):
            raise StorageError(
                f"The storage's get_session returned no {name!r}. Return what create_session was given.",
                session_id=session_id,
            )


def beyond_memory(before: SessionRecord, after: SessionRecord) -> str | None:
    """Return what a change would have to store in a storage that cannot be told of it; None if it need not be."""
    return next((name for field, name in _DURABLE.items() if getattr(before, field) != getattr(after, field)), None)
