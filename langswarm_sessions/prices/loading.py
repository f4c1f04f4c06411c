"""Load something once, by a thread in the background; whoever needs it waits, though not for long."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, Generic, TypeVar

from langswarm_sessions.forks import fork_safe_lock, start_over_in_child
from langswarm_sessions.ids import monotonic

__all__ = ["BackgroundLoad"]

T = TypeVar("T")

_LONGEST_WAIT_SECONDS = 5.0
_PAUSE_SECONDS = 300.0
_LONGEST_WAIT_OF_A_FORK_SECONDS = 2.0


class _Attempt(Generic[T]):
    """One try to load it."""

    __slots__ = ("ended", "failed_at", "started", "thread", "value")

    def __init__(self) -> None:
        self.started = monotonic()
        self.failed_at: float | None = None
        self.value: T | None = None
        self.thread: threading.Thread | None = None
        self.ended: Future[None] = Future()
        self.ended.set_running_or_notify_cancel()  # who stops waiting for it does not end it for others

    @property
    def is_pending(self) -> bool:
        return self.value is None and self.failed_at is None

    @property
    def patience(self) -> float:
        """How long it is still waited for, in seconds: all who wait share one time."""
        return self.started + _LONGEST_WAIT_SECONDS - monotonic() if self.is_pending else 0.0

    @property
    def may_be_repeated(self) -> bool:
        return self.failed_at is not None and monotonic() - self.failed_at >= _PAUSE_SECONDS


class BackgroundLoad(Generic[T]):
    """Loads a value once. After a failure it is not tried again for a while.

    A fork waits for a loading that is under way, though not for long: imports that a fork cuts off cannot be repeated.

    Args:
        load: Loads it, in the thread; it logs what goes wrong, and returns None.
        name: Of the thread.
    """

    def __init__(self, load: Callable[[], T | None], *, name: str) -> None:
        self._load = load
        self._name = name
        self._lock = fork_safe_lock()
        self._attempt: _Attempt[T] | None = None
        start_over_in_child(self)
        _loads.add(self)

    @property
    def value(self) -> T | None:
        """What was loaded; None until then."""
        attempt = self._attempt
        return None if attempt is None else attempt.value

    def start(self) -> None:
        """Have it loaded by a thread, unless it is or was, or failed just now."""
        if self._is_begun:
            return
        with self._lock:
            if self._is_begun:
                return
            self._attempt = attempt = _Attempt[T]()
            attempt.thread = threading.Thread(target=self._run, args=(attempt,), name=self._name, daemon=True)
            try:
                attempt.thread.start()
            except RuntimeError:  # no more threads, or the interpreter ends
                attempt.failed_at = monotonic()
                attempt.ended.set_result(None)

    @property
    def _is_begun(self) -> bool:
        attempt = self._attempt
        return attempt is not None and not attempt.may_be_repeated

    async def loaded(self) -> T | None:
        """Return what was loaded; wait for it, though not for long. None when it is not there."""
        self.start()
        attempt = self._attempt
        if attempt is None:
            return None
        if (left := attempt.patience) > 0:
            ended = asyncio.wrap_future(attempt.ended)
            try:
                await asyncio.wait({ended}, timeout=left)
            finally:
                ended.cancel()  # else it tells a loop that may be closed by then
        return attempt.value

    def start_over(self) -> None:
        """Forget a loading whose thread stayed behind in the process that was forked."""
        if self._attempt is not None and self._attempt.is_pending:
            self._attempt = None

    def settle(self) -> None:
        """Wait for a loading that is under way, though not for long."""
        attempt = self._attempt
        if attempt is not None and attempt.thread is not threading.current_thread() and (left := attempt.patience) > 0:
            wait({attempt.ended}, timeout=min(left, _LONGEST_WAIT_OF_A_FORK_SECONDS))

    def _run(self, attempt: _Attempt[T]) -> None:
        try:
            attempt.value = self._load()
        finally:
            if attempt.value is None:
                attempt.failed_at = monotonic()
            attempt.ended.set_result(None)


_loads: weakref.WeakSet[BackgroundLoad[Any]] = weakref.WeakSet()


def _settle() -> None:
    for load in list(_loads):
        load.settle()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_settle)
