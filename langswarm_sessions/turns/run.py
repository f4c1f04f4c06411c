"""One turn, from its input to its stored answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import MiddlewareError, SessionError, TurnConflictError
from langswarm_sessions.events import EventType
from langswarm_sessions.ids import monotonic, now
from langswarm_sessions.interfaces.provider import Completed, EngineProvider, TextDelta
from langswarm_sessions.messages import SessionMessage, TurnState, content_bytes
from langswarm_sessions.middleware import MiddlewareChain
from langswarm_sessions.records import Begun, Finished, FinishTurn, Recorded
from langswarm_sessions.strategies import TurnStrategy, choose_strategy
from langswarm_sessions.turns.answers import answer_of, native_after, partial_answer
from langswarm_sessions.turns.beginning import TurnBeginning, busy_error
from langswarm_sessions.turns.conversation import Conversation
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.fallback import FALLBACK_ERRORS, fallback_strategy, with_whole_history
from langswarm_sessions.turns.gate import SessionGates
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.keeper import LeaseKeeper
from langswarm_sessions.turns.log import Interruption, TurnInterrupted, TurnLog
from langswarm_sessions.turns.services import TurnServices, TurnSubject
from langswarm_sessions.turns.stream import TurnOutcome, interrupted_error
from langswarm_sessions.turns.waiting import to_the_end
from langswarm_sessions_otel import TurnScope, error_type_of

__all__ = ["TurnRun"]

T = TypeVar("T")

_ENDED_BY_CALLER = (Interruption.ABANDONED, Interruption.CANCELLED)


@dataclass(slots=True)
class _Progress:
    """Where a running turn is."""

    begun: Begun
    conversation: Conversation
    chain: MiddlewareChain
    started: float


class TurnRun:
    """Runs one turn in a task of its own: in line, begin, converse, finish, announce."""

    def __init__(
        self,
        *,
        services: TurnServices,
        gates: SessionGates,
        keeper: LeaseKeeper,
        subject: TurnSubject,
        turn: TurnInput,
        log: TurnLog,
    ) -> None:
        self._services = services
        self._gates = gates
        self._keeper = keeper
        self._subject = subject
        self._turn = turn
        self._log = log
        self._session_id = subject.record.session_id
        self._provider: EngineProvider = turn.provider or subject.engine_provider
        self._strategy = self._choose_strategy()
        self._announced_rebuild: str | None = None
        self._turn_state: dict[object, Any] = {}
        self._beginning = TurnBeginning(
            services=services, subject=subject, turn=turn, strategy=self._strategy, turn_state=self._turn_state
        )
        self._fell_back_from: str | None = None
        self._outcome: TurnOutcome | None = None
        self._stored: FinishTurn | None = None
        self._is_ending = False
        self._deadline = Deadline()
        self._task: asyncio.Task[object] | None = None

    async def execute(self) -> TurnOutcome:
        """Run the turn.

        Raises:
            SessionError: The turn failed or was interrupted; what was acknowledged is stored.
        """
        record = self._subject.record
        self._task = asyncio.current_task()
        given = self._turn.timeout
        self._deadline = Deadline.after(self._services.retry.deadline if given is None else given)
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
                return await self._announced(span)
        except asyncio.CancelledError:
            if self._outcome is not None:
                raise
            raise self._how_it_ended() from None
        finally:
            self._log.finish()

    async def _announced(self, span: TurnScope) -> TurnOutcome:
        try:
            outcome = await self._in_line(span)
        except asyncio.CancelledError:
            if self._outcome is not None:  # cancelled while the answer was being stored: it is, and hooks hear of it
                await self._tell_hooks(self._outcome)
            raise
        except Exception as error:
            if self._log.interruption not in _ENDED_BY_CALLER:
                await self._services.hooks.run(
                    "on_session_error", session_id=self._session_id, error=error, turn=self._stored
                )
            raise
        await self._tell_hooks(outcome)
        return outcome

    async def _tell_hooks(self, outcome: TurnOutcome) -> None:
        hooks = self._services.hooks
        if self._announced_rebuild is not None:
            await hooks.run(
                "on_session_rebuilt",
                session_id=self._session_id,
                provider=self._provider.name,
                reason=self._announced_rebuild,
            )
        if outcome.completed is not None:
            await hooks.run("on_message_sent", session_id=self._session_id, message=outcome.message, turn=self._stored)

    async def _in_line(self, span: TurnScope) -> TurnOutcome:
        patience = Deadline.after(self._deadline.cut(self._services.turn_wait))
        if not await self._gates.enter(self._session_id, seconds=patience.cut(self._services.turn_wait)):
            raise busy_error(self._session_id, patience)
        try:
            begun = await self._beginning.begin(span, patience=patience)
            if isinstance(begun, Recorded):
                return self._replay(begun, span)
            self._keeper.hold(begun.lease, self._lose_lease)
            try:
                return await self._answer(begun, span)
            finally:
                self._keeper.release(begun.lease)
        finally:
            self._gates.leave(self._session_id)

    def _choose_strategy(self) -> TurnStrategy:
        wanted = self._subject.record.strategy if self._turn.provider is None else Strategy.HYBRID
        return choose_strategy(wanted, provider=self._provider.name, profile=self._provider.profile)

    def _replay(self, recorded: Recorded, span: TurnScope) -> TurnOutcome:
        """Give out the answer that this idempotency key's turn has already."""
        span.event("langswarm.session.turn_recorded", {})
        self._log.say(TextDelta(recorded.answer.content))
        return TurnOutcome(recorded.answer)

    # Converse

    async def _answer(self, begun: Begun, span: TurnScope) -> TurnOutcome:
        chain = self._services.chain(begun.session, self._turn_state)
        conversation = self._conversation(begun, chain, span, strategy=self._strategy)
        progress = _Progress(begun, conversation, chain, monotonic())
        span.began(turn_index=begun.turn.index, previous=begun.session.traceparent, mode=conversation.plan.mode.value)
        if span.captures_content:
            span.input_content("\n".join(message.content for message in begun.inputs))
        try:
            completed = await self._converse(progress, span)
            answers = await self._answers(completed, chain)
        except (TurnInterrupted, asyncio.CancelledError):
            await self._ending(self._interrupted(progress, span))
            raise self._how_it_ended() from None
        except Exception as error:  # whatever it was, the turn is marked failed and the error goes on
            await self._ending(self._failed(progress, span, error))
            raise
        try:
            return await self._ending(self._completed(progress, span, completed, answers))
        except SessionError as error:
            # The answer could not be stored. If the storage takes that much, the session is free at once.
            with suppress(SessionError):
                await self._ending(self._failed(progress, span, error))
            raise

    def _conversation(
        self, begun: Begun, chain: MiddlewareChain, span: TurnScope, *, strategy: TurnStrategy
    ) -> Conversation:
        return Conversation(
            services=self._services,
            provider=self._provider,
            strategy=strategy,
            turn=self._turn,
            begun=begun,
            log=self._log,
            chain=chain,
            span=span,
            deadline=self._deadline,
        )

    async def _converse(self, progress: _Progress, span: TurnScope) -> Completed:
        """Get the answer: from the session's provider, or from the fallback as long as nothing was shown."""
        try:
            return await progress.conversation.run()
        except FALLBACK_ERRORS as error:
            fallback = None if self._turn.provider is not None else self._services.fallback
            if fallback is None or (self._turn.stream and self._log.deltas) or self._deadline.left == 0:
                raise
            self._fell_back_from = self._provider.name
            self._provider = fallback(progress.begun.session)
            span.event(
                "langswarm.session.fallback",
                {"from": self._fell_back_from, "to": self._provider.name, "error.type": error_type_of(error)},
            )
        strategy = fallback_strategy(self._provider)
        begun = await with_whole_history(self._services, progress.begun, strategy)
        doubtful = progress.conversation.doubtful
        progress.conversation = self._conversation(begun, progress.chain, span, strategy=strategy)
        progress.conversation.doubtful = doubtful
        return await progress.conversation.run()

    async def _answers(self, completed: Completed, chain: MiddlewareChain) -> list[SessionMessage]:
        answer = answer_of(completed, provider=self._provider.name)
        if self._fell_back_from is not None:
            answer.provider_metadata["fallback_from"] = self._fell_back_from
        answers = [*completed.earlier, answer]
        if self._services.has_middleware:
            answers = [await chain.inward(message) for message in answers]
        return answers

    async def _completed(
        self, progress: _Progress, span: TurnScope, completed: Completed, answers: Sequence[SessionMessage]
    ) -> TurnOutcome:
        conversation, begun = progress.conversation, progress.begun
        finish = replace(
            self._finish(progress, span, TurnState.COMPLETED),
            answers=tuple(answers),
            usage=completed.usage,
            model=completed.model,
        )
        if conversation.plan.keep_native:
            native = native_after(completed, plan=conversation.plan, begun=begun, provider=self._provider)
            finish = replace(finish, native=native, native_changed=True)
        finished = await self._store(finish, span)
        answer = finished.answers[-1]
        if progress.chain.chunks() is None:
            self._log.say(TextDelta(answer.content))
        self._note(progress, span, completed, answer)
        self._tell(progress, finished, answer)
        self._outcome = TurnOutcome(answer, completed)
        return self._outcome

    def _note(self, progress: _Progress, span: TurnScope, completed: Completed, answer: SessionMessage) -> None:
        plan, counters = progress.conversation.plan, progress.begun.session.counters
        is_delta = plan.native is not None
        sent = len(plan.messages)
        span.finished(
            input_tokens=completed.usage.input_tokens,
            output_tokens=completed.usage.output_tokens,
            finish_reasons=[completed.finish_reason] if completed.finish_reason else [],
            messages_sent=sent,
            messages_total=counters.messages,
            messages_avoided=max(0, counters.messages - sent) if is_delta else 0,
            bytes_avoided=max(0, counters.content_bytes - content_bytes(plan.messages)) if is_delta else 0,
            retries=progress.conversation.retries,
        )
        if span.captures_content:
            span.output_content(answer.content)

    def _tell(self, progress: _Progress, finished: Finished, answer: SessionMessage) -> None:
        self._subject.adopt(finished.session)
        if progress.conversation.rebuilds:
            self._announced_rebuild = progress.conversation.rebuild_reason
            self._publish(EventType.SESSION_REBUILT)
        self._publish(EventType.MESSAGE_SENT, answer.content)

    # Endings

    async def _ending(self, work: Coroutine[Any, Any, T]) -> T:
        """Store how the turn ended; from here on it is the storage that says whether the lease was lost."""
        self._is_ending = True
        return await to_the_end(work)

    async def _interrupted(self, progress: _Progress, span: TurnScope) -> None:
        reason = self._log.interruption or Interruption.CANCELLED
        span.interrupted(reason.value)
        finish = self._finish(progress, span, TurnState.INTERRUPTED)
        if partial := await self._partial(progress):
            finish = replace(finish, answers=(partial,))
        try:
            finished = await self._store(finish, span)
        except TurnConflictError:
            if reason is not Interruption.LEASE_LOST:
                raise
        else:
            self._subject.adopt(finished.session)
            self._publish(EventType.TURN_INTERRUPTED)

    async def _partial(self, progress: _Progress) -> SessionMessage | None:
        """Return what was said so far, as far as middleware lets it be seen."""
        text = self._log.text
        if progress.chain.chunks() is None:
            message = partial_answer(
                progress.conversation.buffered, provider=self._provider.name, model=self._provider.model
            )
            try:
                text = (await progress.chain.inward(message)).content
            except MiddlewareError:  # what it would have taken out must not be stored
                return None
        if not text:
            return None
        return partial_answer(text, provider=self._provider.name, model=self._provider.model)

    async def _failed(self, progress: _Progress, span: TurnScope, error: Exception) -> None:
        finish = replace(self._finish(progress, span, TurnState.FAILED), error_type=type(error).__name__)
        finished = await self._store(finish, span)
        self._subject.adopt(finished.session)
        self._publish(EventType.TURN_FAILED)

    def _how_it_ended(self) -> BaseException:
        reason = self._log.interruption
        if reason is None or reason is Interruption.ABANDONED:  # nobody is left who could be told
            return asyncio.CancelledError()
        return interrupted_error(reason, session_id=self._session_id)

    def _finish(self, progress: _Progress, span: TurnScope, state: TurnState) -> FinishTurn:
        conversation = progress.conversation
        doubtful = conversation.doubtful
        return FinishTurn(
            lease=progress.begun.lease,
            native=None if doubtful is None else replace(doubtful, suspect=True),
            native_changed=doubtful is not None,
            state=state,
            now=now(),
            provider=self._provider.name,
            model=self._provider.model,
            mode=conversation.plan.mode.value,
            duration_ms=(monotonic() - progress.started) * 1000,
            retries=conversation.retries,
            rebuilds=conversation.rebuilds,
            traceparent=span.traceparent,
        )

    async def _store(self, finish: FinishTurn, span: TurnScope) -> Finished:
        storage = self._services.storage
        with span.storage("append", backend=storage.backend, db_system=storage.db_system) as op:
            finished = await storage.finish_turn(finish)
            op.done(count=len(finish.answers), size=content_bytes(finish.answers))
        self._stored = finish
        return finished

    def _lose_lease(self) -> None:
        if self._is_ending:
            return
        self._log.interrupt(Interruption.LEASE_LOST)
        if self._task is not None:
            self._task.cancel()

    def _publish(self, kind: EventType, preview: str | None = None) -> None:
        self._services.events.publish(
            kind, session_id=self._session_id, user_id=self._subject.record.user_id, preview=preview
        )
