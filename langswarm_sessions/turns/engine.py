"""The turn engine of one manager: starts turns, keeps their tasks, and waits for those that are ending."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from functools import partial

from langswarm_sessions.bridge import current_caller
from langswarm_sessions.config import OnDisconnect
from langswarm_sessions.forks import leave_to_parent, start_over_in_child
from langswarm_sessions.ids import new_id
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import Lease, SessionRecord
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import TurnInput
from langswarm_sessions.turns.line.admission import busy_error
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions.turns.line.keeper import LeaseKeeper
from langswarm_sessions.turns.readers.live import LiveTurns
from langswarm_sessions.turns.readers.log import Interruption, TurnLog
from langswarm_sessions.turns.readers.running import RunningTurn, RunningTurns
from langswarm_sessions.turns.readers.stream import TurnOutcome, TurnStream
from langswarm_sessions.turns.send.foreign import HeldTurn
from langswarm_sessions.turns.send.holding import HeldTurns
from langswarm_sessions.turns.send.inside import carry_tools_into, refuse_inside_tool
from langswarm_sessions.turns.send.run import TurnRun
from langswarm_sessions.turns.services import TurnServices, TurnSubject

__all__ = ["TurnEngine"]

_CLOSING_SECONDS = 10.0


class TurnEngine:
    """Runs turns as tasks of the manager; streams are their readers.

    Args:
        services: What turns work with.
    """

    def __init__(self, services: TurnServices) -> None:
        self.services = services
        self._begin_anew()
        start_over_in_child(self)

    def _begin_anew(self) -> None:
        self._gates = SessionGates()
        self._keeper = LeaseKeeper(self.services.storage, lease_seconds=self.services.lease_seconds)
        self._live = LiveTurns()
        self.running = RunningTurns()
        self._foreign = HeldTurns()

    def start_over(self) -> None:
        """In a process just forked: the turns go on in the parent, and nobody waits for them here."""
        leave_to_parent(self._live.tasks)
        leave_to_parent(task for held in self._foreign if (task := held.task) is not None)
        self._begin_anew()

    def start(self, subject: TurnSubject, turn: TurnInput) -> TurnStream:
        """Return a reader of a new turn; the turn starts when it is first read, in the context it was asked for in.

        Args:
            subject: The session.
            turn: The input.
        """
        log = TurnLog(
            paced=turn.stream,
            idle_seconds=self.services.idle_seconds,
            on_disconnect=subject.record.config.on_disconnect,
        )
        begin = partial(self._begin, subject, turn, log, context=copy_context())
        return TurnStream(begin, log, session_id=subject.record.session_id)

    def launch(self, subject: TurnSubject, turn: TurnInput) -> RunningTurn:
        """Start a turn that goes on whether or not anybody reads it.

        Args:
            subject: The session.
            turn: The input; a streamed one, as its chunks may be read.
        """
        log = TurnLog(paced=False, idle_seconds=self.services.idle_seconds, on_disconnect=OnDisconnect.FINISH)
        task = self._begin(subject, turn, log, context=copy_context())
        running = RunningTurn(task, log, turn_id=new_id(), session_id=subject.record.session_id)
        self.running.add(running)
        return running

    def _begin(
        self, subject: TurnSubject, turn: TurnInput, log: TurnLog, *, context: Context
    ) -> asyncio.Task[TurnOutcome]:
        session_id = subject.record.session_id
        self._end_left_streams(session_id)
        run = TurnRun(
            services=self.services,
            gates=self._gates,
            keeper=self._keeper,
            subject=subject,
            turn=turn,
            log=log,
            live=self._live,
        )
        carry_tools_into(context)
        # Entered rather than passed on: factories of tasks need not know of contexts.
        task = context.run(asyncio.get_running_loop().create_task, run.execute(), name=f"turn of {session_id}")
        self._live.add(session_id, task, log)
        return task

    def hold(self, record: SessionRecord, *, steps_aside: bool = False) -> HeldTurn:
        """Return a turn that is to be held while somebody else answers in the session; it is not taken yet.

        Args:
            record: The session.
            steps_aside: Whether it is released when the task that took it begins another turn of the session.
        """
        self._end_left_streams(record.session_id)
        held = HeldTurn(
            services=self.services,
            gates=self._gates,
            keeper=self._keeper,
            record=record,
            steps_aside=steps_aside,
        )
        self._foreign.add(held)
        return held

    def heard(self, lease: Lease, messages: Sequence[SessionMessage]) -> None:
        """Let a held turn know what was said under its lease.

        Args:
            lease: The lease.
            messages: What was appended.
        """
        for held in self._foreign:
            if held.is_held and held.lease.turn_id == lease.turn_id:
                held.heard(messages)

    async def settle(self, session_id: str) -> None:
        """Wait for turns of a session whose reader has left, so that what they said is stored."""
        if not self._live.of(session_id):
            return
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        ending = [
            task for task, log in self._live.of(session_id) if log.interruption is not None and task.get_loop() is loop
        ]
        if ending:
            await asyncio.wait(ending)

    @asynccontextmanager
    async def between_turns(self, session_id: str) -> AsyncGenerator[None]:
        """Wait until no turn of this process holds a session, and let none begin meanwhile.

        Raises:
            SessionBusyError: A turn held it for longer than turns wait for each other, or waits for the tool that asks.
        """
        refuse_inside_tool(session_id)
        self._end_left_streams(session_id)
        patience = Deadline.after(self.services.turn_wait)
        if not await self._gates.enter(session_id, seconds=self.services.turn_wait):
            raise busy_error(session_id, patience)
        try:
            yield
        finally:
            self._gates.leave(session_id)

    async def close(self) -> None:
        """End running turns as interrupted, on whatever loop they run, and stop keeping leases."""
        self._live.end_orphans()
        live = self._live.everywhere()
        ending = [asyncio.wrap_future(_end(task, log)) for task, log in live if not task.get_loop().is_closed()]
        ending += [asyncio.wrap_future(ended) for held in self._foreign if (ended := held.interrupt()) is not None]
        try:
            if ending:
                await asyncio.wait(ending, timeout=_CLOSING_SECONDS)
        finally:
            self._keeper.close()

    def _end_left_streams(self, session_id: str) -> None:
        """End streams that wait for the very task which now starts another turn: it cannot read them meanwhile."""
        current = current_caller()
        for task, log in self._live.of(session_id):
            if log.is_left_by(current) and log.disconnect():
                task.cancel()
        for held in self._foreign:
            held.step_aside(session_id, for_caller=current)


def _end(task: asyncio.Task[TurnOutcome], log: TurnLog) -> Future[None]:
    """Interrupt a turn from whatever thread; the future is done when the turn is."""
    ended: Future[None] = Future()

    def interrupt() -> None:
        if not task.done():
            log.interrupt(Interruption.CANCELLED)
            task.cancel()
        task.add_done_callback(lambda _: ended.set_result(None))

    task.get_loop().call_soon_threadsafe(interrupt)
    return ended
