"""Knowing a turn that is asked for, within a turn, of the very session whose turn waits for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from langswarm_sessions.errors import SessionBusyError

__all__ = ["inside_turn", "refuse_inside_turn"]


@dataclass(slots=True)
class _Turn:
    session_id: str
    runs: bool = True


_around: ContextVar[tuple[_Turn, ...]] = ContextVar("langswarm_sessions_langchain_turns", default=())


@contextmanager
def inside_turn(session_id: str) -> Generator[None]:
    """Mark what runs from here on in this context, while the block lasts, as part of a turn of a session.

    The context is the turn's own, so it is left as it is: a generator may be closed in another one.
    """
    turn = _Turn(session_id)
    _around.set((*_around.get(), turn))
    try:
        yield
    finally:
        turn.runs = False


def refuse_inside_turn(session_id: str) -> None:
    """Refuse a turn that would wait for itself.

    Raises:
        SessionBusyError: It is asked for within a turn of the same session.
    """
    if any(turn.runs and turn.session_id == session_id for turn in _around.get()):
        raise SessionBusyError(
            "What SessionRunnable(bound=...) wraps cannot take a turn of the same session: the turn around it waits "
            "for it. Wrap a plain chat model there, or give what is inside a session_id of its own.",
            session_id=session_id,
            retryable=False,
        )
