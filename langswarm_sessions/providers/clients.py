"""SDK clients: one per event loop, closed with their loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from langswarm_sessions.forks import fork_safe_lock

__all__ = ["LoopClients", "MadeClient", "silent_seconds"]

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class MadeClient(Generic[C]):
    """A client for one loop, and what closes it (None: it is not ours to close)."""

    client: C
    close: Callable[[], Awaitable[object]] | None


@dataclass(frozen=True, slots=True)
class _Kept(Generic[C]):
    """`keeper` is an async generator that waits for its end. The loop ends it before it closes, and with it the client,
    so that no connection outlives its loop.
    """

    client: C
    keeper: AsyncGenerator[None, None] | None


class LoopClients(Generic[C]):
    """The clients of one connection: an SDK's pool of connections belongs to the loop it was opened on.

    Args:
        make: Makes a client for the running loop; does no I/O.
    """

    def __init__(self, make: Callable[[], MadeClient[C]]) -> None:
        self._make = make
        self._kept: dict[asyncio.AbstractEventLoop, _Kept[C]] = {}
        self._lock = fork_safe_lock()

    def get(self) -> C | None:
        """Return the running loop's client, if there is one."""
        kept = self._kept.get(asyncio.get_running_loop())
        return None if kept is None else kept.client

    async def open(self) -> C:
        """Return the running loop's client, made on first use."""
        if (client := self.get()) is not None:
            return client
        made = self._make()
        keeper = None if made.close is None else _close_at_end(made.close)
        with self._lock:
            self._kept = {loop: kept for loop, kept in self._kept.items() if not loop.is_closed()}
            self._kept[asyncio.get_running_loop()] = _Kept(made.client, keeper)
        if keeper is not None:
            await anext(keeper)  # from now on the loop knows it
        return made.client

    async def aclose(self) -> None:
        """Close the running loop's client if it is ours. Those of other loops are closed on their own loops."""
        with self._lock:
            kept, self._kept = self._kept, {}
        mine = kept.pop(asyncio.get_running_loop(), None)
        if mine is not None and mine.keeper is not None:
            await mine.keeper.aclose()
        # Dropping the last reference to a keeper makes its own loop end it.


async def _close_at_end(close: Callable[[], Awaitable[object]]) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await close()


def silent_seconds(timeout: object) -> float | None:
    """Return after how many seconds without a byte a client gives up; None when it never does, or it cannot be told.

    Args:
        timeout: A client's own setting: seconds, or an httpx timeout that tells its phases apart.
    """
    seconds: object = getattr(timeout, "read", timeout)
    return float(seconds) if isinstance(seconds, int | float) else None
