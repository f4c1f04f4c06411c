"""Where the server waits for the test, instead of for a clock."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

_ABANDON_CHECK_SECONDS = 0.02


class Gate:
    """A point the server may only pass with the test's permission.

    Each passage uses up one permit; an opened gate needs none. Thread-safe: the test may be sync or async.

    Example:
        >>> gate = Gate()
        >>> server.script(Reply(chunks=("one ", "two"), gate=gate))
        >>> gate.permit()              # lets the first chunk out
        >>> gate.wait_for_arrivals(2)  # the server now stands before the second
        >>> gate.open()
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._permits = 0
        self._is_open = False
        self._arrivals = 0

    @property
    def arrivals(self) -> int:
        """How often the server has come to this gate."""
        with self._changed:
            return self._arrivals

    def permit(self, count: int = 1) -> None:
        """Let the server pass ``count`` more times."""
        with self._changed:
            self._permits += count
            self._changed.notify_all()

    def open(self) -> None:
        """Let the server pass from now on, however often."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def wait_for_arrivals(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Block until the server has come here ``count`` times.

        Args:
            count: Arrivals to wait for, counted from the gate's creation.
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: The server did not come in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrivals >= count, timeout):
                raise TimeoutError(f"the server came to the gate {self._arrivals} times, not {count}")

    async def arrived(self, count: int = 1, *, timeout: float = 10.0) -> None:
        """Wait like `wait_for_arrivals` without blocking the running event loop."""
        await asyncio.to_thread(self.wait_for_arrivals, count, timeout=timeout)

    def pass_through(self, is_abandoned: Callable[[], bool]) -> bool:
        """Wait for permission on the server's side.

        Args:
            is_abandoned: Asked now and then; True ends the wait.

        Returns:
            False when the wait was abandoned.
        """
        with self._changed:
            self._arrivals += 1
            self._changed.notify_all()
            while not self._is_open and self._permits == 0:
                self._changed.wait(_ABANDON_CHECK_SECONDS)
                if is_abandoned():
                    return False
            if not self._is_open:
                self._permits -= 1
            return True
