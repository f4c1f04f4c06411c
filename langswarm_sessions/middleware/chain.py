"""The middleware of one turn, composed: messages and streamed text pass through all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from langswarm_sessions.calling import is_cancelled
from langswarm_sessions.checks import check_members
from langswarm_sessions.errors import InvalidInputError, MiddlewareError, SessionError
from langswarm_sessions.interfaces.hooks import SessionMiddleware
from langswarm_sessions.messages import SessionMessage, ToolCall, text_of
from langswarm_sessions.records import SessionContext

__all__ = ["GLOBAL_MIDDLEWARE", "ChunkPipeline", "MiddlewareChain", "add_global_middleware"]

GLOBAL_MIDDLEWARE: list[SessionMiddleware] = []


def add_global_middleware(middleware: SessionMiddleware) -> None:
    """Add a middleware to every manager of this process, present and future; it runs before the manager's own.

    Raises:
        ConfigurationError: It is no middleware.
    """
    GLOBAL_MIDDLEWARE.extend(check_members([middleware], field="middleware", methods=("process_message",)))


class MiddlewareChain:
    """Outward in the order added, inward in reverse.

    Args:
        members: The middleware, outermost first.
        context: The session as this turn sees it.
    """

    def __init__(self, members: Sequence[SessionMiddleware], context: SessionContext) -> None:
        self._members = tuple(members)
        self._context = context
        self._before_chunks: dict[object, Any] | None = None

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
        return ChunkPipeline(tuple(reversed(self._members)), self._context, start=self._forget_chunks)

    def _forget_chunks(self) -> None:
        """Take the scratch space back to before the first chunk: what a failed attempt streamed is not the answer."""
        state = self._context.turn_state
        if self._before_chunks is None:
            self._before_chunks = dict(state)
        else:
            state.clear()
            state.update(self._before_chunks)

    async def _process(self, member: SessionMiddleware, message: SessionMessage) -> SessionMessage:
        said, calls, parts = message.content, list(message.tool_calls), list(message.parts)
        payload = message.provider_payload
        edited = await _guarded(member, "process_message", message, context=self._context)
        result = message if edited is None else edited
        if not isinstance(result, SessionMessage):
            raise _wrong_result(member, "process_message", result, wanted="a SessionMessage or None", of=self._context)
        try:
            result.check()
        except InvalidInputError as error:
            raise MiddlewareError(
                f"{type(member).__name__}.process_message returned a wrong message: {error}",
                session_id=self._context.session_id,
            ) from error
        if result.content == said and result.tool_calls == calls and result.parts != parts:
            result.content = text_of(result.parts)  # only the parts were edited: the rest follows them
            result.tool_calls = [part for part in result.parts if isinstance(part, ToolCall)]
        result.align()
        if result.provider_payload is payload and (result.content, result.tool_calls, result.parts) != (
            said,
            calls,
            parts,
        ):
            result.provider_payload = None  # it still says what was taken out
        return result


class ChunkPipeline:
    """The streamed text of one attempt on its way to the reader, through every member's `process_chunk`."""

    def __init__(
        self, members: Sequence[SessionMiddleware], context: SessionContext, *, start: Callable[[], None]
    ) -> None:
        self._members = members
        self._context = context
        self._start: Callable[[], None] | None = start

    async def feed(self, text: str) -> str:
        """Return what may be shown of `text` and what was held back before it."""
        self._started()
        for member in self._members:
            text = await self._chunk(member, text)
        return text

    async def finish(self) -> str:
        """Return what is still held back."""
        self._started()
        text = ""
        for member in self._members:
            if text:
                text = await self._chunk(member, text)
            if hasattr(member, "finish_chunks"):
                text += await self._text_from(member, "finish_chunks")
        return text

    def _started(self) -> None:
        if self._start is not None:
            self._start()
            self._start = None

    async def _chunk(self, member: SessionMiddleware, text: str) -> str:
        return await self._text_from(member, "process_chunk", text)

    async def _text_from(self, member: SessionMiddleware, method: str, *given: str) -> str:
        text = await _guarded(member, method, *given, context=self._context)
        if not isinstance(text, str):
            raise _wrong_result(member, method, text, wanted="a string", of=self._context)
        return text


async def _guarded(member: object, method: str, *given: object, context: SessionContext) -> object:
    """Call a middleware's method; whatever it raises becomes a MiddlewareError with that as its cause."""
    try:
        call: Callable[..., Awaitable[object]] = getattr(member, method)
        return await call(context.session_id, *given, context)
    except SessionError:
        raise
    except (Exception, asyncio.CancelledError) as error:  # whatever it was, the turn fails with one type
        if isinstance(error, asyncio.CancelledError) and is_cancelled():
            raise
        raise MiddlewareError(
            f"{type(member).__name__}.{method} raised {type(error).__name__}; see this error's __cause__.",
            session_id=context.session_id,
        ) from error


def _wrong_result(member: object, method: str, result: object, *, wanted: str, of: SessionContext) -> MiddlewareError:
    return MiddlewareError(
        f"{type(member).__name__}.{method} must return {wanted}, not {type(result).__name__}.",
        session_id=of.session_id,
    )
