"""The summary of one turn's conversation: read, gone on with, stored."""

from __future__ import annotations

import logging

from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import Begun, HistoryQuery, SessionSummary
from langswarm_sessions.strategies import TurnPlan
from langswarm_sessions.turns import summaries
from langswarm_sessions.turns.costs import TurnCosts
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.history import history_of
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions_otel import SummaryScope, TurnScope

__all__ = ["Story"]

logger = logging.getLogger(__name__)

_READ_WINDOWS = 2


class Story:
    """What stands for the messages before a turn's window.

    Args:
        services: What the manager's turns work with.
        begun: The turn.
        span: The turn's span.
        deadline: When the turn has to be over.
        costs: What the turn's requests cost.

    Attributes:
        summary: The newest summary (None: there is none, or it was not read yet).
    """

    def __init__(
        self,
        *,
        services: TurnServices,
        begun: Begun,
        span: TurnScope,
        deadline: Deadline,
        costs: TurnCosts,
    ) -> None:
        self._services = services
        self._begun = begun
        self._record = begun.session
        self._span = span
        self._deadline = deadline
        self._costs = costs
        self.summary: SessionSummary | None = None

    @property
    def goes_on(self) -> bool:
        """Whether somebody would summarise what is left out."""
        return self._services.summaries.may_write(self._record)

    async def load(self) -> None:
        """Read the summary that is stored; a writer that fails takes nothing away from it."""
        if self._services.summaries.are_wanted(self._record):
            self.summary = await self._services.storage.load_summary(self._record.session_id)

    async def go_on(self, plan: TurnPlan) -> bool:
        """Summarise what lies between the summary so far and a window, and store it.

        A writer takes only so much at once: what it has done is kept, whatever becomes of the rest.

        Args:
            plan: The window.

        Returns:
            Whether nothing is left that no summary covers.
        """
        try:
            with self._span.summary() as told:
                await self._cover(plan, told)
        except Exception as error:  # noqa: BLE001 - a function of the user's, or a provider: the turn goes on without
            logger.warning(
                "The conversation %s was not summarised (%s): the window is cut without it.",
                self._record.session_id,
                type(error).__name__,
            )
            return False
        return True

    async def _cover(self, plan: TurnPlan, told: SummaryScope) -> None:
        left = await self._left_out(plan)
        turn_left = self._deadline.left
        longest = summaries.LONGEST_SECONDS
        deadline = Deadline.after(longest if turn_left is None else min(longest, turn_left / 2))
        while left:
            made = await self._services.summaries.write(
                self._record,
                self.summary,
                left,
                deadline=deadline,
                windows=self._services.windows,
                span=self._span,
                costs=self._costs,
            )
            await self._services.storage.save_summary(self._record.session_id, made)
            self.summary = made
            rest = [message for message in left if (message.seq or 0) > made.up_to_seq]
            told.written(messages=len(left) - len(rest), tokens=made.tokens)
            left = rest

    async def _left_out(self, plan: TurnPlan) -> list[SessionMessage]:
        first = min(message.seq for message in plan.messages if message.seq and message.role is not Role.SYSTEM)
        query = HistoryQuery(
            after_seq=0 if self.summary is None else self.summary.up_to_seq,
            max_tokens=(plan.budget or 0) * _READ_WINDOWS,
            with_system=False,
        )
        read = await history_of(self._services.storage, self._begun, query)
        return [message for message in read if message.role is not Role.SYSTEM and (message.seq or 0) < first]
