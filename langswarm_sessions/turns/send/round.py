"""One turn of a send, from its stored input to its stored answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from langswarm_sessions.errors import MiddlewareError, SessionError, StorageError, TurnConflictError
from langswarm_sessions.events import EventType
from langswarm_sessions.ids import monotonic, now
from langswarm_sessions.interfaces.provider import Completed, TextDelta
from langswarm_sessions.messages import SessionMessage, TurnState, content_bytes
from langswarm_sessions.providers.settings import takes_format
from langswarm_sessions.records import Begun, Finished, FinishTurn
from langswarm_sessions.turns.captured import tell_input, tell_output
from langswarm_sessions.turns.costs import TurnCosts
from langswarm_sessions.turns.line.held import HeldLease
from langswarm_sessions.turns.provider.answers import answer_of, native_after, partial_answer, with_calls_apart
from langswarm_sessions.turns.provider.conversation import Conversation
from langswarm_sessions.turns.provider.fallback import FALLBACK_ERRORS, fallback_strategy, with_whole_history
from langswarm_sessions.turns.readers.log import Interruption, TurnInterrupted
from langswarm_sessions.turns.readers.stream import TurnOutcome, interrupted_error
from langswarm_sessions.turns.send.sending import Sending
from langswarm_sessions.turns.send.unconfirmed import stored_after_all
from langswarm_sessions.turns.waiting import to_the_end

__all__ = ["Round", "how_it_ended"]

T = TypeVar("T")


class Round:
    """Runs one turn that has begun: converse, finish.

    Args:
        sending: The send it belongs to.
        begun: The turn.
        lease: Its lease.
        goes_on: Whether more is to be done after an answer: the lease is then kept.
    """

    def __init__(
        self, sending: Sending, begun: Begun, lease: HeldLease, *, goes_on: Callable[[SessionMessage], bool]
    ) -> None:
        self._sending = sending
        self._begun = begun
        self._lease = lease
        self._goes_on = goes_on
        self._span = sending.span
        self._chain = sending.chain(begun.session)
        self._started = monotonic()
        self._costs = TurnCosts(sending.services.pricing, sending.span)
        self._answered: Completed | None = None
        self._earlier_retries = 0
        self._conversation = self._new_conversation(begun)

    async def run(self) -> TurnOutcome:
        """Return the answer, once it is stored.

        Raises:
            SessionError: The turn failed or was interrupted, and this is stored.
        """
        self._tell_beginning()
        try:
            return await self._run()
        finally:
            self._tell_sums()

    async def _run(self) -> TurnOutcome:
        try:
            completed = with_calls_apart(await self._converse())
            answers = await self._answers(completed)
        except (TurnInterrupted, asyncio.CancelledError):
            await self._ending(self._interrupted())
            raise how_it_ended(self._sending) from None
        except Exception as error:  # whatever it was, the turn is marked failed and the error goes on
            await self._ending(self._failed(error))
            raise
        try:
            return await self._ending(self._completed(completed, answers))
        except SessionError as error:
            await self._unstored(error)
            raise

    async def _unstored(self, error: SessionError) -> None:
        """The answer could not be stored. If the storage takes that much, the session is free at once."""
        try:
            await to_the_end(self._failed(error))
        except TurnConflictError:
            self._lease.keep()  # the turn had ended after all: the lease that its end kept is given back
        except SessionError:
            pass  # it expires

    def _tell_beginning(self) -> None:
        sending, begun, span = self._sending, self._begun, self._span
        if sending.has_begun:
            return
        sending.has_begun = True
        mode = self._conversation.plan.mode.value
        span.began(turn_index=begun.turn.index, previous=begun.previous_trace, mode=mode)
        tell_input(span, begun.inputs)

    # Converse

    def _new_conversation(self, begun: Begun) -> Conversation:
        sending = self._sending
        return Conversation(
            services=sending.services,
            provider=sending.provider,
            strategy=sending.strategy,
            turn=sending.turn,
            begun=begun,
            log=sending.log,
            chain=self._chain,
            span=self._span,
            deadline=sending.deadline,
            costs=self._costs,
            has_fallback=self._has_fallback,
            is_fallback=sending.fell_back_from is not None,
        )

    @property
    def _has_fallback(self) -> bool:
        """Whether another provider may still take over."""
        sending = self._sending
        is_named = sending.services.fallback is not None and sending.turn.provider is None
        return is_named and sending.fell_back_from is None

    async def _converse(self) -> Completed:
        """Get the answer: from the session's provider, or from the fallback as long as nothing was shown."""
        sending, former, source = self._sending, self._conversation, self._sending.provider
        try:
            return await former.run()
        except FALLBACK_ERRORS as error:
            failed = error
            if not self._fall_back():
                raise
        begun = await with_whole_history(sending.services, self._begun, sending.strategy)
        self._conversation = self._new_conversation(begun)
        self._conversation.doubtful = former.doubtful
        self._earlier_retries = former.retries
        self._span.fell_back(
            source=source.profile.otel_name,
            target=sending.provider.profile.otel_name,
            model=sending.provider.model,
            mode=self._conversation.plan.mode.value,
            error=failed,
        )
        return await self._conversation.run()

    def _fall_back(self) -> bool:
        """Let the fallback answer, this turn and those after it; False when it may not."""
        sending = self._sending
        fallback = sending.services.fallback
        if fallback is None or not self._has_fallback:
            return False
        if (sending.turn.stream and sending.log.has_spoken) or sending.deadline.left == 0:
            return False
        spare = fallback(self._begun.session)
        if not takes_format(self._begun.turn.options, profile=spare.profile):
            return False
        sending.fell_back_from = sending.provider.name
        sending.provider = spare
        room = sending.services.windows.room(sending.provider, self._begun.session, options=self._begun.turn.options)
        sending.strategy = fallback_strategy(sending.provider, room)
        return True

    async def _answers(self, completed: Completed) -> list[SessionMessage]:
        answer = answer_of(completed, provider=self._sending.provider.name, cost=self._costs.cost)
        said = [self._signed(message) for message in (*completed.earlier, answer)]
        return await self._sending.inward(self._chain, said)

    def _signed(self, message: SessionMessage) -> SessionMessage:
        """Say on a message of the fallback whom it stands in for."""
        if self._sending.fell_back_from is not None:
            message.provider_metadata["fallback_from"] = self._sending.fell_back_from
        return message

    async def _completed(self, completed: Completed, answers: Sequence[SessionMessage]) -> TurnOutcome:
        sending, conversation = self._sending, self._conversation
        goes_on = self._goes_on(answers[-1])
        finish = self._finish(TurnState.COMPLETED)
        native, is_changed = finish.native, finish.native_changed
        if conversation.plan.keep_native:
            native = native_after(completed, plan=conversation.plan, begun=self._begun, provider=sending.provider)
            is_changed = True
        finish = replace(
            finish,
            answers=tuple(answers),
            usage=completed.usage,
            model=completed.model,
            keep_lease=goes_on,
            native=native,
            native_changed=is_changed,
        )
        finished = await self._store(finish)
        answer = finished.answers[-1]
        if self._chain.chunks() is None:
            sending.log.say(TextDelta(answer.content))
            self._span.first_chunk()
        self._answered = completed
        tell_output(self._span, [answer])
        sending.subject.adopt(finished.session)
        if conversation.rebuilds:
            sending.rebuilt_because = conversation.rebuild_reason
            sending.publish(EventType.SESSION_REBUILT)
        outcome = TurnOutcome(answer, completed)
        if goes_on:
            self._lease.keep()
        else:
            sending.conclude(outcome)
        return outcome

    @property
    def _retries(self) -> int:
        """Attempts made again, at the provider that was stood in for as well."""
        return self._earlier_retries + self._conversation.retries

    def _tell_sums(self) -> None:
        """Tell what the turn took, however it ended."""
        conversation, record, tally = self._conversation, self._begun.session, self._sending.tally
        tally.took(usage=self._costs.usage, retries=self._retries)
        if conversation.has_asked:
            tally.sent += len(conversation.plan.messages)
        if self._answered is not None:
            tally.answered(self._answered, plan=conversation.plan, record=record)
        tally.tell(self._span, messages_total=record.counters.messages)

    # Endings

    async def _ending(self, work: Coroutine[Any, Any, T]) -> T:
        """Store how the turn ended; from here on it is the storage that says whether the lease was lost."""
        self._lease.leave_to_storage()
        try:
            return await to_the_end(work)
        except TurnConflictError:
            self._span.lease_lost()
            raise

    async def _interrupted(self) -> None:
        sending = self._sending
        reason = sending.log.interruption or Interruption.CANCELLED
        if reason is Interruption.LEASE_LOST:
            self._span.lease_lost()
        self._span.interrupted(reason.value)
        finish = self._finish(TurnState.INTERRUPTED)
        if partial := await self._partial():
            finish = replace(finish, answers=(partial,))
            if self._span.shows_content:
                self._span.output_content(partial.content)
        try:
            finished = await self._store(finish)
        except TurnConflictError:
            if reason is not Interruption.LEASE_LOST:
                raise
        else:
            sending.subject.adopt(finished.session)
            sending.publish(EventType.TURN_INTERRUPTED)

    async def _partial(self) -> SessionMessage | None:
        """Return what was said so far, as far as middleware lets it be seen."""
        provider = self._sending.provider
        text = self._sending.log.text
        if self._chain.chunks() is None:
            message = partial_answer(self._conversation.buffered, provider=provider.name, model=provider.model)
            try:
                text = (await self._chain.inward(message)).content
            except MiddlewareError:  # what it would have taken out must not be stored
                return None
        if not text:
            return None
        return self._signed(partial_answer(text, provider=provider.name, model=provider.model))

    async def _failed(self, error: Exception) -> None:
        finish = replace(self._finish(TurnState.FAILED), error_type=type(error).__name__)
        finished = await self._store(finish)
        self._sending.subject.adopt(finished.session)
        self._sending.publish(EventType.TURN_FAILED)

    def _finish(self, state: TurnState) -> FinishTurn:
        conversation, provider = self._conversation, self._sending.provider
        self._costs.tell()
        doubtful = conversation.doubtful
        return FinishTurn(
            lease=self._begun.lease,
            native=None if doubtful is None else replace(doubtful, suspect=True),
            native_changed=doubtful is not None,
            state=state,
            now=now(),
            provider=provider.name,
            model=provider.model,
            mode=conversation.plan.mode.value,
            usage=self._costs.usage,
            cost=self._costs.cost,
            is_unpriced=self._costs.is_unpriced,
            was_unpriced=self._begun.turn.is_unpriced,
            duration_ms=(monotonic() - self._started) * 1000,
            retries=self._retries,
            rebuilds=conversation.rebuilds,
            traceparent=self._span.traceparent,
        )

    async def _store(self, finish: FinishTurn) -> Finished:
        storage = self._sending.services.storage
        with self._span.storage("append", backend=storage.backend, db_system=storage.db_system) as op:
            try:
                finished = await storage.finish_turn(finish)
            except StorageError as error:
                finished = await self._stored_after_all(finish, error)
            op.done(count=len(finish.answers), size=content_bytes(finish.answers))
        self._sending.stored = finish
        return finished

    async def _stored_after_all(self, finish: FinishTurn, error: StorageError) -> Finished:
        """Return what was stored although its confirmation was lost; else the error goes on."""
        finished: Finished | None = None
        with suppress(SessionError):  # a storage that is away cannot tell
            finished = await stored_after_all(self._sending.services.storage, finish)
        if finished is None:
            raise error
        return finished


def how_it_ended(sending: Sending) -> BaseException:
    """Return what the caller of an interrupted send is told."""
    reason = sending.log.interruption
    if reason is None or reason is Interruption.ABANDONED:  # nobody is left who could be told
        return asyncio.CancelledError()
    return interrupted_error(reason, session_id=sending.session_id)
