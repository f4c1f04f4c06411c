"""A turn that goes on by itself, whoever reads it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import OrderedDict
from collections.abc import AsyncGenerator
from concurrent.futures import Future
from dataclasses import dataclass, field

from langswarm_sessions.errors import IncompleteStreamError, InvalidInputError
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.turns.orphans import is_orphan
from langswarm_sessions.turns.readers.log import Interruption, TurnLog
from langswarm_sessions.turns.readers.stream import TurnOutcome, forked_error, interrupted_error

__all__ = ["RunningTurn", "RunningTurns", "TurnChunk"]

_KEPT_ENDED = 64  # so that a reader who comes back just too late still finds its turn


@dataclass(frozen=True, slots=True)
class TurnChunk:
    """A piece of an answer; `sequence` counts from 1 and names it for whoever reads on from there."""

    sequence: int
    text: str = field(repr=False)


class RunningTurn:
    """A turn that was started and goes on when its readers leave; made by `Session.start_turn`.

    Any number of readers may read it, from its beginning or from the chunk they had last, on any event loop and thread.

    Attributes:
        id: Names it for `Session.get_turn`.
        session_id: The session.

    Example:
        >>> async def ask(session):
        ...     turn = await session.start_turn("Tell me a story.")
        ...     async for chunk in turn.read():
        ...         last = chunk.sequence
        ...         break  # the reader leaves; the turn goes on
        ...     async for chunk in turn.read(after=last):
        ...         print(chunk.text, end="")
        ...     return await turn.result()
    """

    def __init__(self, task: asyncio.Task[TurnOutcome], log: TurnLog, *, turn_id: str, session_id: str) -> None:
        self._task = task
        self._log = log
        self._ended = Future[None]()
        self._ended.set_running_or_notify_cancel()  # a waiter that is cancelled does not cancel it
        self._process = os.getpid()
        self.id = turn_id
        self.session_id = session_id
        task.add_done_callback(lambda _: self._ended.set_result(None))

    def __repr__(self) -> str:
        """Show ids and state, no content."""
        return f"<RunningTurn {self.id} of {self.session_id}, {'ended' if self.is_done else 'running'}>"

    @property
    def is_done(self) -> bool:
        """Whether it has ended and is stored, or never will: the event loop that it ran on was closed under it."""
        return self._ended.done() or is_orphan(self._task)

    async def read(self, after: int = 0) -> AsyncGenerator[TurnChunk]:
        """Yield the chunks after number `after`, those said already and those to come; leaving ends nothing.

        Args:
            after: Number of the last chunk known; 0 for none.

        Raises:
            InvalidInputError: `after` is no number of a chunk.
            SessionError: The turn failed or was interrupted.
        """
        if not isinstance(after, int) or isinstance(after, bool) or after < 0:
            raise InvalidInputError("after must be the sequence number of a chunk, or 0.")
        self._refuse_in_fork()
        if is_orphan(self._task):
            self._log.finish()
        position = after
        while (delta := await self._log.read(position)) is not None:
            position += 1
            if delta.text:
                yield TurnChunk(position, delta.text)
        await self.result()

    async def result(self) -> SessionMessage:
        """Wait for the stored answer; a waiter that is cancelled ends nothing.

        Raises:
            SessionError: The turn failed or was interrupted.
        """
        self._refuse_in_fork()
        if is_orphan(self._task):
            raise IncompleteStreamError(
                "The event loop that the turn ran on was closed before the turn had ended. Send its message again.",
                session_id=self.session_id,
                retryable=False,
            )
        await asyncio.wrap_future(self._ended)
        if self._task.cancelled():
            raise interrupted_error(self._log.interruption or Interruption.CANCELLED, session_id=self.session_id)
        return self._task.result().message

    async def cancel(self) -> None:
        """End the turn; what was said so far is stored with status "interrupted". Of an ended turn nothing changes.

        An answer that is being stored by then is the turn's answer all the same.
        """
        if self.is_done:
            return
        self._refuse_in_fork()
        self._task.get_loop().call_soon_threadsafe(self._interrupt)
        await asyncio.wrap_future(self._ended)

    def _refuse_in_fork(self) -> None:
        if self._process != os.getpid() and not self.is_done:
            raise forked_error(self.session_id)

    def _interrupt(self) -> None:
        if not self._task.done():
            self._log.interrupt(Interruption.CANCELLED)
            self._task.cancel()


class RunningTurns:
    """The turns of one manager that go on by themselves, and the newest of those that have ended; for all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: OrderedDict[tuple[str, str], RunningTurn] = OrderedDict()

    def add(self, turn: RunningTurn) -> None:
        """Keep a turn; of the ended ones only the newest stay."""
        with self._lock:
            self._turns[turn.session_id, turn.id] = turn
            ended = [key for key, known in self._turns.items() if known.is_done]
            for key in ended[: max(0, len(ended) - _KEPT_ENDED)]:
                del self._turns[key]

    def get(self, session_id: str, turn_id: str) -> RunningTurn | None:
        """Return a turn, if it runs or has just ended."""
        with self._lock:
            return self._turns.get((session_id, turn_id))
