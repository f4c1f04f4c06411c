"""A turn whose answers somebody else makes: the run of an agent framework."""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Self

from langswarm_sessions.bridge import current_caller
from langswarm_sessions.errors import SessionError, TurnConflictError
from langswarm_sessions.ids import monotonic, new_id, now
from langswarm_sessions.messages import Role, SessionMessage, content_bytes
from langswarm_sessions.records import BeginTurn, Begun, FinishTurn, Lease, SessionRecord, Usage
from langswarm_sessions.storage.liveness import this_process
from langswarm_sessions.strategies import Mode
from langswarm_sessions.turns.captured import tell_input, tell_output
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions.turns.line.admission import admitted, entered
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions.turns.line.held import HeldLease
from langswarm_sessions.turns.line.keeper import LeaseKeeper
from langswarm_sessions.turns.orphans import end_orphan, is_orphan
from langswarm_sessions.turns.send.inside import refuse_inside_tool
from langswarm_sessions.turns.send.run_ending import (
    CANCELLED,
    COMPLETED,
    LEASE_LOST,
    PAUSED,
    RunEnding,
    broken_off_by,
)
from langswarm_sessions.turns.services import TurnServices
from langswarm_sessions.turns.waiting import to_the_end
from langswarm_sessions_otel import StorageScope, TurnScope

__all__ = ["HeldTurn"]

logger = logging.getLogger(__name__)


