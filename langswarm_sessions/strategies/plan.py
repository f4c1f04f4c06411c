"""The plan of a turn: what will be sent, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, Self

from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import HistoryQuery, NativeState, SessionRecord, SessionSummary
from langswarm_sessions.window import RoomSource, WindowRoom

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
        left_out: Messages of the transcript that did not fit the window and that no summary covers.
        summary: What stands for the messages before the window, if anything does.
        budget: Tokens the window may hold (None: what is sent is no window).
        budget_source: Who says so.
        reason: Why it is done this way, for people.
    """

    mode: Mode
    messages: tuple[SessionMessage, ...] = field(repr=False)
    native: NativeState | None = None
    replaces: NativeState | None = None
    keep_native: bool = False
    left_out: tuple[SessionMessage, ...] = field(default=(), repr=False)
    summary: SessionSummary | None = None
    budget: int | None = None
    budget_source: RoomSource | None = None
    reason: str = ""

    @property
    def dropped(self) -> int:
        """How many messages did not fit the window."""
        return len(self.left_out)


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
        summary: SessionSummary | None = None,
        at_once: bool = False,
    ) -> TurnPlan:
        """Plan the turn again without the provider's state.

        Args:
            record: The session's row.
            history: What `needs_for_rebuild` asked for.
            inputs: The new input.
            max_tokens: A budget in place of the configured one.
            summary: What stands for the beginning of the transcript.
            at_once: Cut a full window as far as it is ever cut: what is left out is summarised.
        """
        ...

    def with_room(self, room: WindowRoom) -> Self:
        """Return the same planner for a window of another size."""
        ...
