"""What a running turn has said so far, and the pace its reader sets."""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextlib import suppress
from enum import StrEnum

from langswarm_sessions.bridge import current_caller
from langswarm_sessions.config import OnDisconnect
from langswarm_sessions.interfaces.provider import TextDelta

__all__ = ["Interruption", "TurnInterrupted", "TurnLog"]


class Interruption(StrEnum):
    """Why a turn ended before its answer did."""

    CANCELLED = "cancelled"
    ABANDONED = "abandoned"
    IDLE = "idle"
    LEASE_LOST = "lease_lost"


class TurnInterrupted(BaseException):
    """Internal: ends the provider phase of a turn. Not an Exception, so that no adapter translates it."""

    def __init__(self, reason: Interruption) -> None:
        super().__init__(reason)
        self.reason = reason


class TurnLog:
    """The deltas of one turn, and how many of them somebody has asked for.

    A streamed turn goes only as far as its reader asks: what is stored when the reader leaves is what it was given.
    Readers may be on other loops and threads than the turn.

    Args:
        paced: Whether a reader sets the pace; otherwise the turn runs through.
        idle_seconds: How long a paced turn waits for its reader.
        on_disconnect: Whether the turn goes on when its reader leaves.
    """

    def __init__(self, *, paced: bool, idle_seconds: float, on_disconnect: OnDisconnect) -> None:
        self.deltas: list[TextDelta] = []
        self.interruption: Interruption | None = None
        self._wanted: float = 0 if paced else float("inf")
        self._idle_seconds = idle_seconds
        self._on_disconnect = on_disconnect
        self._finished = False
        self._producer: asyncio.Future[None] | None = None
        self._readers: set[asyncio.Future[None]] = set()
        self._lock = threading.RLock()  # a reader the collector ends steps out in whatever thread that runs
        self._answer_began = 0
        self._read_by: weakref.ref[object] | None = None

    @property
    def text(self) -> str:
        """Everything given out so far of the answer that is coming."""
        return "".join(delta.text for delta in self.deltas[self._answer_began :])

    @property
    def has_spoken(self) -> bool:
        """Whether anything of the answer that is coming was given out."""
        return len(self.deltas) > self._answer_began

    # The turn's side

    def say(self, delta: TextDelta) -> None:
        """Add a delta and wake whoever reads."""
        with self._lock:
            self.deltas.append(delta)
            self._wake_readers()

    async def wanted(self) -> None:
        """Wait until the reader asks for more than there is.

        Raises:
            TurnInterrupted: The reader left, or did not read for too long.
        """
        if self.interruption is None and self._wanted > len(self.deltas):
            return
        self.raise_if_interrupted()
        self._producer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._idle_seconds):
                await self._producer
        except TimeoutError:
            if self._on_disconnect is OnDisconnect.INTERRUPT:
                self.interruption = self.interruption or Interruption.IDLE
            self._wanted = float("inf")
        finally:
            self._producer = None
        self.raise_if_interrupted()

    def raise_if_interrupted(self) -> None:
        """Raise TurnInterrupted once the turn is to end."""
        if self.interruption is not None:
            raise TurnInterrupted(self.interruption)

    def begin_answer(self) -> None:
        """Set what was said so far apart: it is stored, and another answer comes."""
        self._answer_began = len(self.deltas)

    def restart(self) -> None:
        """Forget what was said of an answer, before a new attempt of a turn nobody reads along."""
        del self.deltas[self._answer_began :]

    def finish(self) -> None:
        """Mark the end; whoever reads is woken."""
        with self._lock:
            self._finished = True
            self._wake_readers()

    def _wake_readers(self) -> None:
        for reader in self._readers:
            _wake(reader)

    # The reader's side

    async def read(self, position: int) -> TextDelta | None:
        """Return the delta at `position`, waiting for it; None when the turn ended before."""
        self._wanted = max(self._wanted, position + 1)
        reader = current_caller()
        self._read_by = None if reader is None else weakref.ref(reader)
        _wake(self._producer)
        while (waiting := self._waits_for(position)) is not None:
            try:
                await waiting
            finally:
                with self._lock:
                    self._readers.discard(waiting)
        return self.deltas[position] if position < len(self.deltas) else None

    def _waits_for(self, position: int) -> asyncio.Future[None] | None:
        """Return what wakes a reader; None when there is nothing to wait for."""
        with self._lock:
            if position < len(self.deltas) or self._finished:
                return None
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._readers.add(waiting)
            return waiting

    def is_left_by(self, caller: object | None) -> bool:
        """Whether the turn waits for this very task or thread, which is busy elsewhere."""
        return self._producer is not None and self._read_by is not None and self._read_by() is caller

    def run_through(self) -> None:
        """Stop waiting for the reader."""
        self._wanted = float("inf")
        _wake(self._producer)

    def disconnect(self, reason: Interruption = Interruption.ABANDONED) -> bool:
        """The reader leaves. Returns whether the turn is to be interrupted."""
        if self._on_disconnect is OnDisconnect.FINISH:
            self.run_through()
            return False
        self.interrupt(reason)
        return True

    def interrupt(self, reason: Interruption) -> None:
        """Ask the turn to end; the first reason stands."""
        self.interruption = self.interruption or reason
        _wake(self._producer)


def _wake(future: asyncio.Future[None] | None) -> None:
    if future is None or future.done():
        return
    loop = future.get_loop()
    if loop is _running_loop():
        future.set_result(None)
        return
    with suppress(RuntimeError):  # its loop was closed: nobody waits there any more
        loop.call_soon_threadsafe(_wake, future)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
