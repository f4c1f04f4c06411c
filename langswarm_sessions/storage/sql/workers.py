"""Daemon threads that run jobs one after the other, each with a connection of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from langswarm_sessions.errors import StorageError
from langswarm_sessions.storage.sql.jobs import Job, Transactions

__all__ = ["Workers"]

_OVERFLOW_IDLE_S = 5.0
_AT_EXIT_WAIT_S = 1.0
_FORK_WAIT_S = 10.0


class _Worker:
    """One thread. It never keeps the interpreter alive."""

    def __init__(
        self,
        transactions: Transactions,
        queue: SimpleQueue[Job | None],
        *,
        closing: threading.Lock,
        name: str,
        idle_s: float | None,
    ) -> None:
        self.transactions = transactions
        self.gate = threading.Lock()  # held while a job runs: who holds it may touch the connection
        self.is_free = True
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._queue = queue
        self._closing = closing
        self._idle_s = idle_s

    def _work(self) -> None:
        while True:
            try:
                job = self._queue.get(timeout=self._idle_s)
            except Empty:
                break
            if job is None:
                break
            self.is_free = False
            with self.gate:
                job.run(self.transactions)
            self.is_free = True
            if not job.is_delivered():
                with self.gate:
                    job.run_undo(self.transactions)
            del job  # an idle thread must not keep the data of its last unit alive
        with self._closing, self.gate:
            self.transactions.close()


class Workers:
    """Threads that share one queue; they start when there is work for them.

    Args:
        connect: Makes the transactions of one worker (or returns the only ones there can be); does no I/O.
        size: How many threads stay.
        overflow: How many more may run when all are busy; they end when they have been idle for a while.
        name: Prefix of the threads' names.
    """

    def __init__(self, connect: Callable[[], Transactions], *, size: int, overflow: int, name: str) -> None:
        self._connect = connect
        self._size = size
        self._overflow = overflow
        self._name = name
        self._is_stopped = False
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._workers: list[_Worker] = []
        self._at_rest: list[_Worker] = []
        self._lock = threading.Lock()
        self._closing = threading.Lock()  # two that close at once may each leave SQLite's files for the other to remove

    def submit(self, job: Job) -> None:
        """Run `job` in the next free worker; in the calling thread if the interpreter is ending.

        Raises:
            StorageError: The threads were ended.
        """
        if sys.is_finalizing():
            self._run_here(job)
            return
        with self._lock:  # what is queued after the end would wait for ever
            if self._is_stopped:
                raise StorageError("The storage is closed. Make a new one to go on.")
            is_taken = self._ensure_worker()
            if is_taken:
                self._queue.put(job)
        if not is_taken:
            self._run_here(job)

    def run_undo(self, job: Job) -> None:
        """Undo a job that is done, after what is queued; once the threads were ended, it stays until it expires."""
        if job.undo is not None and job.error is None:
            with suppress(StorageError):
                self.submit(Job(job.undo, (job.result,), deliver=lambda _: True, must_run=True))

    def stop(self) -> None:
        """Let what is queued run, close the connections and end the threads; nothing more is taken."""
        with self._lock:
            self._is_stopped = True
            workers, self._workers = self._workers, []
            for _ in workers:
                self._queue.put(None)
        for worker in workers:
            if worker.thread is not threading.current_thread() and not sys.is_finalizing():
                worker.thread.join()

    def before_fork(self) -> None:
        """Wait for running units and close the connections: the child must not inherit open ones.

        A unit that takes too long runs on, and keeps its connection.
        """
        self._lock.acquire()
        for worker in self._workers:
            if worker.gate.acquire(timeout=_FORK_WAIT_S):
                worker.transactions.before_fork()
                self._at_rest.append(worker)

    def after_fork_in_parent(self) -> None:
        """Let the workers go on; they open their connections anew."""
        while self._at_rest:
            self._at_rest.pop().gate.release()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Forget threads that exist only in the parent."""
        self._start_afresh()

    def _ensure_worker(self) -> bool:
        """Return whether a thread will take the next job, starting one if all are busy and another is allowed."""
        if len(self._workers) == 1 and self._size + self._overflow == 1:
            return True
        alive = [worker for worker in self._workers if worker.thread.is_alive()]
        busy = not self._queue.empty() or not any(worker.is_free for worker in alive)
        if not alive or (busy and len(alive) < self._size + self._overflow):
            idle_s = None if len(alive) < self._size else _OVERFLOW_IDLE_S
            name = f"{self._name}-{len(alive) + 1}"
            worker = _Worker(self._connect(), self._queue, closing=self._closing, name=name, idle_s=idle_s)
            try:
                worker.thread.start()
            except RuntimeError:  # no new threads at interpreter exit
                return bool(alive)
            alive.append(worker)
        self._workers = alive
        return True

    def _run_here(self, job: Job) -> None:
        for worker in self._workers:
            if worker.gate.acquire(timeout=_AT_EXIT_WAIT_S):
                try:
                    job.run(worker.transactions)
                finally:
                    worker.gate.release()
                job.is_delivered()
                return
        transactions = self._connect()
        try:
            job.run(transactions)
        finally:
            transactions.close()
        job.is_delivered()
