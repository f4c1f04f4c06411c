"""One way that telemetry leaves the process."""

from __future__ import annotations

import functools
from collections.abc import Generator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from langswarm_sessions_otel.process.bounded import Attendant, Work, wait_for
from langswarm_sessions_otel.process.forks import fork_safe_rlock, start_over_in_child

__all__ = ["Bounded", "Outlet", "Sender", "outlets_are_flushed_apart"]

_are_flushed_apart: ContextVar[bool] = ContextVar("langswarm_sessions_outlets_are_flushed_apart", default=False)


class Sender(Protocol):
    """What an outlet sends: it holds telemetry, and hands it over on the outlet's own thread."""

    @property
    def lost(self) -> int:
        """How many spans, or events, were given up; 0 where neither go."""
        ...

    def send(self) -> bool:
        """Hand over what is held; False when something was given up since the time before."""
        ...

    def send_regularly(self) -> None:
        """Hand over what has waited for long enough."""
        ...

    def stop(self, timeout_seconds: float) -> bool:
        """Hand over what is held within so many seconds, and stop; False as for `send`."""
        ...

    def start_over(self) -> None:
        """Begin with nothing held, in a process just forked."""
        ...


class Outlet:
    """Something that is flushed and ended, and for neither of which anybody waits longer than they said.

    Args:
        sender: What it sends.
        every_seconds: How often it sends without being asked, in seconds.
        timeout_seconds: The longest wait, in seconds.
    """

    __slots__ = ("__weakref__", "_attendant", "_end", "_lock", "_sender", "_timeout_seconds")

    def __init__(self, sender: Sender, *, every_seconds: float, timeout_seconds: float) -> None:
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._lock = fork_safe_rlock()
        self._end: Future[bool] | None = None
        self._attendant = Attendant(routine=sender.send_regularly, every_seconds=every_seconds)
        start_over_in_child(self)

    def start_over(self) -> None:
        """Begin with nothing held, in a process just forked. One that was told to stop has stopped."""
        self._sender.start_over()
        self._attendant.start_over()
        if self._end is not None:  # which is not asked: another thread may have held its lock at the fork
            self._end = Future()
            self._end.set_result(True)  # what it still held is the parent's

    @property
    def lost(self) -> int:
        """How many spans, or events, were given up."""
        return self._sender.lost

    @property
    def closed(self) -> bool:
        """Whether it was told to stop."""
        return self._end is not None

    def hurry(self, work: Work) -> None:
        """Have something done soon, on the outlet's own thread.

        Args:
            work: What to do.
        """
        with self._lock:
            if self._end is None:
                self._attendant.ask(work)

    def begin_flush(self) -> Future[bool]:
        """Start to hand over what is held, without waiting.

        Returns:
            Something for `wait_for`; once it was told to stop, what became of that.
        """
        with self._lock:
            return self._end or self._attendant.ask(self._sender.send)

    def begin_shutdown(self, timeout_seconds: float) -> Future[bool]:
        """Start to stop, without waiting.

        Args:
            timeout_seconds: How long it may take, in seconds.

        Returns:
            Something for `wait_for`, the same from the second call on.
        """
        with self._lock:
            if self._end is None:
                self._end = self._attendant.ask(functools.partial(self._sender.stop, timeout_seconds))
                self._attendant.dismiss()
            return self._end

    def flush(self, timeout_seconds: float) -> bool:
        """Hand over what is held.

        Args:
            timeout_seconds: How long to wait, in seconds; the outlet's own bound if that is less.

        Returns:
            True if all was handed over in time.
        """
        if _are_flushed_apart.get():
            return True
        bound = min(timeout_seconds, self._timeout_seconds)
        return wait_for([self.begin_flush()], timeout_seconds=bound)

    def shutdown(self) -> None:
        """Hand over what is held and stop, within the outlet's bound; a second call does not wait."""
        if not self.closed:
            bound = self._timeout_seconds
            wait_for([self.begin_shutdown(bound)], timeout_seconds=bound)


class Bounded:
    """What the processors and the reader of an outlet have in common: a flush and an end within its bound."""

    outlet: Outlet

    def force_flush(self, timeout_millis: float = 30_000) -> bool:
        """Send what is held.

        Args:
            timeout_millis: How long to wait, in milliseconds; the outlet's bound if that is less.

        Returns:
            True if all was taken in time.
        """
        return self.outlet.flush(timeout_millis / 1000)

    def shutdown(self, timeout_millis: float = 30_000, **_: object) -> None:
        """Send what is held and stop, within the outlet's bound."""
        self.outlet.shutdown()


@contextmanager
def outlets_are_flushed_apart() -> Generator[None]:
    """Have outlets say at once that they are flushed: who flushes a provider may flush its outlets by themselves."""
    token = _are_flushed_apart.set(True)
    try:
        yield
    finally:
        _are_flushed_apart.reset(token)
