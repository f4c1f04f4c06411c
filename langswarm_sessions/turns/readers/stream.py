"""The reader's face of a turn."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

from langswarm_sessions.errors import IncompleteStreamError, SessionError
from langswarm_sessions.interfaces.provider import Completed, TextDelta
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.turns.readers.log import Interruption, TurnLog

__all__ = ["MessageStream", "TurnOutcome", "TurnStream", "forked_error", "interrupted_error"]


@dataclass(frozen=True, slots=True)
class TurnOutcome:
    """How a turn ended: the stored answer, and what the provider said (None for a recorded answer)."""

    message: SessionMessage
    completed: Completed | None = None


class TurnStream(AsyncIterator[TextDelta]):
    """Reads one turn. The turn starts with the first read (or `result`) and runs in a task of its own.

    Leaving early (`aclose`, `async with`, a read that is cancelled, or dropping the last reference) ends the turn as
    interrupted with the text read so far, or lets it finish when the session says so.
    """

    def __init__(self, start: Callable[[], asyncio.Task[TurnOutcome]], log: TurnLog, *, session_id: str) -> None:
        self._start = start
        self._log = log
        self._session_id = session_id
        self._task: asyncio.Task[TurnOutcome] | None = None
        self._process = 0
        self._position = 0
        self._left = False

    @property
    def message(self) -> SessionMessage:
        """The stored answer.

        Raises:
            SessionError: The turn has not ended with an answer.
        """
        return self._outcome().message

    @property
    def completed(self) -> Completed | None:
        """What the provider said at the end; None for an answer recorded earlier."""
        return self._outcome().completed

    async def __anext__(self) -> TextDelta:
        """Return the next piece of the answer."""
        if self._left:
            raise StopAsyncIteration
        task = self._started()
        try:
            delta = await self._log.read(self._position)
        except asyncio.CancelledError:
            await self._leave(Interruption.CANCELLED)
            raise
        if delta is not None:
            self._position += 1
            return delta
        await _ended(task)
        self._left = True
        self._result_of(task)
        raise StopAsyncIteration

    async def result(self) -> SessionMessage:
        """Run the turn to its end and return the stored answer."""
        task = self._started()
        self._log.run_through()
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.done():
                await self._interrupt(task, Interruption.CANCELLED)
            raise
        self._left = True
        return task.result().message

    async def aclose(self) -> None:
        """Leave the turn. Returns once what it said so far is stored."""
        await self._leave(Interruption.ABANDONED)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the turn."""
        await self.aclose()

    def __del__(self) -> None:
        """Leave the turn, when nobody can read it any more."""
        task = self._task
        if task is None or task.done() or self._is_parents:
            return
        loop = task.get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_abandon, self._log, task)

    def _outcome(self) -> TurnOutcome:
        if self._task is None or not self._task.done():
            raise SessionError("The turn is still running: read the stream to its end, or await result().")
        return self._result_of(self._task)

    def _result_of(self, task: asyncio.Task[TurnOutcome]) -> TurnOutcome:
        if task.cancelled():
            reason = self._log.interruption or Interruption.CANCELLED
            raise interrupted_error(reason, session_id=self._session_id)
        return task.result()

    def _started(self) -> asyncio.Task[TurnOutcome]:
        if self._task is None:
            if self._left:
                raise SessionError("The stream was closed before it was read; start a new turn.")
            self._task, self._process = self._start(), os.getpid()
        elif self._is_parents:
            raise forked_error(self._session_id)
        return self._task

    @property
    def _is_parents(self) -> bool:
        """Whether the turn runs in the process that this one was forked from."""
        return self._process != os.getpid()

    async def _leave(self, reason: Interruption) -> None:
        task, self._left = self._task, True
        if task is None or task.done() or self._is_parents:
            return
        if self._log.disconnect(reason):
            await self._interrupt(task, reason)

    async def _interrupt(self, task: asyncio.Task[TurnOutcome], reason: Interruption) -> None:
        self._log.interrupt(reason)
        task.cancel()
        await _ended(task)


class MessageStream(AsyncIterator[str]):
    """The text of one answer as it comes; `message` is the stored answer when it has ended.

    Example:
        >>> async def show(session):
        ...     stream = session.send_message_stream("hi")
        ...     async for chunk in stream:
        ...         print(chunk, end="")
        ...     return stream.message
    """

    def __init__(self, turn: TurnStream) -> None:
        self._turn = turn

    @property
    def message(self) -> SessionMessage:
        """The stored answer, once the stream has ended."""
        return self._turn.message

    async def __anext__(self) -> str:
        """Return the next piece of text."""
        while True:
            delta = await self._turn.__anext__()
            if delta.text:
                return delta.text

    async def aclose(self) -> None:
        """Leave the turn; see `TurnStream`."""
        await self._turn.aclose()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave the turn."""
        await self.aclose()


def interrupted_error(reason: Interruption, *, session_id: str) -> IncompleteStreamError:
    """Return what a reader is told whose turn was ended under it."""
    why = {
        Interruption.IDLE: "nobody read the stream for too long; read it without long pauses",
        Interruption.LEASE_LOST: "another process took the session over",
        Interruption.CANCELLED: "its caller was cancelled or its manager closed",
    }.get(reason, "its reader left")
    return IncompleteStreamError(
        f"The turn was interrupted because {why}. What was said so far is stored with status 'interrupted'.",
        session_id=session_id,
        retryable=False,
    )


def forked_error(session_id: str) -> IncompleteStreamError:
    """Return what a reader is told of a turn that runs in the process this one was forked from."""
    return IncompleteStreamError(
        "The turn was begun before this process was forked and goes on in the other one. Read it there, or send a new "
        "turn here.",
        session_id=session_id,
        retryable=False,
    )


def _abandon(log: TurnLog, task: asyncio.Task[TurnOutcome]) -> None:
    if not task.done() and log.disconnect():
        task.cancel()


async def _ended(task: asyncio.Task[TurnOutcome]) -> None:
    """Wait for the task's end without taking its result; a cancellation is passed on once it has ended."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
            task.cancel()
    if cancelled:
        raise asyncio.CancelledError
