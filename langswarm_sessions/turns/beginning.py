"""The beginning of a turn: middleware outward, a place in line among processes, the input stored."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from langswarm_sessions.errors import SessionBusyError, SessionError
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, content_bytes
from langswarm_sessions.records import BeginTurn, Begun, Busy, Recorded
from langswarm_sessions.storage.liveness import this_process
from langswarm_sessions.strategies import TurnStrategy
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import TurnInput, input_digest
from langswarm_sessions.turns.services import TurnServices, TurnSubject
from langswarm_sessions_otel import TurnScope

__all__ = ["TurnBeginning", "busy_error"]

_FIRST_POLL_SECONDS = 0.002
_LONGEST_POLL_SECONDS = 0.05


class TurnBeginning:
    """Takes a turn's input into the storage, once nobody else holds the session."""

    def __init__(
        self,
        *,
        services: TurnServices,
        subject: TurnSubject,
        turn: TurnInput,
        strategy: TurnStrategy,
        turn_state: dict[object, Any],
    ) -> None:
        self._services = services
        self._subject = subject
        self._turn = turn
        self._strategy = strategy
        self._turn_state = turn_state
        self._session_id = subject.record.session_id

    async def begin(self, span: TurnScope, *, patience: Deadline) -> Begun | Recorded:
        """Begin the turn, or return the answer its idempotency key has already.

        Args:
            span: The turn's span.
            patience: How long to wait for other processes.

        Raises:
            SessionBusyError: Another process held the session for longer than that.
        """
        begin = BeginTurn(
            session_id=self._session_id,
            turn_id=new_id(),
            inputs=await self._inputs(),
            owner=this_process(),
            lease_seconds=self._services.lease_seconds,
            now=now(),
            needs=self._strategy.needs,
            input_digest=input_digest(self._turn.messages),
            idempotency_key=self._turn.idempotency_key,
            instructions=self._instructions(),
            options=self._turn.options,
            user_id=self._subject.record.user_id,
            resume_failed=self._turn.resume_failed,
        )
        storage = self._services.storage
        with span.storage("load", backend=storage.backend, db_system=storage.db_system) as op:
            begun = await self._admitted(begin, patience)
            loaded = begun.history if isinstance(begun, Begun) else (begun.answer,)
            op.done(count=len(loaded), size=content_bytes(loaded))
        self._subject.adopt(begun.session)
        return begun

    async def _admitted(self, begin: BeginTurn, patience: Deadline) -> Begun | Recorded:
        """Come again until no other process holds the session; whoever gives up leaves the line."""
        pause = _FIRST_POLL_SECONDS
        storage = self._services.storage
        try:
            while isinstance(begun := await storage.begin_turn(begin), Busy):
                begin = replace(begin, ticket=begun.ticket)
                if patience.left == 0:
                    raise busy_error(self._session_id, patience)
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_POLL_SECONDS)
                begin = replace(begin, now=now())
        except BaseException:
            if begin.ticket is not None:
                with suppress(SessionError):  # what ended the waiting is told, not that the storage is away as well
                    await storage.leave_line(self._session_id, begin.ticket)
            raise
        return begun

    async def _inputs(self) -> tuple[SessionMessage, ...]:
        if not self._services.has_middleware:
            return self._turn.messages
        chain = self._services.chain(self._subject.record, self._turn_state)
        return tuple([await chain.outward(replace(message)) for message in self._turn.messages])

    def _instructions(self) -> SessionMessage | None:
        if self._turn.instructions is None:
            return None
        return SessionMessage(role=Role.SYSTEM, content=self._turn.instructions, kind=MessageKind.INSTRUCTIONS)


def busy_error(session_id: str, waited: Deadline) -> SessionBusyError:
    """Return the error of a turn that waited in vain."""
    seconds = round(waited.seconds or 0, 2)
    return SessionBusyError(
        f"Another turn has held the session for {seconds:g} s. Try again, or raise turn_wait= (and timeout=).",
        session_id=session_id,
    )
