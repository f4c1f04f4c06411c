"""Waiting until no other turn holds a session: first of this manager, then of any other."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext, suppress
from dataclasses import replace

from langswarm_sessions.errors import SessionBusyError, SessionError
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.records import BeginTurn, Begun, Busy, Recorded
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.line.gate import SessionGates
from langswarm_sessions_otel import LeaseWait, TurnScope
from langswarm_sessions_otel.silent import SILENT_TURN

__all__ = ["admitted", "busy_error", "entered"]

_FIRST_POLL_SECONDS = 0.002
_LONGEST_POLL_SECONDS = 0.05


async def entered(gates: SessionGates, session_id: str, *, patience: Deadline, span: TurnScope) -> None:
    """Wait until no other turn of this manager is in.

    Args:
        gates: The lines of this manager.
        session_id: Whose.
        patience: How long to wait.
        span: The turn's.

    Raises:
        SessionBusyError: Another turn was in for longer than that.
    """
    with nullcontext() if gates.is_free(session_id) else span.lease_wait(held_by="this_manager"):
        if not await gates.enter(session_id, seconds=patience.cut(float("inf"))):
            raise busy_error(session_id, patience)


async def admitted(
    storage: EngineStorage, begin: BeginTurn, *, patience: Deadline, span: TurnScope = SILENT_TURN
) -> Begun | Recorded:
    """Come again until no other manager holds the session; whoever gives up leaves the line.

    Args:
        storage: Where the session is.
        begin: The turn that shall begin.
        patience: How long to wait.
        span: The turn's; without one, nobody is told of the waiting.

    Raises:
        SessionBusyError: Another manager held the session for longer than that.
    """
    begun = await storage.begin_turn(begin)
    if isinstance(begun, Busy):
        with span.lease_wait(held_by="another_manager") as wait:
            begun = await _served(storage, begin, begun, patience=patience, wait=wait)
    if isinstance(begun, Begun) and begun.took_over:
        span.lease_taken_over()
    return begun


async def _served(
    storage: EngineStorage, begin: BeginTurn, begun: Busy, *, patience: Deadline, wait: LeaseWait
) -> Begun | Recorded:
    pause = _FIRST_POLL_SECONDS
    answer: Begun | Recorded | Busy = begun
    try:
        while isinstance(answer, Busy):
            begin = replace(begin, ticket=answer.ticket)
            if patience.left == 0:
                raise busy_error(begin.session_id, patience)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
            begin = replace(begin, now=now())
            wait.asks()
            answer = await storage.begin_turn(begin)
    except BaseException:
        if begin.ticket is not None:
            with suppress(SessionError):  # what ended the waiting is told, not that the storage is away as well
                await storage.leave_line(begin.session_id, begin.ticket)
        raise
    return answer


def busy_error(session_id: str, waited: Deadline) -> SessionBusyError:
    """Return the error of a turn that waited in vain."""
    seconds = round(waited.seconds or 0, 2)
    return SessionBusyError(
        f"Another turn has held the session for {seconds:g} s. Try again, or raise turn_wait= (and timeout=).",
        session_id=session_id,
    )