class HeldTurn:
    """Holds a session for as long as somebody else's run answers in it: no other turn of the session begins meanwhile.

    A task of its own holds it, so that it can be taken in one task and released in another, or in a callback. What is
    said meanwhile is appended with `lease` as `held`. One that is dropped without a release is released with its loop.

    Args:
        services: What turns work with.
        gates: The lines of this process.
        keeper: Beats leases.
        record: The session.
        steps_aside: Whether it is released when the task that took it begins another turn of the session.
    """

    def __init__(
        self,
        *,
        services: TurnServices,
        gates: SessionGates,
        keeper: LeaseKeeper,
        record: SessionRecord,
        steps_aside: bool = False,
    ) -> None:
        self._services = services
        self._gates = gates
        self._record = record
        self._lease = HeldLease(services.storage, keeper)
        self._released = asyncio.Event()
        self._taken: asyncio.Future[Lease] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = CANCELLED
        self._usage: Callable[[], Usage | None] = _unknown
        self._steps_aside = steps_aside
        self._is_over = False
        self._is_awaited = False
        self._is_stored = False
        self._taker: weakref.ref[object] | None = None
        self._span: TurnScope | None = None
        self._has_input = False

    @property
    def lease(self) -> Lease:
        """The lease, once it is taken."""
        assert self._taken is not None
        return self._taken.result()

    @property
    def task(self) -> asyncio.Task[None] | None:
        """The task that holds it, once it was begun."""
        return self._task

    @property
    def is_held(self) -> bool:
        """Whether it is taken, and neither released nor lost."""
        taken, task = self._taken, self._task
        return (
            taken is not None and taken.done() and not self._released.is_set() and task is not None and not task.done()
        )

    async def take(self) -> Lease:
        """Wait in line for the session.

        Raises:
            SessionBusyError: Another turn held it for longer than turns wait for each other, or waits for the tool
                that asks.
            SessionNotFoundError: It was deleted.
            SessionArchivedError: It is archived.
        """
        refuse_inside_tool(self._record.session_id)
        caller = current_caller()
        self._taker = None if caller is None else weakref.ref(caller)
        loop = asyncio.get_running_loop()
        self._taken = loop.create_future()
        self._task = task = loop.create_task(self._hold(self._taken), name=f"run in {self._record.session_id}")
        task.add_done_callback(self._tell)
        waiting: set[asyncio.Future[Any]] = {task, self._taken}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not self._taken.done():
            task.result()
        return self._taken.result()

    def count(self, usage: Callable[[], Usage | None]) -> None:
        """Say what to ask for the run's tokens, however it ends, unless `release` is told them.

        Args:
            usage: Returns those used so far; None: unknown.
        """
        self._usage = usage

    def release(self, *, usage: Usage | None = None) -> None:
        """Let go of the session, soon, as the run came to its end; from any thread.

        The first of `release`, `pause` and `abort` is what holds. Where the loop it was taken on has stopped and stays
        open, as that of a `run_sync`, the session is let go of within a third of the time a lease lives.

        Args:
            usage: Tokens of the run; None: what `count` was told to ask says.
        """
        self._let_go(COMPLETED, usage)

    def pause(self) -> None:
        """Let go of the session, as `release` does: the run waits for somebody, and another run will go on with it.

        Its tokens are counted there. The turn is stored as interrupted; its span is well, and says that it is paused.
        """
        self._let_go(PAUSED)

    def abort(self, error: BaseException | None = None) -> None:
        """Let go of the session, as `release` does: the run was broken off. What was said in it stays.

        Args:
            error: What broke it off, a cancellation included; None: whoever ran it went away.
        """
        self._let_go(broken_off_by(error))

    def _let_go(self, ending: RunEnding, usage: Usage | None = None) -> None:
        if self._task is None or self._task.done():
            return
        self._is_over = True
        if self._span is not None:
            self._span.runs_no_more()
        with suppress(RuntimeError):  # its loop is closed, and with it the turn was released
            self._task.get_loop().call_soon_threadsafe(self._end, ending, usage)

    def heard(self, messages: Sequence[SessionMessage]) -> None:
        """Take note of what was said meanwhile: its span shows the first input and the last answer, if it may.

        Args:
            messages: What was appended under the lease.
        """
        span = self._span
        if span is None or not span.shows_content:
            return
        inputs = [message for message in messages if message.role is Role.USER]
        answers = [message for message in messages if message.role is Role.ASSISTANT]
        if inputs and not self._has_input:
            self._has_input = True
            tell_input(span, inputs)
        if answers:
            tell_output(span, answers[-1:])

    async def end(self) -> None:
        """Wait until it is released and this is stored.

        Raises:
            SessionError: Its end could not be stored: the session is free once the lease has expired.
        """
        task = self._task
        if task is None:
            return
        self._is_awaited = True
        await asyncio.wait({task})
        if not task.cancelled() and isinstance(error := task.exception(), SessionError):
            raise error

    def interrupt(self) -> Future[None] | None:
        """Release it as interrupted, from any thread; return what is done when this is stored, if it still runs."""
        task = self._task
        if task is None or task.done():
            return None
        if is_orphan(task):
            end_orphan(task)
            return None
        ended: Future[None] = Future()

        def cancel() -> None:
            task.add_done_callback(lambda _: ended.set_result(None))
            task.cancel()

        task.get_loop().call_soon_threadsafe(cancel)
        return ended

    def step_aside(self, session_id: str, *, for_caller: object | None) -> None:
        """Make way for a turn that the very task begins which took this one: it does not wait for this any more."""
        if not self._steps_aside or self._record.session_id != session_id or self._taker is None:
            return
        if for_caller is not None and self._taker() is for_caller:
            self.abort()

    async def __aenter__(self) -> Self:
        """Take it."""
        await self.take()
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Release it, or abort it with what leaves the block."""
        if error is None:
            self.release()
            await self.end()
            return
        self.abort(error)
        if self._task is not None:  # what went wrong in the block is told, not that its end was not stored as well
            await asyncio.wait({self._task})

    def _end(self, ending: RunEnding, usage: Usage | None = None) -> None:
        if self._released.is_set():
            return
        self._ending = ending
        if usage is not None:
            self._usage = lambda: usage
        elif ending is PAUSED:
            self._usage = _unknown
        self._released.set()

    def _lost(self) -> None:
        self._end(LEASE_LOST)

    def _is_left(self) -> bool:
        """Let the next one of this process in, and say so, when it was released on a loop that does not run."""
        task = self._task
        if task is not None and is_orphan(task):
            end_orphan(task)
            return True
        if not self._is_over or task is None or task.get_loop().is_running():
            return False
        self._gates.leave(self._record.session_id, of=task)
        return True

    async def _hold(self, taken: asyncio.Future[Lease]) -> None:
        record, services = self._record, self._services
        with services.telemetry.turn(
            session_id=record.session_id,
            agent_name=record.config.agent_name or "session",
            operation="run",
            mode=record.strategy.value,
            provider=record.provider,
            model=record.model,
            stream=False,
        ) as span:
            patience = Deadline.after(services.turn_wait)
            await entered(self._gates, record.session_id, patience=patience, span=span)
            try:
                with self._storage_span(span, "load") as op:
                    begun = await admitted(services.storage, self._beginning(), patience=patience, span=span)
                    assert isinstance(begun, Begun)
                    op.done(count=len(begun.history), size=content_bytes(begun.history))
                self._lease.take(begun.lease, self._lost, is_left=self._is_left)
                self._span = span
                span.began(turn_index=begun.turn.index, previous=begun.previous_trace, mode=Mode.CLIENT.value)
                await self._held(begun, taken, span)
            finally:
                self._gates.leave(record.session_id)

    async def _held(self, begun: Begun, taken: asyncio.Future[Lease], span: TurnScope) -> None:
        started = monotonic()
        try:
            if not taken.cancelled():
                taken.set_result(begun.lease)
                await self._released.wait()
        except BaseException as error:  # its manager is closed, or its loop
            is_late = self._released.is_set() and isinstance(error, asyncio.CancelledError)
            self._end(broken_off_by(error))
            if not is_late:  # else it had ended
                raise
        finally:
            usage = self._counted()
            finish = FinishTurn(
                lease=begun.lease,
                state=self._ending.state,
                error_type=self._ending.error_type,
                now=now(),
                provider=self._record.provider,
                model=self._record.model,
                mode=Mode.CLIENT.value,
                usage=usage,
                is_unpriced=True,  # whoever ran it does not tell which models were asked, nor where
                duration_ms=(monotonic() - started) * 1000,
                traceparent=span.traceparent,
            )
            if usage is not None:
                span.finished(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens)
            if self._services.pricing.is_on:
                span.cost_is_partial()
            self._ending.tell(span)
            self._ending = self._ending.told
            self._lease.leave_to_storage()
            try:
                await to_the_end(self._stored(finish, span))
            except TurnConflictError:  # taken over, and with it the turn ended
                span.lease_lost()
                LEASE_LOST.tell(span)
            except asyncio.CancelledError:
                if not self._is_stored:  # else too late
                    raise
            finally:
                await self._lease.let_go()

    async def _stored(self, finish: FinishTurn, span: TurnScope) -> None:
        with self._storage_span(span, "append") as op:
            await self._services.storage.finish_turn(finish)
            op.done(count=0, size=0)  # what was said meanwhile was stored, and told, as it was said
        self._is_stored = True

    def _counted(self) -> Usage | None:
        try:
            return self._usage()
        except Exception as error:  # noqa: BLE001 - a function of whoever runs it: the session is let go of all the same
            logger.warning("The tokens of a run could not be counted (%s).", type(error).__name__)
            return None

    def _storage_span(self, span: TurnScope, operation: str) -> StorageScope:
        storage = self._services.storage
        return span.storage(operation, backend=storage.backend, db_system=storage.db_system)

    def _beginning(self) -> BeginTurn:
        return BeginTurn(
            session_id=self._record.session_id,
            turn_id=new_id(),
            inputs=(),
            owner=this_process(),
            lease_seconds=self._services.lease_seconds,
            now=now(),
            needs=lambda _: None,
            input_digest=input_digest(()),
            user_id=self._record.user_id,
        )

    def _tell(self, task: asyncio.Task[None]) -> None:
        """Log that its end could not be stored, unless somebody waits for it; what else failed was told by `take`."""
        error = None if task.cancelled() else task.exception()
        was_taken = self._taken is not None and self._taken.done() and not self._taken.cancelled()
        if error is not None and was_taken and not self._is_awaited:
            logger.warning(
                "The end of a run of session %s could not be stored (%s): other turns of it wait until its lease of "
                "%g s has expired.",
                self._record.session_id,
                type(error).__name__,
                self._services.lease_seconds,
            )


def _unknown() -> Usage | None:
    return None
