"""Keeping leases alive from a thread that the user's event loop cannot starve."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from langswarm_sessions.ids import monotonic, now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import Lease

__all__ = ["LeaseKeeper"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    lease: Lease
    loop: asyncio.AbstractEventLoop
    lost: Callable[[], None]
    is_left: Callable[[], bool] | None
    since: float


class LeaseKeeper:
    """Extends the leases of the running turns of one manager.

    The thread starts with the first turn that lasts, and ends when there is nothing to keep. After a fork another
    keeper takes its place.

    Args:
        storage: Where the leases are.
        lease_seconds: How long a lease lives without a beat; it is beaten three times as often.
    """

    def __init__(self, storage: EngineStorage, *, lease_seconds: float) -> None:
        self._storage = storage
        self._lease_seconds = lease_seconds
        self._interval = lease_seconds / 3
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, lease: Lease, lost: Callable[[], None], *, is_left: Callable[[], bool] | None = None) -> None:
        """Keep a lease until `release`.

        Args:
            lease: Which.
            lost: Called on the turn's loop when somebody took it over.
            is_left: Asked before each beat, in the keeper's thread: whether its turn is over, and its loop does not
                run to say so. Such a lease expires at once.
        """
        held = _Held(lease, asyncio.get_running_loop(), lost, is_left, monotonic())
        with self._lock:
            self._held[lease.turn_id] = held
            if self._thread is None:
                self._start()

    def release(self, lease: Lease) -> None:
        """Stop keeping a lease."""
        with self._lock:
            self._held.pop(lease.turn_id, None)

    def close(self) -> None:
        """Stop the thread."""
        with self._lock:
            self._held.clear()
            self._stop.set()
            self._thread = None

    def _start(self) -> None:
        self._stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(self._stop,), name="langswarm-sessions-leases", daemon=True)
        thread.start()  # may fail; the next turn then tries again
        self._thread = thread

    def _run(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(self._interval) and self._is_needed(stop):
                self._keep()
        finally:  # whatever ended it: the next turn starts another thread
            with self._lock:
                self._step_down()

    def _keep(self) -> None:
        with self._lock:
            due = [held for held in self._held.values() if monotonic() - held.since >= self._interval / 2]
        left = [held for held in due if held.is_left is not None and held.is_left()]
        self._beat([held for held in due if held not in left])
        self._beat(left, seconds=0)
        for held in left:
            self.release(held.lease)

    def _is_needed(self, stop: threading.Event) -> bool:
        with self._lock:
            # A turn whose loop is gone can never finish: unless it says so itself, its lease is left to expire.
            self._held = {
                key: held for key, held in self._held.items() if held.is_left is not None or not held.loop.is_closed()
            }
            if self._held and not stop.is_set():
                return True
            self._step_down()  # at once, for a turn that comes now must not count on this thread
            return False

    def _step_down(self) -> None:
        if self._thread is threading.current_thread():
            self._thread = None

    def _beat(self, due: list[_Held], *, seconds: float | None = None) -> None:
        if not due:
            return
        expires_at = now() + timedelta(seconds=self._lease_seconds if seconds is None else seconds)
        try:
            lost = self._storage.beat([held.lease for held in due], expires_at)
        except Exception as error:  # noqa: BLE001 - leases outlive two missed beats, and one failure must not end the keeping
            logger.warning("Leases could not be extended (%s); trying again.", type(error).__name__)
            return
        gone = {lease.turn_id for lease in lost}
        for held in due:
            if held.lease.turn_id in gone:
                with suppress(RuntimeError):  # its loop was closed
                    held.loop.call_soon_threadsafe(held.lost)
