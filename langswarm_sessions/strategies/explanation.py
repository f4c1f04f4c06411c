"""What a turn would send, in words and figures. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.messages.tokens import estimate_tokens
from langswarm_sessions.records import SessionRecord
from langswarm_sessions.strategies.plan import Mode, TurnPlan, TurnStrategy
from langswarm_sessions.window import RoomSource

__all__ = ["PlannedMessage", "TurnExplanation", "explained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedMessage:
    """One message that would be sent.

    Args:
        role: Who says it.
        tokens: About how many tokens it costs.
        parts: The types of its content parts, in order.
        is_new: Whether it is the new input.
        is_repaired: Whether it stands in for a tool result that never came.
        is_summary: Whether it stands for messages before the window.
        message_id: Its id in the transcript (None: it is not stored).
    """

    role: Role
    tokens: int
    parts: tuple[str, ...]
    is_new: bool
    is_repaired: bool
    is_summary: bool
    message_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnExplanation:
    """What a turn would send and why; `str()` of it is a table for people. Nothing of what was said is in it.

    Args:
        provider: Who would answer.
        model: With which model.
        strategy: The session's strategy.
        mode: Who would remember the conversation for this turn.
        reason: Why it would be done this way.
        messages: What would be sent, in order.
        stored: Messages of the transcript that a model may be given.
        dropped: Messages that do not fit the window and that no summary covers.
        summarised_up_to: Up to which message of the transcript a summary is sent in its place (None: there is none).
        to_summarise: How many messages this turn would summarise before it is sent.
        native_id: The provider's conversation the request would continue (None: none).
        cursor: Up to which message of the transcript the provider holds the conversation.
        tokens: About how many tokens would be sent; instructions and tools are not counted.
        counted_tokens: How many the provider counts, instructions and tools included (None: it was not asked, or does
            not count).
        budget: How many tokens the window may hold (None: what would be sent is no window).
        budget_source: Who says so: config, provider, table, default, or learned from requests that were too long.
        cached_tokens: How many of them lie in the beginning that the request before had too, and that a provider's
            prompt cache can therefore hold.
    """

    provider: str
    model: str
    strategy: str
    mode: Mode
    reason: str
    messages: tuple[PlannedMessage, ...] = field(repr=False)
    stored: int
    dropped: int
    native_id: str | None
    cursor: int | None
    tokens: int
    cached_tokens: int
    summarised_up_to: int | None = None
    to_summarise: int = 0
    counted_tokens: int | None = None
    budget: int | None = None
    budget_source: RoomSource | None = None

    def __str__(self) -> str:
        """Return a few lines for people."""
        continued = (
            f", continuing {self.native_id} (holds the transcript up to {self.cursor})" if self.native_id else ""
        )
        lines = [
            f"{self.provider}/{self.model}, strategy {self.strategy}: {self.mode.value}{continued}",
            f"because {self.reason}",
            f"{len(self.messages)} messages to send, about {self.tokens} tokens "
            f"({self.cached_tokens} of them as in the request before); {self.stored} in the transcript, "
            f"{self.dropped} dropped",
        ]
        if self.counted_tokens is not None:
            lines.append(f"the provider counts {self.counted_tokens} tokens, instructions and tools included")
        if self.budget is not None:
            lines.append(f"room for {self.budget} tokens ({self.budget_source})")
        if self.summarised_up_to is not None:
            lines.append(f"a summary stands for the transcript up to {self.summarised_up_to}")
        if self.to_summarise:
            lines.append(f"{self.to_summarise} messages would be summarised first")
        return "\n".join([*lines, *(_line(message) for message in self.messages)])


def explained(
    record: SessionRecord,
    strategy: TurnStrategy,
    plan: TurnPlan,
    *,
    history: Sequence[SessionMessage],
    inputs: Sequence[SessionMessage],
    summarises: bool = False,
    counted: int | None = None,
) -> TurnExplanation:
    """Return what a turn would send.

    Args:
        record: The session's row.
        strategy: Its planner for the provider at hand.
        plan: What it planned.
        history: What `strategy.needs` asked for.
        inputs: The new input.
        summarises: Whether what is left out would be summarised.
        counted: How many tokens the provider counts.
    """
    known = {id(message) for message in (*history, *inputs)}
    new = {id(message) for message in inputs}
    return TurnExplanation(
        provider=record.provider,
        model=record.model,
        strategy=record.strategy.value,
        mode=plan.mode,
        reason=plan.reason,
        messages=tuple(
            PlannedMessage(
                role=message.role,
                tokens=estimate_tokens(message),
                parts=tuple(part.type for part in message.parts),
                is_new=id(message) in new,
                is_repaired=id(message) not in known and message.role is Role.TOOL,
                is_summary=plan.summary is not None and id(message) not in known and message.role is Role.SYSTEM,
                message_id=message.message_id or None,
            )
            for message in plan.messages
        ),
        stored=record.counters.messages,
        dropped=0 if summarises else plan.dropped,
        native_id=None if plan.native is None else plan.native.id,
        cursor=None if plan.native is None else plan.native.cursor,
        tokens=sum(map(estimate_tokens, plan.messages)),
        cached_tokens=_cached(record, strategy, history, plan, summarises=summarises),
        summarised_up_to=None if plan.summary is None else plan.summary.up_to_seq,
        to_summarise=plan.dropped if summarises else 0,
        counted_tokens=counted,
        budget=plan.budget,
        budget_source=plan.budget_source,
    )


def _cached(
    record: SessionRecord,
    strategy: TurnStrategy,
    history: Sequence[SessionMessage],
    plan: TurnPlan,
    *,
    summarises: bool,
) -> int:
    """Return the tokens of the beginning that this request shares with the one before, planned again."""
    if plan.native is not None:
        return 0  # what the provider holds is not sent at all
    turn_id = next((message.turn_id for message in reversed(history) if message.turn_id is not None), None)
    if turn_id is None:
        return 0
    before = [message for message in history if message.turn_id != turn_id]
    asked = [message for message in history if message.turn_id == turn_id and message.role is not Role.ASSISTANT]
    earlier = strategy.rebuild(record, before, asked, summary=plan.summary, at_once=summarises)
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(earlier.messages, plan.messages, strict=False))
    return sum(estimate_tokens(message) for message, _ in shared)


def _line(message: PlannedMessage) -> str:
    names = {"new": message.is_new, "repaired": message.is_repaired, "summary": message.is_summary}
    what = next((name for name, holds in names.items() if holds), "kept")
    return f"  {message.role.value:<9} {what:<8} {message.tokens:>6} tokens  {', '.join(message.parts)}"
