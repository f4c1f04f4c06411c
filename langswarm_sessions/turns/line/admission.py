"""Waiting until no other process holds a session."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from langswarm_sessions.errors import SessionBusyError, SessionError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import BeginTurn, Begun, Busy, Recorded
from langswarm_sessions.turns.deadline import Deadline

__all__ = ["admitted", "busy_error"]

_FIRST_POLL_SECONDS = 0.002
_LONGEST_POLL_SECONDS = 0.05


async def admitted(storage: EngineStorage, begin: BeginTurn, patience: Deadline) -> Begun | Recorded:
    """Come again until no other process holds the session; whoever gives up leaves the line.

    Args:
        storage: Where the session is.
        begin: The turn that shall begin.
        patience: How long to wait.

    Raises:
        SessionBusyError: Another process held the session for longer than that.
    """
    pause = _FIRST_POLL_SECONDS
    try:
        while isinstance(begun := await storage.begin_turn(begin), Busy):
            begin = replace(begin, ticket=begun.ticket)
            if patience.left == 0:
                raise busy_error(begin.session_id, patience)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            begin = replace(begin, now=now())
    except BaseException:
        if begin.ticket is not None:
            with suppress(SessionError):  # what ended the waiting is told, not that the storage is away as well
                await storage.leave_line(begin.session_id, begin.ticket)
        raise
    return begun


def busy_error(session_id: str, waited: Deadline) -> SessionBusyError:
    """Return the error of a turn that waited in vain."""
    seconds = round(waited.seconds or 0, 2)
    return SessionBusyError(
        f"Another turn has held the session for {seconds:g} s. Try again, or raise turn_wait= (and timeout=).",
        session_id=session_id,
    )
