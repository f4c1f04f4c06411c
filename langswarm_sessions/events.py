"""Session events: what happened, told to whoever subscribed, without ever slowing a turn."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Self

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.ids import now

__all__ = ["EventBus", "EventStream", "EventType", "Overflow", "SessionEvent"]

PREVIEW_CHARACTERS = 100


class EventType(StrEnum):
    """What happened."""

    SESSION_CREATED = "session_created"
    MESSAGE_SENT = "message_sent"
    SESSION_ARCHIVED = "session_archived"
    SESSION_RESTORED = "session_restored"
    SESSION_DELETED = "session_deleted"
    SESSION_REBUILT = "session_rebuilt"
    SESSION_HANDOFF = "session_handoff"
    TURN_FAILED = "turn_failed"
    TURN_INTERRUPTED = "turn_interrupted"


class Overflow(StrEnum):
    """What happens when a subscriber has not read for so long that its queue is full."""

    DROP_OLDEST = "drop_oldest"
    DROP_NEWEST = "drop_newest"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent:
    """One thing that happened; `message_preview` is at most the first 100 characters of the answer."""

    type: EventType
    session_id: str
    user_id: str
    message_preview: str | None = field(default=None, repr=False)
    timestamp: datetime = field(default_factory=now)


class EventStream(AsyncIterator[SessionEvent]):
    """One subscriber's queue. Iterate it with `async for`; `aclose()` or garbage collection unsubscribes.

    Attributes:
        dropped: How many events this subscriber has lost to overflow.
    """

    def __init__(self, *, max_queue: int, overflow: Overflow) -> None:
        self.dropped = 0
        self._max_queue = max_queue
        self._overflow = overflow
        self._queue: deque[SessionEvent] = deque()
        self._lock = fork_safe_lock()
        self._closed = False
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def put(self, event: SessionEvent) -> None:
        """Queue an event, from whatever thread; never blocks."""
        with self._lock:
            if self._closed:
                return
            if len(self._queue) >= self._max_queue:
                self.dropped += 1
                if self._overflow is Overflow.DROP_NEWEST:
                    return
                if self._overflow is Overflow.CLOSE:
                    self._closed = True
                    self._wake()
                    return
                self._queue.popleft()
            self._queue.append(event)
            self._wake()

    async def __anext__(self) -> SessionEvent:
        """Return the next event, waiting for it."""
        while True:
            with self._lock:
                if self._queue:
                    return self._queue.popleft()
                if self._closed:
                    raise StopAsyncIteration
                loop = asyncio.get_running_loop()
                waiter: asyncio.Future[None] = loop.create_future()
                self._waiters = [*(entry for entry in self._waiters if not entry[1].done()), (loop, waiter)]
            await waiter

    async def aclose(self) -> None:
        """Unsubscribe; events queued so far can still be read."""
        self.close()

    def close(self) -> None:
        """Unsubscribe, from whatever thread."""
        with self._lock:
            self._closed = True
            self._wake()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Unsubscribe."""
        await self.aclose()

    def _wake(self) -> None:
        for loop, waiter in self._waiters:
            with suppress(RuntimeError):  # a reader whose loop was closed reads no more
                loop.call_soon_threadsafe(_resolve, waiter)


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class EventBus:
    """Delivers every event to every subscriber, in the order of publishing."""

    def __init__(self) -> None:
        self._lock = fork_safe_lock()
        self._closed = False
        self._streams: weakref.WeakSet[EventStream] = weakref.WeakSet()

    def subscribe(self, *, max_queue: int = 1000, overflow: Overflow | str = Overflow.DROP_OLDEST) -> EventStream:
        """Return a stream of the events published from now on; of a closed bus, one that has ended.

        Args:
            max_queue: Events kept for a reader that is behind.
            overflow: What to do beyond that: "drop_oldest", "drop_newest" or "close".

        Raises:
            InvalidInputError: An argument is out of range.
        """
        size: object = max_queue
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidInputError("max_queue must be a whole number of at least 1.")
        try:
            policy = Overflow(overflow)
        except ValueError:
            raise InvalidInputError(f"overflow must be one of {', '.join(Overflow)}.") from None
        stream = EventStream(max_queue=max_queue, overflow=policy)
        with self._lock:
            if self._closed:
                stream.close()
            else:
                self._streams.add(stream)
        return stream

    def publish(self, kind: EventType, *, session_id: str, user_id: str, preview: str | None = None) -> None:
        """Tell every subscriber."""
        if not self._streams:
            return
        event = SessionEvent(
            type=kind,
            session_id=session_id,
            user_id=user_id,
            message_preview=None if preview is None else preview[:PREVIEW_CHARACTERS],
        )
        with self._lock:
            for stream in list(self._streams):
                stream.put(event)

    def close(self) -> None:
        """End every subscription, later ones included."""
        with self._lock:
            self._closed = True
            for stream in list(self._streams):
                stream.close()
