"""The middleware of one turn, composed: messages and streamed text pass through all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from langswarm_sessions.errors import MiddlewareError, SessionError
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.messages import SessionMessage
from langswarm_sessions.records import SessionContext

__all__ = ["GLOBAL_MIDDLEWARE", "ChunkPipeline", "MiddlewareChain", "add_global_middleware"]

T = TypeVar("T")

GLOBAL_MIDDLEWARE: list[SessionMiddleware] = []


def add_global_middleware(middleware: SessionMiddleware) -> None:
    """Add a middleware to every manager of this process, present and future; it runs before the manager's own."""
    GLOBAL_MIDDLEWARE.append(middleware)


class MiddlewareChain:
    """Outward in the order added, inward in reverse.

    Args:
        members: The middleware, outermost first.
        context: The session as this turn sees it.
    """

    def __init__(self, members: Sequence[SessionMiddleware], context: SessionContext) -> None:
        self._members = tuple(members)
        self._context = context

    async def outward(self, message: SessionMessage) -> SessionMessage:
        """Pass an input through, before it is stored."""
        for member in self._members:
            message = await self._process(member, message)
        return message

    async def inward(self, message: SessionMessage) -> SessionMessage:
        """Pass an answer through, before it is stored."""
        for member in reversed(self._members):
            message = await self._process(member, message)
        return message

    def chunks(self) -> ChunkPipeline | None:
        """Return the way of streamed text, or None when a member needs the whole answer first."""
        if any(not hasattr(member, "process_chunk") for member in self._members):
            return None
        return ChunkPipeline(tuple(reversed(self._members)), self._context)

    async def _process(self, member: SessionMiddleware, message: SessionMessage) -> SessionMessage:
        call = member.process_message(self._context.session_id, message, self._context)
        edited = await guarded(member, call, session_id=self._context.session_id)
        result = message if edited is None else edited
        if not isinstance(result, SessionMessage):
            raise MiddlewareError(
                f"{type(member).__name__}.process_message must return a SessionMessage or None, "
                f"not {type(result).__name__}.",
                session_id=self._context.session_id,
            )
        result.align()
        return result


class ChunkPipeline:
    """Streamed text on its way to the reader, through every member's `process_chunk`."""

    def __init__(self, members: Sequence[SessionMiddleware], context: SessionContext) -> None:
        self._members = members
        self._context = context

    async def feed(self, text: str) -> str:
        """Return what may be shown of `text` and what was held back before it."""
        for member in self._members:
            text = await self._chunk(member, text)
        return text

    async def finish(self) -> str:
        """Return what is still held back."""
        text = ""
        for member in self._members:
            if text:
                text = await self._chunk(member, text)
            finish: Callable[..., Awaitable[str]] | None = getattr(member, "finish_chunks", None)
            if finish is not None:
                call = finish(self._context.session_id, self._context)
                text += await guarded(member, call, session_id=self._context.session_id)
        return text

    async def _chunk(self, member: SessionMiddleware, text: str) -> str:
        process: Callable[..., Awaitable[str]] = getattr(member, "process_chunk")  # noqa: B009 - optional method
        call = process(self._context.session_id, text, self._context)
        return await guarded(member, call, session_id=self._context.session_id)


async def guarded(member: object, call: Awaitable[T], *, session_id: str) -> T:
    """Await a middleware's coroutine; whatever it raises becomes a MiddlewareError with that as its cause."""
    try:
        return await call
    except SessionError:
        raise
    except Exception as error:  # the user's code may raise anything: the turn fails with one type
        raise MiddlewareError(
            f"Middleware {type(member).__name__} raised {type(error).__name__}; see this error's __cause__.",
            session_id=session_id,
        ) from error
