"""One send, from its place in line to its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from langswarm_sessions.errors import InvalidInputError, TurnConflictError
from langswarm_sessions.events import EventType
from langswarm_sessions.interfaces.provider import TextDelta
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Begun, Lease, Recorded
from langswarm_sessions.turns.captured import tell_input, tell_output
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.history import following
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.line.admission import entered
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions.turns.line.held import HeldLease
from langswarm_sessions.turns.line.keeper import LeaseKeeper
from langswarm_sessions.turns.orphans import is_orphan
from langswarm_sessions.turns.readers.live import LiveTurns
from langswarm_sessions.turns.readers.log import Interruption, TurnLog
from langswarm_sessions.turns.readers.stream import TurnOutcome
from langswarm_sessions.turns.send.beginning import TurnBeginning
from langswarm_sessions.turns.send.exchange import Exchange, asked_at, exchange_after
from langswarm_sessions.turns.send.inside import refuse_inside_tool
from langswarm_sessions.turns.send.round import Round, how_it_ended
from langswarm_sessions.turns.send.sending import Sending, strategy_of
from langswarm_sessions.turns.send.tool_phase import ToolPhase
from langswarm_sessions.turns.services import TurnServices, TurnSubject
from langswarm_sessions_otel import TurnScope

__all__ = ["TurnRun"]

T = TypeVar("T")

_ENDED_BY_CALLER = (Interruption.ABANDONED, Interruption.CANCELLED)


class TurnRun:
    """Runs one send in a task of its own: in line, turn after turn as long as tools are to be run, announce."""

    def __init__(
        self,
        *,
        services: TurnServices,
        gates: SessionGates,
        keeper: LeaseKeeper,
        subject: TurnSubject,
        turn: TurnInput,
        log: TurnLog,
        live: LiveTurns,
    ) -> None:
        self._services = services
        self._gates = gates
        self._subject = subject
        self._turn = turn
        self._log = log
        self._live = live
        self._session_id = subject.record.session_id
        self._provider = turn.provider or subject.engine_provider
        self._strategy = strategy_of(services, subject, turn, provider=self._provider)
        self._lease = HeldLease(services.storage, keeper)
        self._down_to: int | None = None
        self._task: asyncio.Task[object] | None = None

    async def execute(self) -> TurnOutcome:
        """Run the send.

        Raises:
            SessionError: It failed or was interrupted; what was acknowledged is stored.
        """
        record = self._subject.record
        self._task = asyncio.current_task()
        sending: Sending | None = None
        try:
            with self._services.telemetry.turn(
                session_id=self._session_id,
                agent_name=record.config.agent_name or "session",
                operation=self._turn.operation,
                mode=record.strategy.value,
                provider=self._provider.profile.otel_name,
                model=self._provider.model,
                stream=self._turn.stream,
            ) as span:
                span.causes.ask_for_reason(lambda: None if (why := self._log.interruption) is None else why.value)
                sending = self._sending(span)
                return await self._to_its_end(sending)
        except asyncio.CancelledError:
            if sending is None:
                raise
            raise how_it_ended(sending) from None
        finally:
            self._log.finish()

    async def _to_its_end(self, sending: Sending) -> TurnOutcome:
        try:
            return await self._announced(sending)
        except (asyncio.CancelledError, GeneratorExit, RuntimeError) as error:
            if sending.outcome is not None and isinstance(error, asyncio.CancelledError):
                return sending.outcome  # too late: the answer is stored
            # Cut off, maybe where nothing else tells of it.
            if self._log.interruption is not None and sending.outcome is None:
                sending.span.interrupted(self._log.interruption.value)
            raise

    def _sending(self, span: TurnScope) -> Sending:
        return Sending(
            services=self._services,
            subject=self._subject,
            turn=self._turn,
            log=self._log,
            span=span,
            provider=self._provider,
            strategy=self._strategy,
            deadline=self._new_deadline(),
        )

    def _new_deadline(self) -> Deadline:
        given = self._turn.timeout
        return Deadline.after(self._services.retry.deadline if given is None else given)

    async def _announced(self, sending: Sending) -> TurnOutcome:
        try:
            outcome = await self._in_line(sending)
        except asyncio.CancelledError:
            if sending.outcome is not None:  # cancelled while the answer was being stored: it is, and hooks hear of it
                await self._tell_hooks(sending, sending.outcome)
            raise
        except Exception as error:
            sending.span.failed(error)  # whatever becomes of the hooks
            if self._log.interruption not in _ENDED_BY_CALLER:
                await self._services.hooks.run(
                    "on_session_error", session_id=self._session_id, error=error, turn=sending.stored
                )
            raise
        await self._tell_hooks(sending, outcome)
        return outcome

    async def _tell_hooks(self, sending: Sending, outcome: TurnOutcome) -> None:
        hooks = self._services.hooks
        if sending.rebuilt_because is not None:
            await hooks.run(
                "on_session_rebuilt",
                session_id=self._session_id,
                provider=sending.provider.name,
                reason=sending.rebuilt_because,
            )
        if outcome.completed is not None:
            await hooks.run(
                "on_message_sent", session_id=self._session_id, message=outcome.message, turn=sending.stored
            )

    async def _in_line(self, sending: Sending) -> TurnOutcome:
        refuse_inside_tool(self._session_id)
        patience = Deadline.after(sending.deadline.cut(self._services.turn_wait))
        await entered(self._gates, self._session_id, patience=patience, span=sending.span)
        try:
            outcome = await self._turns(sending, TurnBeginning(sending), patience)
        finally:
            try:
                await self._lease.let_go()
            finally:
                self._gates.leave(self._session_id)
        if sending.outcome is None:
            sending.conclude(outcome)
        return outcome

    # Turn after turn

    async def _turns(self, sending: Sending, beginning: TurnBeginning, patience: Deadline) -> TurnOutcome:
        """Run the first turn, and another one after each answer whose tools were run."""
        asked = self._turn.continues
        number = 1
        if asked is None:
            outcome = await self._first(sending, beginning, patience)
        else:
            outcome = TurnOutcome(asked)
        while self._has_work(outcome.message, number):
            number += 1
            followed = await self._next(sending, beginning, patience, asked=outcome.message, number=number)
            if followed is None:
                break
            outcome = followed
        return outcome

    def _has_work(self, answer: SessionMessage, number: int) -> bool:
        """Whether, after turn `number`, an answer calls tools that can be run and may be."""
        running = self._turn.tools
        if running is None or number > running.max_rounds:
            return False
        return any(not running.toolbox.leaves_open(call) for call in answer.tool_calls)

    async def _first(self, sending: Sending, beginning: TurnBeginning, patience: Deadline) -> TurnOutcome:
        begun = await beginning.begin(patience=patience)
        if isinstance(begun, Recorded):
            return self._replay(begun, sending)
        self._take(begun.lease)
        if begun.inputs:
            self._down_to = begun.down_to or begun.inputs[0].seq
        return await self._round(sending, begun, number=1)

    async def _next(
        self,
        sending: Sending,
        beginning: TurnBeginning,
        patience: Deadline,
        *,
        asked: SessionMessage,
        number: int,
    ) -> TurnOutcome | None:
        """Run an answer's tools and the turn after it; None when the answer is the last one for now."""
        running, exchange = self._turn.tools, Exchange(asked)
        assert running is not None
        if self._lease.current is None:  # the answer was recorded before
            resumed = await beginning.resume(asked, number=number, patience=patience)
            if isinstance(resumed, Recorded):
                return self._replay(resumed, sending)
            self._take(resumed.lease, is_kept=True)
            exchange = exchange_after(asked, resumed.history, cleared_seq=resumed.session.cleared_seq)
        if exchange.is_over:
            self._refuse_if_resumed()
            return None  # the conversation has gone on without the rest: the answer stays as it is
        phase = ToolPhase(sending, running, exchange, lease=self._held)
        results = await self._told_if_cut(sending, phase.run())
        answered = [results[call.id] for call in asked.tool_calls if call.id in results]
        if any(call.id not in results for call in asked.tool_calls):
            return None  # the caller's to answer
        return await self._follow(sending, beginning, asked=asked, results=answered, number=number)

    @property
    def _held(self) -> Lease:
        assert self._lease.current is not None
        return self._lease.current

    async def _follow(
        self,
        sending: Sending,
        beginning: TurnBeginning,
        *,
        asked: SessionMessage,
        results: list[SessionMessage],
        number: int,
    ) -> TurnOutcome | None:
        """Begin the next turn under the lease of the one before, and run it; None when the answer was cleared."""
        if self._down_to is None:
            self._down_to = await asked_at(self._services.storage, asked)
        if self._turn.timeout is None:
            sending.deadline = self._new_deadline()
        held = self._held
        self._lease.leave_to_storage()
        following_turn = beginning.follow(held, asked=asked, number=number, down_to=self._down_to)
        begun = await self._told_if_cut(sending, following_turn)
        if begun is None or isinstance(begun, Recorded):
            self._lease.keep()
            return None if begun is None else self._replay(begun, sending)
        self._take(begun.lease)
        self._log.begin_answer()
        return await self._round(sending, following(begun, results, down_to=self._down_to), number=number)

    async def _round(self, sending: Sending, begun: Begun, *, number: int) -> TurnOutcome:
        turn = Round(sending, begun, self._lease, goes_on=lambda answer: self._has_work(answer, number))
        return await turn.run()

    def _replay(self, recorded: Recorded, sending: Sending) -> TurnOutcome:
        """Give out the answer that this idempotency key's turn has already."""
        sending.span.was_recorded()
        self._tell_recorded(recorded, sending)
        self._log.say(TextDelta(recorded.answer.content))
        self._log.begin_answer()
        return TurnOutcome(recorded.answer)

    def _tell_recorded(self, recorded: Recorded, sending: Sending) -> None:
        if not self._services.has_middleware:  # else this is not what it let pass
            tell_input(sending.span, self._turn.messages)
        tell_output(sending.span, [recorded.answer])

    def _refuse_if_resumed(self) -> None:
        if self._turn.continues is not None:
            raise InvalidInputError(
                "The conversation has gone on since the last answer with open calls. Say what is wanted in a new send.",
                session_id=self._session_id,
            )

    async def _told_if_cut(self, sending: Sending, work: Coroutine[Any, Any, T]) -> T:
        """Do what lies between two turns; there is no turn then whose end could tell that it was broken off."""
        try:
            return await work
        except asyncio.CancelledError:
            reason = self._log.interruption or Interruption.CANCELLED
            if reason is Interruption.LEASE_LOST:
                sending.span.lease_lost()
            sending.span.interrupted(reason.value)
            sending.publish(EventType.TURN_INTERRUPTED)
            raise
        except TurnConflictError:
            sending.span.lease_lost()
            raise

    def _take(self, lease: Lease, *, is_kept: bool = False) -> None:
        self._lease.take(lease, self._lose_lease, is_left=self._is_left, is_kept=is_kept)

    def _is_left(self) -> bool:
        """End this turn where it stands if its loop was closed under it; asked by the keeper of its lease."""
        if self._task is None or not is_orphan(self._task):
            return False
        self._live.end_orphans(self._session_id)
        return True

    def _lose_lease(self) -> None:
        self._log.interrupt(Interruption.LEASE_LOST)
        if self._task is not None:
            self._task.cancel()
