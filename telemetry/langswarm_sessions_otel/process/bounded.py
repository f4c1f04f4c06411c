"""Work that may hang, waited for only so long."""

from __future__ import annotations

import functools
import logging
import math
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from queue import Empty, SimpleQueue

from langswarm_sessions_otel.errors import TelemetryConfigurationError
from langswarm_sessions_otel.process.forks import fork_safe_rlock

__all__ = ["Attendant", "Work", "checked_wait", "wait_for"]

Work = Callable[[], object]
_Jobs = SimpleQueue["tuple[Work, Future[bool]] | None"]

_logger = logging.getLogger("langswarm_sessions.telemetry")


class Attendant:
    """A daemon thread for work that may hang, so that whoever asks for it waits only so long.

    The thread is there from the start: an interpreter that is ending starts no more threads. It ends with the
    attendant. In a forked child there is none until `start_over`.

    Args:
        routine: A method to call whenever nothing was asked for during `every_seconds`; its object is not kept alive.
        every_seconds: How long that is, in seconds.
    """

    __slots__ = ("__weakref__", "_dismissed", "_end", "_every_seconds", "_jobs", "_lock", "_routine", "_waiting")

    def __init__(self, *, routine: Work | None = None, every_seconds: float | None = None) -> None:
        self._routine = None if routine is None else weakref.WeakMethod(routine)
        self._every_seconds = None if every_seconds is None else min(every_seconds, threading.TIMEOUT_MAX)
        self._lock = fork_safe_rlock()  # the handler of a signal may shut down in the middle of a flush
        self._dismissed = False
        self._end: weakref.finalize[..., Attendant] | None = None
        self.start_over()

    def start_over(self) -> None:
        """Begin with a thread of this process and nothing to do; one that was dismissed begins no more."""
        self._waiting: dict[Work, Future[bool]] = {}
        self._jobs: _Jobs = SimpleQueue()
        if self._end is not None:
            self._end.detach()
        if self._dismissed:
            return
        serve = functools.partial(_serve, self._jobs, self._routine, self._every_seconds)
        threading.Thread(target=serve, daemon=True, name="langswarm-telemetry").start()
        self._end = weakref.finalize(self, self._jobs.put, None)
        self._end.atexit = False

    def ask(self, work: Work) -> Future[bool]:
        """Have something done after what was asked for before; work that is waiting already is not added again.

        Args:
            work: What to run. A failure is logged once, by its type alone.

        Returns:
            The future result: False if the work failed or returned False.
        """

        def begin() -> object:
            with self._lock:
                self._waiting.pop(work, None)
            return work()

        with self._lock:
            waiting = self._waiting.get(work)
            if waiting is None:
                waiting = self._waiting[work] = Future()
                self._jobs.put((begin, waiting))
            return waiting

    def dismiss(self) -> None:
        """Let the thread end when it has done what was asked for; nothing more may be asked."""
        self._dismissed = True
        self._jobs.put(None)


def _serve(jobs: _Jobs, routine: weakref.WeakMethod[Work] | None, every_seconds: float | None) -> None:
    while True:
        try:
            job = jobs.get(timeout=every_seconds)
        except Empty:
            if routine is not None and (work := routine()) is not None:
                _succeeds(work)
                del work
            continue
        if job is None:
            return
        work, result = job
        result.set_result(_succeeds(work))
        del job, work, result


def _succeeds(work: Work) -> bool:
    try:
        return work() is not False
    except BaseException as error:  # noqa: BLE001 - an exporter's failure is no failure of the program, nor of the thread
        _log_once(type(error).__name__)
        return False


@functools.cache
def _log_once(error_name: str) -> None:
    _logger.warning("langswarm-sessions: telemetry could not be handed over: %s", error_name)


def checked_wait(timeout_seconds: object) -> float:
    """Return how long somebody wants to wait, in seconds.

    Args:
        timeout_seconds: What they gave; less than 0 is no time.

    Raises:
        TelemetryConfigurationError: It is no time at all.
    """
    if not isinstance(timeout_seconds, int | float) or isinstance(timeout_seconds, bool) or math.isnan(timeout_seconds):
        raise TelemetryConfigurationError("timeout_seconds must be a number of seconds.")
    return timeout_seconds


def wait_for(results: Iterable[Future[bool]], *, timeout_seconds: float) -> bool:
    """Wait for what attendants were asked for.

    Args:
        results: What they returned.
        timeout_seconds: How long to wait altogether, in seconds.

    Returns:
        True if all was done in time without failing.
    """
    done, late = wait(results, timeout=min(timeout_seconds, threading.TIMEOUT_MAX))
    return not late and all(result.result() for result in done)
