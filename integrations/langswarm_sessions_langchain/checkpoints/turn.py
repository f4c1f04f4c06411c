"""A thread's turn: one at a time, in order, across everything that shares the database."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from langswarm_sessions.bridge import current_caller
from langswarm_sessions.config import Strategy
from langswarm_sessions.errors import SessionBusyError, SessionError, SessionExistsError, SessionNotFoundError
from langswarm_sessions.forks import fork_safe_lock, start_over_in_child
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.messages import TurnState
from langswarm_sessions.records import THREAD_TURNS, BeginTurn, Begun, FinishTurn, Lease, SessionRecord
from langswarm_sessions.storage.liveness import this_process
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.line.admission import admitted
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions.turns.line.held import HeldLease
from langswarm_sessions.turns.line.keeper import LeaseKeeper
from langswarm_sessions.turns.waiting import to_the_end

__all__ = ["ThreadTurn"]

_PROVIDER, _MODEL = "runnable", "langgraph"


class ThreadTurn:
    """The turn of a thread; see `SessionCheckpointSaver.turn`. Good for one use at a time.

    Args:
        manager: Whose storage the thread is in.
        user_id: Whose thread.
        thread_id: Which.
        wait: Seconds to wait for other turns; None takes the manager's `turn_wait`.
    """

    def __init__(self, manager: SessionManager, *, user_id: str, thread_id: str, wait: float | None = None) -> None:
        self._manager = manager
        self._line = _line_of(manager)
        self._thread_id = thread_id
        self._session_id = f"langgraph-turn:{len(user_id)}:{user_id}:{thread_id}"
        self._wait = self._line.turn_wait if wait is None else wait
        self._holder: asyncio.Task[None] | None = None
        self._leave: asyncio.Event | None = None

    async def __aenter__(self) -> Self:
        """Wait for the turn."""
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        # A task of its own, so that the turn may be left from another task than the one that entered it.
        self._holder = asyncio.ensure_future(self._hold(entered, self._leave, current_caller()))
        try:
            await asyncio.wait((self._holder, entered), return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._holder.cancel()
            await asyncio.wait((self._holder,))
            raise
        if not entered.done():
            await self._holder
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let the next one in."""
        holder, leave = self._holder, self._leave
        if holder is not None and leave is not None:
            leave.set()
            await to_the_end(_ended(holder))

    def __enter__(self) -> Self:
        """Wait for the turn, blocking."""
        self._manager.bridge.call(self.__aenter__)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the next one in."""
        self._manager.bridge.call(self.__aexit__)

    async def _hold(self, entered: asyncio.Future[None], leave: asyncio.Event, caller: object | None) -> None:
        async with self._line.turn(self._session_id, thread_id=self._thread_id, seconds=self._wait, caller=caller):
            if not entered.done():
                entered.set_result(None)
            await leave.wait()


class _Line:
    """The line before the threads of one storage: within the process by gates, among processes by leases."""

    def __init__(self, manager: SessionManager) -> None:
        services = manager._services  # pyright: ignore[reportPrivateUsage]
        self.turn_wait = services.turn_wait
        self._storage = services.storage
        self._lease_seconds = services.lease_seconds
        self.start_over()
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin without anybody in line; after a fork, those are the parent's."""
        self._gates = SessionGates()
        self._keeper = LeaseKeeper(self._storage, lease_seconds=self._lease_seconds)
        self._callers: dict[str, object | None] = {}

    @asynccontextmanager
    async def turn(
        self, session_id: str, *, thread_id: str, seconds: float, caller: object | None
    ) -> AsyncGenerator[None]:
        """Hold the turn of a thread within the block.

        Args:
            session_id: The session that is held in its place.
            thread_id: The thread, for errors.
            seconds: How long to wait.
            caller: The task or thread that asks for it.

        Raises:
            SessionBusyError: It took longer.
        """
        patience = Deadline.after(seconds)
        if not await self._gates.enter(session_id, seconds=seconds):
            is_own = caller is not None and self._callers.get(session_id) is caller
            raise _held_already(thread_id) if is_own else _busy(thread_id, seconds)
        held = HeldLease(self._storage, self._keeper)
        try:
            held.take(await self._taken(session_id, thread_id, patience), _lost)
            self._callers[session_id] = caller
            try:
                yield
            finally:
                del self._callers[session_id]
                lease = held.current
                await held.let_go()
                if lease is not None:
                    await to_the_end(self._finish(lease))
        finally:
            self._gates.leave(session_id)

    async def _taken(self, session_id: str, thread_id: str, patience: Deadline) -> Lease:
        """Wait until no other process holds the thread."""
        while True:
            with suppress(SessionExistsError):
                await self._storage.insert_session(_session(session_id))
            try:
                begun = await admitted(self._storage, self._beginning(session_id), patience=patience)
            except SessionNotFoundError:  # whoever was here before took its place away in this very moment
                if patience.left == 0:
                    raise
            except SessionBusyError:
                raise _busy(thread_id, patience.seconds or 0) from None
            else:
                assert isinstance(begun, Begun)
                return begun.lease

    async def _finish(self, lease: Lease) -> None:
        store = self._storage.checkpoints
        end = FinishTurn(
            lease=lease, state=TurnState.COMPLETED, now=now(), provider=_PROVIDER, model=_MODEL, mode="client"
        )
        with suppress(SessionError):  # taken over, or the storage is away: the lease expires
            await self._storage.finish_turn(end)
            if store is not None:
                await store.forget_turn(lease.session_id)

    def _beginning(self, session_id: str) -> BeginTurn:
        return BeginTurn(
            session_id=session_id,
            turn_id=new_id(),
            inputs=(),
            owner=this_process(),
            lease_seconds=self._lease_seconds,
            now=now(),
            needs=lambda _: None,
            input_digest="",
        )


_lines_lock = fork_safe_lock()
_lines: weakref.WeakKeyDictionary[SessionManager, _Line] = weakref.WeakKeyDictionary()


def _line_of(manager: SessionManager) -> _Line:
    with _lines_lock:
        line = _lines.get(manager)
        if line is None:
            line = _lines[manager] = _Line(manager)
        return line


def _session(session_id: str) -> SessionRecord:
    """Return the session that is held in a thread's place, and is there only as long as anybody holds or waits."""
    moment = now()
    return SessionRecord(
        session_id=session_id,
        user_id=THREAD_TURNS,
        provider=_PROVIDER,
        model=_MODEL,
        strategy=Strategy.CLIENT,
        created_at=moment,
        last_activity=moment,
    )


def _busy(thread_id: str, seconds: float) -> SessionBusyError:
    return SessionBusyError(
        f"Another run has held the thread for {round(seconds, 2):g} s. Try again, or raise wait= (or turn_wait=).",
        session_id=thread_id,
    )


def _held_already(thread_id: str) -> SessionBusyError:
    return SessionBusyError(
        "The one that waits for the thread holds its turn already. Within saver.turn(...) run the graph itself, not "
        "saver.ordered(graph); read a stream to its end, or close it, before the next run.",
        session_id=thread_id,
    )


def _lost() -> None:
    """Nothing to stop: what a run stores after its turn was taken over is refused where it is stored."""


async def _ended(holder: asyncio.Task[None]) -> None:
    await asyncio.wait((holder,))
