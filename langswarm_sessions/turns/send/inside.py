"""Knowing a turn that a tool asks for of the very session whose turn waits for that tool."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from dataclasses import dataclass

from langswarm_sessions.errors import SessionBusyError

__all__ = ["carry_tools_into", "inside_tool", "refuse_inside_tool"]


@dataclass(slots=True)
class _ToolCall:
    session_id: str
    runs: bool = True


_calls: ContextVar[tuple[_ToolCall, ...]] = ContextVar("langswarm_sessions_tool_calls", default=())


@contextmanager
def inside_tool(session_id: str) -> Generator[None]:
    """Mark what runs in the block, and whatever it starts, as part of a tool of a session's turn while it lasts."""
    call = _ToolCall(session_id)
    token = _calls.set((*_calls.get(), call))
    try:
        yield
    finally:
        call.runs = False
        _calls.reset(token)


def carry_tools_into(context: Context) -> None:
    """Let a turn that runs in another context than its caller's know the tools it is begun in.

    Args:
        context: The turn's own.
    """
    if around := _calls.get():
        context.run(_calls.set, (*context.get(_calls, ()), *around))


def refuse_inside_tool(session_id: str) -> None:
    """Refuse a turn, or a handoff, that would wait for itself.

    Raises:
        SessionBusyError: A tool of this session asks for it.
    """
    if any(call.runs and call.session_id == session_id for call in _calls.get()):
        raise SessionBusyError(
            "A tool cannot start a turn of its own session, nor hand the session off: the session's turn waits for the "
            "tool. Return what the model is to know, use another session, or do it after the send.",
            session_id=session_id,
            retryable=False,
        )
