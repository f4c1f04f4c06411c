"""The window of one turn: made to fit before it is sent, and trimmed once the provider finds it too long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from langswarm_sessions.errors import ContextOverflowError
from langswarm_sessions.interfaces.provider import EngineProvider, ProviderRequest
from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, Role, SessionMessage
from langswarm_sessions.records import Begun
from langswarm_sessions.strategies import TurnPlan, TurnStrategy, planned
from langswarm_sessions.turns.costs import TurnCosts
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.history import history_of
from langswarm_sessions.turns.provider.story import Story
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.window import RoomSource, WindowRoom, estimate_tokens
from langswarm_sessions_otel import TurnScope

__all__ = ["Replay"]

_NEARLY = 0.8

History = Sequence[SessionMessage]
RequestOf = Callable[[TurnPlan], ProviderRequest]


class Replay:
    """Sees to it that the window of a turn fits.

    Args:
        services: What the manager's turns work with.
        provider: Who answers.
        strategy: The planner.
        begun: The turn.
        span: Its span.
        deadline: When it has to be over.
        costs: What its requests cost.
    """

    def __init__(
        self,
        *,
        services: TurnServices,
        provider: EngineProvider,
        strategy: TurnStrategy,
        begun: Begun,
        span: TurnScope,
        deadline: Deadline,
        costs: TurnCosts,
    ) -> None:
        self._services = services
        self._provider = provider
        self._strategy = strategy
        self._begun = begun
        self._span = span
        self._record = begun.session
        self._story = Story(services=services, begun=begun, span=span, deadline=deadline, costs=costs)
        self._summarises = False
        self._lesson: Callable[[], None] = _nothing

    async def history(self) -> tuple[SessionMessage, ...]:
        """Return what of the transcript a window needs."""
        query = self._strategy.needs_for_rebuild(self._record)
        return await history_of(self._services.storage, self._begun, query)

    async def prepared(self, plan: TurnPlan, history: History, *, request_of: RequestOf) -> TurnPlan:
        """Return a plan whose window fits, as far as can be known; a plan without one comes back as it is.

        Args:
            plan: What the planner made of what was known.
            history: What it made it of.
            request_of: From a plan to the request it makes.
        """
        if plan.budget is None:
            return plan
        plan = await self._looked_up(plan, history)
        plan = await self._summarised(plan, history)
        return await self._counted(plan, history, request_of)

    async def trimmed(self, plan: TurnPlan, error: ContextOverflowError) -> TurnPlan | None:
        """Return a plan that sends less of what was too long; None when there is nothing to leave out.

        What it taught holds for the turns after this one, whether the smaller window is taken or not. Where nothing but
        the input is left, only its being taken tells that it was not the input that is too long.

        Args:
            plan: What was sent.
            error: What the provider said.
        """
        if self._provider.profile.owns_history:
            return None
        if error.limit is not None:
            self._services.windows.note_limit(self._provider, tokens=error.limit)
        history = await self.history()
        sent = plan.messages if plan.budget is not None else (*history, *self._begun.inputs)
        self._strategy = self._strategy.with_room(replace(self._room(), learned=self._worth_trying(plan, sent, error)))
        smaller = self._strategy.rebuild(self._record, history, self._begun.inputs, summary=self._story.summary)
        if len(smaller.messages) >= len(sent):
            return None
        self._lesson = partial(self._learn, sent, smaller)
        if self._holds_history(smaller):
            self.trimmed_was_taken()
        smaller = await self._summarised(smaller, history)
        self._span.window_trimmed(messages_sent=len(smaller.messages))
        return smaller

    def trimmed_was_taken(self) -> None:
        """Take note of what the overflow taught."""
        self._lesson()
        self._lesson = _nothing

    def taken(self, plan: TurnPlan) -> None:
        """Take note that a window was taken: what an earlier request taught wears off.

        Args:
            plan: What was sent.
        """
        if plan.budget is None or plan.budget_source is not RoomSource.LEARNED:
            return
        if _tokens(plan.messages) >= plan.budget * _NEARLY:
            self._services.windows.grow(self._provider, self._record, room=self._room())

    def _holds_history(self, plan: TurnPlan) -> bool:
        new = {message.message_id for message in self._begun.inputs}
        return any(message.seq and message.message_id not in new for message in _said(plan.messages))

    def _room(self) -> WindowRoom:
        return self._services.windows.room(self._provider, self._record, options=self._begun.turn.options)

    def _planned(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Plan the window again with what is known now."""
        return planned(
            self._strategy,
            self._record,
            history,
            self._begun.inputs,
            instead=plan,
            summary=self._story.summary,
            at_once=self._summarises,
        )

    def _worth_trying(self, plan: TurnPlan, sent: Sequence[SessionMessage], error: ContextOverflowError) -> int:
        """Return the budget after an overflow: half of what was sent, or what the provider's figures tell."""
        tokens = _tokens(sent)
        if error.limit is None:
            return max(1, tokens // 2)
        room = self._room()
        if plan.budget is None:  # what the provider holds was counted as well: its figure tells nothing of the window
            return min(max(1, tokens // 2), room.whole or tokens)
        return room.after_overflow(tokens, counted=error.counted)

    def _learn(self, sent: Sequence[SessionMessage], smaller: TurnPlan) -> None:
        """Take note of what was too long.

        What attachments really cost only the provider knows: with them, the size of what was sent tells nothing, but
        what has to be left out is left out from now on.
        """
        windows, room = self._services.windows, self._room()
        if not any(isinstance(part, ImagePart | FilePart | AudioPart) for message in sent for part in message.parts):
            windows.shrink(self._provider, self._record, room=room, tokens=smaller.budget or 0)
        elif first := next((message.seq for message in _said(smaller.messages) if message.seq), None):
            windows.begin_after(self._provider, self._record, room=room, seq=first - 1)

    async def _looked_up(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Return the plan, or a smaller one if the room turned out to be; a larger room is the next turn's."""
        if isinstance(self._record.config.max_tokens_window, int):
            return plan
        await self._services.windows.look_up(self._provider, tokens=_tokens(plan.messages))
        room = self._room()
        if plan.budget is None or room.tokens(self._record.config) >= plan.budget:
            return plan
        self._strategy = self._strategy.with_room(room)
        return self._planned(plan, history)

    async def _counted(self, plan: TurnPlan, history: History, request_of: RequestOf) -> TurnPlan:
        """Let the provider count what is near the end of the room, if more would not be taken or is not wanted."""
        tokens = _tokens(plan.messages)
        if plan.budget is None or plan.budget_source is RoomSource.DEFAULT or tokens < plan.budget * _NEARLY:
            return plan
        fitting = await self._services.windows.count(
            self._provider, self._record, request_of(plan), room=self._room(), tokens=tokens
        )
        if fitting is None or fitting >= plan.budget:
            return plan
        self._strategy = self._strategy.with_room(replace(self._room(), learned=fitting))
        smaller = self._planned(plan, history)
        self._learn(plan.messages, smaller)
        return smaller

    async def _summarised(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Return a plan with a summary in place of what falls out; where none can be had, the window is just cut."""
        if not plan.left_out:
            return plan
        await self._story.load()
        self._summarises = self._story.goes_on
        if self._story.summary is None and not self._summarises:
            return plan
        plan = self._planned(plan, history)
        if not plan.left_out or not self._summarises:
            return plan
        self._summarises = await self._story.go_on(plan)
        return self._planned(plan, history)


def _nothing() -> None:
    """Learn nothing."""


def _said(messages: Iterable[SessionMessage]) -> list[SessionMessage]:
    return [message for message in messages if message.role is not Role.SYSTEM]


def _tokens(messages: Iterable[SessionMessage]) -> int:
    return sum(map(estimate_tokens, messages))
