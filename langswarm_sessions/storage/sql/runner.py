"""Run units of work: one hop to a thread, usable from every event loop and thread, safe to cancel and to fork."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar, TypeVarTuple

from sqlalchemy import Connection

from langswarm_sessions.storage.sql.jobs import Job, Transactions, into_loop
from langswarm_sessions.storage.sql.workers import Workers

__all__ = ["Runner"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_runners: weakref.WeakSet[Runner] = weakref.WeakSet()


class Runner:
    """One writer thread and a few reader threads over one database.

    Writers of this process never wait for each other's locks: there is one. Threads start with the first unit of work
    and do not keep the interpreter alive.

    Args:
        connect_writer: Makes the writer's transactions; does no I/O.
        connect_reader: Makes a reader's transactions (None: reads go through the writer).
        readers: How many reader threads stay.
        overflow: How many more may run when all are busy.
    """

    def __init__(
        self,
        connect_writer: Callable[[], Transactions],
        connect_reader: Callable[[], Transactions] | None,
        *,
        readers: int = 1,
        overflow: int = 0,
    ) -> None:
        self._writer = Workers(connect_writer, size=1, overflow=0, name="langswarm-sessions-writer")
        self._readers = (
            self._writer
            if connect_reader is None
            else Workers(connect_reader, size=readers, overflow=overflow, name="langswarm-sessions-reader")
        )
        self._closed = False
        _runners.add(self)
        self._finalizer = weakref.finalize(self, _stop, self._writer, self._readers)
        self._finalizer.atexit = False

    async def write(self, unit: Callable[[Connection, *Ts], T], /, *args: *Ts) -> T:
        """Run a unit that writes. A caller that is cancelled before it starts leaves nothing behind."""
        return await self._run(self._writer, unit, args, undo=None, must_run=False)

    async def write_surely(self, unit: Callable[[Connection, *Ts], T], /, *args: *Ts) -> T:
        """Run a unit that writes, even if its caller is cancelled before it starts."""
        return await self._run(self._writer, unit, args, undo=None, must_run=True)

    async def write_or_undo(
        self, unit: Callable[[Connection, Any], T], argument: Any, undo: Callable[[Connection, T], None]
    ) -> T:
        """Run a unit that writes; if its caller is cancelled while it runs, undo what it did."""
        return await self._run(self._writer, unit, (argument,), undo=undo, must_run=False)

    async def read(self, unit: Callable[[Connection, *Ts], T], /, *args: *Ts) -> T:
        """Run a unit that only reads, on one snapshot of the database."""
        return await self._run(self._readers, unit, args, undo=None, must_run=False)

    async def outside(self, unit: Callable[[Connection, *Ts], T], /, *args: *Ts) -> T:
        """Run a unit that must not be a transaction, on a connection that reads; in memory there is but one."""
        return await self._run(self._readers, unit, args, undo=None, must_run=False, transaction=False)

    def write_blocking(self, unit: Callable[[Connection, *Ts], T], /, *args: *Ts) -> T:
        """Run a unit that writes and wait for it in the calling thread."""
        done = threading.Event()

        def deliver(_: Job) -> bool:
            done.set()
            return True

        job = Job(unit, args, deliver=deliver, must_run=True)
        self._writer.submit(job)
        done.wait()
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    async def close(self) -> None:
        """Let what is queued run, then close connections and end the threads; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            await asyncio.to_thread(self._stop)
        except RuntimeError:  # no thread to be had at interpreter exit
            self._stop()

    def _stop(self) -> None:
        _stop(self._writer, self._readers)

    async def _run(
        self,
        workers: Workers,
        unit: Callable[..., T],
        args: tuple[Any, ...],
        *,
        undo: Callable[[Connection, T], None] | None,
        must_run: bool,
        transaction: bool = True,
    ) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        deliver = into_loop(loop, future)
        job = Job(unit, args, deliver=deliver, undo=undo, must_run=must_run, transaction=transaction)
        workers.submit(job)
        try:
            return await future
        except asyncio.CancelledError:
            if job.abandon() and undo is not None:
                workers.run_undo(job)
            raise

    def before_fork(self) -> None:
        """Bring the threads to rest and close their connections."""
        for workers in self._both():
            workers.before_fork()

    def after_fork_in_parent(self) -> None:
        """Let the threads go on."""
        for workers in self._both():
            workers.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Begin with new threads and connections."""
        for workers in self._both():
            workers.after_fork_in_child()

    def _both(self) -> tuple[Workers, ...]:
        return (self._writer,) if self._readers is self._writer else (self._writer, self._readers)


def _stop(writer: Workers, readers: Workers) -> None:
    if readers is not writer:
        readers.stop()
    writer.stop()


_at_rest: list[Runner] = []


def _before_fork() -> None:
    _at_rest[:] = list(_runners)
    for runner in _at_rest:
        runner.before_fork()


def _after_fork_in_parent() -> None:
    for runner in _at_rest:
        runner.after_fork_in_parent()
    _at_rest.clear()


def _after_fork_in_child() -> None:
    for runner in _at_rest:
        runner.after_fork_in_child()
    _at_rest.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
