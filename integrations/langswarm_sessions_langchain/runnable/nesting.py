"""Turns within turns: one that would wait for itself is refused, streams end with the turn they are read in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakSet

from langswarm_sessions.errors import SessionBusyError

__all__ = ["OuterTurn", "StreamWithin", "inside_turn", "refuse_inside_turn", "sessions_around"]

T = TypeVar("T")


class StreamWithin(AsyncIterator[T]):
    """A stream whose reader may itself be part of a turn, and then is left with it.

    Args:
        chunks: The stream.
        opened: Streams it opens and does not close; they are closed first.
    """

    def __init__(self, chunks: AsyncGenerator[T], *, opened: Sequence[AsyncGenerator[Any]] = ()) -> None:
        self._chunks = chunks
        self._opened = opened
        self._loop = asyncio.get_running_loop()
        self._reader: asyncio.Task[Any] | None = None
        self._unread = asyncio.Event()
        self._closed: asyncio.Future[None] | None = None
        around = next((outer for outer in reversed(_around.get()) if outer.runs), None)
        if around is not None:
            around.streams.add(self)

    async def __anext__(self) -> T:
        """Return the next chunk."""
        self._reader = asyncio.current_task()
        self._unread.clear()
        try:
            return await anext(self._chunks)
        finally:
            self._reader = None
            self._unread.set()

    async def aclose(self) -> None:
        """Close the stream. Its reader and the turn around it may both do so, at the same time."""
        if self._closed is not None:
            await asyncio.shield(self._closed)
            return
        self._closed = self._loop.create_future()
        try:
            for stream in self._opened:
                await stream.aclose()
            await self._chunks.aclose()
        finally:
            self._closed.set_result(None)

    async def leave(self) -> None:
        """Close the stream for whoever reads it, and cancel who waits for its next chunk."""
        reader = self._reader
        if self._loop is not asyncio.get_running_loop() or reader is asyncio.current_task():
            return  # read by a thread, which closes what it reads; or closed by who is asking
        if reader is not None:
            reader.cancel()
            await self._unread.wait()
        await self.aclose()


@dataclass(slots=True)
class OuterTurn:
    """A turn that a Runnable answers.

    Args:
        session_id: Whose turn it is.
        runs: Whether the Runnable is still at it.
        streams: What is read within it, unless its reader is gone.
    """

    session_id: str
    runs: bool = True
    streams: WeakSet[StreamWithin[Any]] = field(default_factory=WeakSet[StreamWithin[Any]], repr=False)

    async def leave_streams(self) -> None:
        """End the turns that are read within this one.

        LangChain's parallel steps leave what they read to the garbage collector when they are closed: until that
        came by, nobody else could have a turn of those sessions.
        """
        for stream in list(self.streams):
            await stream.leave()


_around: ContextVar[tuple[OuterTurn, ...]] = ContextVar("langswarm_sessions_langchain_turns", default=())


@contextmanager
def inside_turn(session_id: str) -> Generator[OuterTurn]:
    """Mark what runs from here on in this context, while the block lasts, as part of a turn of a session.

    The context is the turn's own, so it is left as it is: a generator may be closed in another one.
    """
    turn = OuterTurn(session_id)
    _around.set((*_around.get(), turn))
    try:
        yield turn
    finally:
        turn.runs = False


def sessions_around() -> tuple[str, ...]:
    """Return the ids of the sessions whose turns run around this one."""
    return tuple(turn.session_id for turn in _around.get() if turn.runs)


def refuse_inside_turn(session_id: str) -> None:
    """Refuse a turn that would wait for itself.

    Raises:
        SessionBusyError: It is asked for within a turn of the same session.
    """
    if any(turn.runs and turn.session_id == session_id for turn in _around.get()):
        raise SessionBusyError(
            "What SessionRunnable(bound=...) wraps cannot take a turn of the same session: the turn around it waits "
            "for it. Wrap a model or agent without a session there, or give what is inside a session_id of its own.",
            session_id=session_id,
            retryable=False,
        )
