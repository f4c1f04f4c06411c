"""The window of one turn: made to fit before it is sent, and trimmed once the provider finds it too long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from langswarm_sessions.interfaces.provider import EngineProvider, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import Begun, HistoryQuery, SessionSummary
from langswarm_sessions.strategies import TurnPlan, TurnStrategy, planned
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.history import history_of
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.window import RoomSource, WindowRoom, estimate_tokens
from langswarm_sessions_otel import TurnScope, error_type_of

__all__ = ["Replay"]

logger = logging.getLogger(__name__)

_NEARLY = 0.8
_SUMMARY_SECONDS = 20.0
_READ_WINDOWS = 2

History = Sequence[SessionMessage]


class Replay:
    """Sees to it that the window of a turn fits.

    Args:
        services: What the manager's turns work with.
        provider: Who answers.
        strategy: The planner.
        begun: The turn.
        span: Its span.
        deadline: When it has to be over.
        request: From a plan to the request it makes.
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
        request: Callable[[TurnPlan], ProviderRequest],
    ) -> None:
        self._services = services
        self._provider = provider
        self._strategy = strategy
        self._begun = begun
        self._span = span
        self._deadline = deadline
        self._request = request
        self._record = begun.session
        self._summary: SessionSummary | None = None
        self._summarises = False

    async def history(self) -> tuple[SessionMessage, ...]:
        """Return what of the transcript a window needs."""
        return await self._loaded(self._strategy.needs_for_rebuild(self._record))

    async def prepared(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Return a plan whose window fits, as far as can be known; a plan without one comes back as it is.

        Args:
            plan: What the planner made of what was known.
            history: What it made it of.
        """
        if plan.budget is None:
            return plan
        plan = await self._looked_up(plan, history)
        if plan.left_out and self._services.summaries.has_writer(self._record):
            plan = await self._summarised(plan, history)
        return await self._counted(plan, history)

    async def trimmed(self, plan: TurnPlan) -> TurnPlan | None:
        """Return a plan that sends half of what was too long; None when there is nothing to leave out.

        Args:
            plan: What was sent.
        """
        if self._provider.profile.owns_history:
            return None
        history = await self.history()
        sent = plan.messages if plan.budget is not None else (*history, *self._begun.inputs)
        smaller = self._strategy.rebuild(
            self._record, history, self._begun.inputs, max_tokens=max(1, _tokens(sent) // 2), summary=self._summary
        )
        if len(smaller.messages) >= len(sent):
            return None
        self._span.event("langswarm.session.window_trimmed", {"langswarm.history.messages_sent": len(smaller.messages)})
        return replace(smaller, budget_source=RoomSource.LEARNED)

    def fitted(self, plan: TurnPlan) -> None:
        """Take note that a trimmed window was taken, so that the next turn does not have to be trimmed as well."""
        if plan.budget is not None:
            self._services.windows.shrink(self._provider, self._record, room=self._room(), tokens=plan.budget)

    async def _loaded(self, query: HistoryQuery) -> tuple[SessionMessage, ...]:
        return await history_of(self._services.storage, self._begun, query)

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
            summary=self._summary,
            at_once=self._summarises,
        )

    def _within(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Return the plan, or a smaller one if the room turned out to be; a larger room is the next turn's."""
        room = self._room()
        if plan.budget is None or room.tokens(self._record.config) >= plan.budget:
            return plan
        self._strategy = self._strategy.with_room(room)
        return self._planned(plan, history)

    async def _looked_up(self, plan: TurnPlan, history: History) -> TurnPlan:
        if isinstance(self._record.config.max_tokens_window, int):
            return plan
        await self._services.windows.look_up(self._provider, tokens=_tokens(plan.messages))
        return self._within(plan, history)

    async def _counted(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Let the provider count what is near the end of the room, if more would not be taken or is not wanted."""
        tokens = _tokens(plan.messages)
        if plan.budget is None or plan.budget_source is RoomSource.DEFAULT or tokens < plan.budget * _NEARLY:
            return plan
        await self._services.windows.count(
            self._provider, self._record, self._request(plan), room=self._room(), tokens=tokens
        )
        return self._within(plan, history)

    async def _summarised(self, plan: TurnPlan, history: History) -> TurnPlan:
        """Return a plan with a summary in place of what falls out; where none can be had, the window is just cut."""
        self._summary = await self._services.storage.load_summary(self._record.session_id)
        self._summarises = True
        plan = self._planned(plan, history)
        if not plan.left_out:
            return plan
        try:
            self._summary = await self._written(plan)
        except Exception as error:  # noqa: BLE001 - a function of the user's, or a provider: the turn goes on without
            self._summarises = False
            logger.warning(
                "The conversation %s was not summarised (%s): the window is cut without it.",
                self._record.session_id,
                type(error).__name__,
            )
            self._span.event("langswarm.session.summary_failed", {"error.type": error_type_of(error)})
        return self._planned(plan, history)

    async def _written(self, plan: TurnPlan) -> SessionSummary | None:
        """Summarise what lies between the summary so far and the window, and store it."""
        former, first = self._summary, min(message.seq or 0 for message in _said(plan.messages) if message.seq)
        left = await self._loaded(
            HistoryQuery(
                after_seq=0 if former is None else former.up_to_seq,
                max_tokens=(plan.budget or 0) * _READ_WINDOWS,
                with_system=False,
            )
        )
        left = tuple(message for message in _said(left) if (message.seq or 0) < first)
        if not left:
            return former
        left_seconds = self._deadline.left
        seconds = _SUMMARY_SECONDS if left_seconds is None else min(_SUMMARY_SECONDS, left_seconds / 2)
        made = await self._services.summaries.write(self._record, former, left, seconds=seconds)
        await self._services.storage.save_summary(self._record.session_id, made)
        self._span.event(
            "langswarm.session.summarized",
            {"langswarm.summary.messages": len(left), "langswarm.summary.tokens": made.tokens},
        )
        return made


def _said(messages: Iterable[SessionMessage]) -> list[SessionMessage]:
    return [message for message in messages if message.role is not Role.SYSTEM]


def _tokens(messages: Iterable[SessionMessage]) -> int:
    return sum(map(estimate_tokens, messages))
