"""What the turns of one send have in common. A send is one turn, or several when its tools are run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from langswarm_sessions.config import Strategy
from langswarm_sessions.events import EventType
from langswarm_sessions.interfaces.provider import Completed, EngineProvider
from langswarm_sessions.messages import SessionMessage, content_bytes
from langswarm_sessions.middleware import MiddlewareChain
from langswarm_sessions.providers.settings import check_asked_format
from langswarm_sessions.records import FinishTurn, SessionRecord, Usage
from langswarm_sessions.strategies import TurnPlan, TurnStrategy, choose_strategy
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.readers.log import TurnLog
from langswarm_sessions.turns.readers.stream import TurnOutcome
from langswarm_sessions.turns.services import TurnServices, TurnSubject
from langswarm_sessions.turns.told import are_counted
from langswarm_sessions_otel import TurnScope

__all__ = ["Sending", "Tally", "strategy_of"]


@dataclass(slots=True)
class Tally:
    """The sums over the turns of a send, as its span tells them; of tokens that nobody counted there is none."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    sent: int = 0
    avoided: int = 0
    bytes_avoided: int = 0
    retries: int = 0
    finish_reasons: list[str] = field(default_factory=list[str])

    def took(self, *, usage: Usage | None, retries: int) -> None:
        """Add what one turn took, whether or not it was answered."""
        if usage is not None and are_counted(usage):
            self.input_tokens = (self.input_tokens or 0) + usage.input_tokens
            self.output_tokens = (self.output_tokens or 0) + usage.output_tokens
        self.retries += retries

    def answered(self, completed: Completed, *, plan: TurnPlan, record: SessionRecord) -> None:
        """Add what is told of an answered turn alone."""
        counters = record.counters
        if completed.finish_reason:
            self.finish_reasons.append(completed.finish_reason)
        if plan.native is not None:
            self.avoided += max(0, counters.messages - len(plan.messages))
            self.bytes_avoided += max(0, counters.content_bytes - content_bytes(plan.messages))

    def tell(self, span: TurnScope, *, messages_total: int) -> None:
        """Tell the span the sums so far."""
        span.finished(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            finish_reasons=self.finish_reasons,
            messages_sent=self.sent,
            messages_total=messages_total,
            messages_avoided=self.avoided,
            bytes_avoided=self.bytes_avoided,
            retries=self.retries,
        )


@dataclass(slots=True)
class Sending:
    """What the turns of one send share.

    Args:
        services: What turns work with.
        subject: The session.
        turn: What the send was started with.
        log: What it has said so far.
        span: The span of the whole send.
        provider: Who answers; a fallback that took over stays.
        strategy: How it is given the conversation.
        deadline: Until when.
        turn_state: Scratch space for middleware.
        fell_back_from: Whom the fallback stands in for.
        rebuilt_because: Why the provider's state was rebuilt (None: it was not).
        stored: The newest end of a turn that was stored.
        outcome: The answer, once it is stored and nothing comes after it.
        tally: Sums for the span.
    """

    services: TurnServices
    subject: TurnSubject
    turn: TurnInput
    log: TurnLog
    span: TurnScope
    provider: EngineProvider
    strategy: TurnStrategy
    deadline: Deadline = field(default_factory=Deadline)
    turn_state: dict[object, Any] = field(default_factory=dict[object, Any], repr=False)
    fell_back_from: str | None = None
    rebuilt_because: str | None = None
    stored: FinishTurn | None = None
    outcome: TurnOutcome | None = None
    has_begun: bool = False
    tally: Tally = field(default_factory=Tally)

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self.subject.record.session_id

    def chain(self, record: SessionRecord) -> MiddlewareChain:
        """Return the middleware of this send."""
        return self.services.chain(record, self.turn_state)

    async def inward(self, chain: MiddlewareChain, answers: Sequence[SessionMessage]) -> list[SessionMessage]:
        """Return answers as middleware lets them be seen."""
        if not self.services.has_middleware:
            return list(answers)
        return [await chain.inward(message) for message in answers]

    def conclude(self, outcome: TurnOutcome) -> None:
        """Take note of the answer that nothing comes after."""
        self.outcome = outcome
        if outcome.completed is not None:
            self.publish(EventType.MESSAGE_SENT, outcome.message.content)

    def publish(self, kind: EventType, preview: str | None = None) -> None:
        """Tell the manager's subscribers."""
        self.services.events.publish(
            kind, session_id=self.session_id, user_id=self.subject.record.user_id, preview=preview
        )


def strategy_of(
    services: TurnServices, subject: TurnSubject, turn: TurnInput, *, provider: EngineProvider
) -> TurnStrategy:
    """Return how the provider of a send is given the conversation.

    Raises:
        InvalidInputError: It is asked for a form of its answer and has no such.
    """
    record = subject.record
    check_asked_format(turn.options, provider=provider.name, profile=provider.profile)
    wanted = record.strategy if turn.provider is None else Strategy.HYBRID
    room = services.windows.room(provider, record, options=turn.options, instructions=turn.instructions)
    return choose_strategy(wanted, provider=provider.name, profile=provider.profile, room=room)
