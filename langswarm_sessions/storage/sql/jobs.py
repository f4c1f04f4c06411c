"""Units of work on their way to a worker thread, and their outcome on the way back."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any, Protocol

from sqlalchemy import Connection

__all__ = ["Job", "Transactions", "Unit", "into_loop"]

Unit = Callable[..., Any]

_logger = logging.getLogger("langswarm_sessions.storage")


class Transactions(Protocol):
    """A connection that is opened on first use and runs units of work, each as one transaction."""

    def run(self, unit: Unit, args: tuple[Any, ...]) -> Any:
        """Run `unit(connection, *args)`; commit, or roll back if it raises."""
        ...

    def run_outside(self, unit: Unit, args: tuple[Any, ...]) -> Any:
        """Run `unit(connection, *args)` outside of any transaction."""
        ...

    def close(self) -> None:
        """Close the connection; the next run opens another."""
        ...

    def before_fork(self) -> None:
        """Close the connection if a child process must not inherit it."""
        ...


class _State(Enum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DELIVERED = "delivered"
    DROPPED = "dropped"


class Job:
    """One unit of work.

    Args:
        unit: Called with a connection and `args`, within a transaction.
        args: What it is given.
        deliver: Called with the job when it is done, in the worker's thread; returns whether anybody still waits.
        undo: Undoes a unit whose caller went away while it ran: called with a connection and the unit's result.
        must_run: Whether the unit runs even if its caller goes away before it starts.
        transaction: Whether the unit is a transaction; a few (VACUUM, a backup) must not be one.
    """

    __slots__ = (
        "_abandoned",
        "_lock",
        "_state",
        "args",
        "deliver",
        "error",
        "must_run",
        "result",
        "transaction",
        "undo",
        "unit",
    )

    def __init__(
        self,
        unit: Unit,
        args: tuple[Any, ...],
        *,
        deliver: Callable[[Job], bool],
        undo: Callable[[Connection, Any], None] | None = None,
        must_run: bool = False,
        transaction: bool = True,
    ) -> None:
        self.unit = unit
        self.transaction = transaction
        self.args = args
        self.deliver = deliver
        self.undo = undo
        self.must_run = must_run
        self.result: Any = None
        self.error: BaseException | None = None
        self._abandoned = False
        self._state = _State.QUEUED
        self._lock = threading.Lock()

    def run(self, transactions: Transactions) -> None:
        """Run the unit; never raises."""
        with self._lock:
            if self._state is _State.DROPPED:
                return
            self._state = _State.RUNNING
        try:
            run = transactions.run if self.transaction else transactions.run_outside
            self.result = run(self.unit, self.args)
        except BaseException as error:  # noqa: BLE001 - it is carried to the caller, whatever it is
            self.error = error
        with self._lock:
            self._state = _State.DONE

    def is_delivered(self) -> bool:
        """Hand the outcome over; return whether anybody took it (nobody has to take a unit that never ran)."""
        with self._lock:
            if self._state is _State.DROPPED:
                return True
            if self._abandoned:
                return False
            self._state = _State.DELIVERED
        return self.deliver(self)

    def run_undo(self, transactions: Transactions) -> None:
        """Undo a unit that was done for nobody."""
        if self.undo is None or self.error is not None:
            return
        try:
            transactions.run(self.undo, (self.result,))
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and a lease that stays expires by itself
            _logger.warning("What a caller that went away had begun could not be undone (%s).", type(error).__name__)

    def abandon(self) -> bool:
        """Say that nobody waits any more; return whether that is too late for the worker to undo the unit."""
        with self._lock:
            self._abandoned = True
            if self._state is _State.QUEUED and not self.must_run:
                self._state = _State.DROPPED
            return self._state is _State.DELIVERED


def into_loop(loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any]) -> Callable[[Job], bool]:
    """Return what carries a job's outcome into the event loop that waits for it."""

    def settle(job: Job) -> None:
        if future.done():
            return
        if job.error is None:
            future.set_result(job.result)
        else:
            future.set_exception(job.error)

    def deliver(job: Job) -> bool:
        try:
            loop.call_soon_threadsafe(settle, job)
        except RuntimeError:  # the loop was closed: its tasks are gone
            return False
        return True

    return deliver
