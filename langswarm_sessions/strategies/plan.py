"""The plan of a turn: what will be sent, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import HistoryQuery, NativeState, SessionRecord

__all__ = ["Mode", "TurnPlan", "TurnStrategy"]


class Mode(StrEnum):
    """Who remembers the conversation for this turn."""

    NATIVE = "native"
    CLIENT = "client"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPlan:
    """What one request carries and why.

    Args:
        mode: Whether the provider's own state carries the history.
        messages: What is sent, in order.
        native: The provider state it continues from.
        replaces: The provider state that is given up, as it may have grown without our knowing.
        keep_native: Whether the provider is to keep the conversation.
        dropped: Messages of the transcript that did not fit the window.
        reason: Why it is done this way, for people.
    """

    mode: Mode
    messages: tuple[SessionMessage, ...] = field(repr=False)
    native: NativeState | None = None
    replaces: NativeState | None = None
    keep_native: bool = False
    dropped: int = 0
    reason: str = ""


class TurnStrategy(Protocol):
    """From what is stored to a plan. Pure: no await, no I/O."""

    def needs(self, record: SessionRecord) -> HistoryQuery | None:
        """Say which part of the transcript a plan needs; None when none."""
        ...

    def plan(
        self, record: SessionRecord, history: Sequence[SessionMessage], inputs: Sequence[SessionMessage]
    ) -> TurnPlan:
        """Plan a turn from the session's row, the history asked for, and the new input."""
        ...

    def needs_for_rebuild(self, record: SessionRecord) -> HistoryQuery:
        """Say which part of the transcript a rebuild of the provider's state needs."""
        ...

    def rebuild(
        self,
        record: SessionRecord,
        history: Sequence[SessionMessage],
        inputs: Sequence[SessionMessage],
        *,
        max_tokens: int | None = None,
    ) -> TurnPlan:
        """Plan the turn again without the provider's state; `max_tokens` trims harder than the configuration."""
        ...
