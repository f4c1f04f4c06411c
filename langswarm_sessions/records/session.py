"""A session as it is stored, and what is read off it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from langswarm_sessions.config import SessionConfig, Strategy

__all__ = [
    "NativeKind",
    "NativeState",
    "SessionContext",
    "SessionCounters",
    "SessionMetrics",
    "SessionRecord",
    "SessionStatus",
]


class SessionStatus(StrEnum):
    """Where a session is in its life."""

    ACTIVE = "active"
    ARCHIVED = "archived"
    DELETED = "deleted"


class NativeKind(StrEnum):
    """What kind of conversation state a provider keeps."""

    NODE = "node"
    LOG = "log"
    EPHEMERAL = "ephemeral"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeState:
    """The provider's side of a conversation, and how much of the transcript it holds.

    `cursor` is the `seq` of the newest message the provider was sent; with the messages of turn `turn_id` (the answer
    to it) that is all it knows. `open_calls` are ids of tool calls in that answer that have no result yet.
    `suspect` means that it may have been advanced without our knowing. `memo` is what the provider's adapter notes for
    itself, such as the id of the newest item it knows of.
    """

    provider: str
    kind: NativeKind
    id: str
    cursor: int
    turn_id: str
    model: str | None = None
    open_calls: tuple[str, ...] = ()
    suspect: bool = False
    memo: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCounters:
    """Running totals of a session, kept with its row so that reading them costs nothing.

    `unpriced_turns` counts turns, however often each was attempted; `priced_turns` the attempts that have a share in
    `cost`.
    """

    messages: int = 0
    user_messages: int = 0
    assistant_messages: int = 0
    system_messages: int = 0
    content_bytes: int = 0
    turns: int = 0
    failed_turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0
    response_count: int = 0
    response_ms: float = 0.0
    retries: int = 0
    rebuilds: int = 0
    cost: Decimal = Decimal(0)
    priced_turns: int = 0
    unpriced_turns: int = 0

    @property
    def total_cost(self) -> Decimal | None:
        """What is known of what the session cost, in US dollars; None as long as no turn had a price."""
        return self.cost if self.priced_turns else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """One row of the sessions table.

    `instructions` is the text of the newest message of kind INSTRUCTIONS. `traceparent` is what the next turn's span
    links to: that of the last turn, if it was recorded, and of a handoff since.
    """

    session_id: str
    user_id: str
    provider: str
    model: str
    strategy: Strategy
    created_at: datetime
    last_activity: datetime
    status: SessionStatus = SessionStatus.ACTIVE
    config: SessionConfig = field(default_factory=SessionConfig)
    provider_config: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    context: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    archived_at: datetime | None = None
    deleted_at: datetime | None = None
    counters: SessionCounters = field(default_factory=SessionCounters)
    native: NativeState | None = None
    instructions: str | None = field(default=None, repr=False)
    next_seq: int = 1
    cleared_seq: int = 0
    version: int = 1
    traceparent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """What middleware and users see of a session: who, where, and a snapshot of the user's own values.

    `user_context` is a copy; change it with `session.update_context`. `turn_state` is scratch space for middleware,
    new for each turn.
    """

    session_id: str
    user_id: str
    provider: str
    model: str
    user_context: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    turn_state: dict[object, Any] = field(default_factory=dict[object, Any], repr=False)

    def get(self, key: str, default: Any = None) -> Any:
        """Return the user's value stored under `key`, or `default`."""
        return self.user_context.get(key, default)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionMetrics:
    """The figures of one session; times in milliseconds, tokens as the provider counted them.

    `total_cost` is the sum of what turns are known to have cost, in US dollars and exact; None as long as no turn had a
    price. `unpriced_turns` were answered, or may have been billed, at prices nobody knows: they are not in the sum.
    """

    total_messages: int
    user_messages: int
    assistant_messages: int
    avg_response_time_ms: float
    total_tokens: int
    session_duration: timedelta
    retries: int
    rebuilds: int
    total_cost: Decimal | None = None
    unpriced_turns: int = 0
