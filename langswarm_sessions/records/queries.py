"""What can be asked of a storage beside turns: filters, pages, figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from langswarm_sessions.messages import Role
from langswarm_sessions.records.session import SessionStatus

__all__ = ["Analytics", "MessageFilter", "Page", "SessionFilter"]

T = TypeVar("T")


class Page(list[T]):
    """A list with the cursor of the page after it.

    Args:
        items: The entries of this page.
        next_cursor: Pass it as `cursor=` to get the next page; None when this was the last.
    """

    def __init__(self, items: Iterable[T] = (), *, next_cursor: str | None = None) -> None:
        super().__init__(items)
        self.next_cursor = next_cursor


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFilter:
    """Which sessions; every condition that is set must hold. Without `statuses`, all but the deleted ones.

    Sessions come newest activity first, in pages of `limit` (None: all).
    """

    user_id: str | None = None
    statuses: tuple[SessionStatus, ...] = (SessionStatus.ACTIVE, SessionStatus.ARCHIVED)
    provider: str | None = None
    tags: tuple[str, ...] = ()
    text: str | None = field(default=None, repr=False)
    since: datetime | None = None
    inactive_since: datetime | None = None
    archived_before: datetime | None = None
    more_messages_than: int | None = None
    limit: int | None = None
    cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFilter:
    """Which messages of a session; `limit` keeps the newest, the page's cursor leads to older ones.

    Args:
        limit: At most this many (None: all).
        role: Only this role.
        start_time: Not before this time.
        end_time: Not after this time.
        cursor: `next_cursor` of the page of newer messages.
        before_seq: Only messages with a lower `seq`.
        for_model: Leave out what a model must not be given: inputs of failed turns.
        with_retracted: Include what was taken back, of kind "retracted".
    """

    limit: int | None = None
    role: Role | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    cursor: str | None = None
    before_seq: int | None = None
    for_model: bool = False
    with_retracted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Analytics:
    """Figures over many sessions. The usage maps count turns by name.

    Costs are in US dollars, exact, of the turns whose prices are known; `total_cost` is None when no turn's is. The
    `unpriced_turns` are not in them.
    """

    total_sessions: int = 0
    active_users: int = 0
    avg_messages_per_session: float = 0.0
    model_usage: dict[str, int] = field(default_factory=dict[str, int])
    provider_usage: dict[str, int] = field(default_factory=dict[str, int])
    total_tokens: int = 0
    avg_response_time_ms: float = 0.0
    total_cost: Decimal | None = None
    model_cost: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    provider_cost: dict[str, Decimal] = field(default_factory=dict[str, Decimal])
    unpriced_turns: int = 0
