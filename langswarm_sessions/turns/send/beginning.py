"""The beginning of a turn: middleware outward, a place in line among processes, the input stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from langswarm_sessions.errors import TurnConflictError
from langswarm_sessions.ids import new_id, now
from langswarm_sessions.messages import MessageKind, Role, SessionMessage, content_bytes
from langswarm_sessions.records import BeginTurn, Begun, HistoryQuery, Lease, Recorded, SessionRecord
from langswarm_sessions.storage.liveness import this_process
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.input import input_digest
from langswarm_sessions.turns.line.admission import admitted
from langswarm_sessions.turns.send.exchange import begins_at, round_key, was_cleared
from langswarm_sessions.turns.send.sending import Sending

__all__ = ["TurnBeginning"]


class _ClearedError(TurnConflictError):
    """Ends the transaction of a beginning that came too late."""


class TurnBeginning:
    """Takes a turn's input into the storage, once nobody else holds the session."""

    def __init__(self, sending: Sending) -> None:
        self._sending = sending
        self._services = sending.services
        self._subject = sending.subject
        self._turn = sending.turn
        self._session_id = sending.session_id

    async def begin(self, *, patience: Deadline) -> Begun | Recorded:
        """Begin the first turn of a send, or return the answer its idempotency key has already.

        Args:
            patience: How long to wait for other processes.

        Raises:
            SessionBusyError: Another process held the session for longer than that.
        """
        inputs = await self._inputs()
        down_to = await begins_at(self._services.storage, self._session_id, inputs)
        begin = replace(
            self._without_input(number=1, needs=self._needs(down_to)),
            inputs=inputs,
            input_digest=input_digest(self._turn.messages),
            instructions=self._instructions(),
            options=self._turn.options,
            resume_failed=self._turn.resume_failed,
        )
        begun = await self._stored(begin, patience)
        return begun if down_to is None or not isinstance(begun, Begun) else replace(begun, down_to=down_to)

    async def resume(self, asked: SessionMessage, *, number: int, patience: Deadline) -> Begun | Recorded:
        """Take the lease to go on after an answer that is stored, or return the answer that came after it already.

        Args:
            asked: The answer; the history is what was said after it.
            number: Which turn of the send comes next.
            patience: How long to wait for other processes.

        Raises:
            SessionBusyError: Another process held the session for longer than that.
        """
        later = HistoryQuery(after_seq=asked.seq or 0, with_system=False)
        begin = self._without_input(number=number, needs=lambda _: later)
        return await self._stored(replace(begin, resumes=asked.turn_id), patience)

    async def follow(self, held: Lease, *, asked: SessionMessage, number: int, down_to: int) -> Begun | Recorded | None:
        """Begin the next turn of a send under the lease of the turn before; its inputs are in the history.

        None is begun and returned when the conversation was cleared meanwhile: nothing is left to be answered.

        Args:
            held: That lease.
            asked: The answer whose calls have their results.
            number: Which turn of the send it is.
            down_to: The `seq` where the send begins: however long it gets, none of it is left out.

        Raises:
            TurnConflictError: The lease was lost.
        """
        needs = self._needs(down_to)

        def still_needs(record: SessionRecord) -> HistoryQuery | None:
            if was_cleared(asked, record):
                raise _ClearedError("The conversation was cleared while its tools ran.", session_id=self._session_id)
            return needs(record)

        begin = self._without_input(number=number, needs=still_needs)
        try:
            return await self._stored(replace(begin, held=held), Deadline())
        except _ClearedError:
            return None

    def _needs(self, down_to: int | None) -> Callable[[SessionRecord], HistoryQuery | None]:
        """Return what the strategy needs, and all that was said since what is being answered began."""
        needs = self._sending.strategy.needs

        def reaching_down(record: SessionRecord) -> HistoryQuery | None:
            query = needs(record)
            return None if query is None else replace(query, down_to=down_to)

        return reaching_down

    def _without_input(self, *, number: int, needs: Callable[[SessionRecord], HistoryQuery | None]) -> BeginTurn:
        """Return the beginning of a turn that says nothing new."""
        return BeginTurn(
            session_id=self._session_id,
            turn_id=new_id(),
            inputs=(),
            owner=this_process(),
            lease_seconds=self._services.lease_seconds,
            now=now(),
            needs=needs,
            input_digest=input_digest(()),
            idempotency_key=round_key(self._turn.idempotency_key, number),
            options=self._turn.options.after_results(self._subject.record.provider_config),
            user_id=self._subject.record.user_id,
        )

    async def _stored(self, begin: BeginTurn, patience: Deadline) -> Begun | Recorded:
        storage = self._services.storage
        span = self._sending.span
        with span.storage("load", backend=storage.backend, db_system=storage.db_system) as op:
            begun = await admitted(storage, begin, patience=patience, span=span)
            loaded = begun.history if isinstance(begun, Begun) else (begun.answer,)
            op.done(count=len(loaded), size=content_bytes(loaded))
        self._subject.adopt(begun.session)
        return begun

    async def _inputs(self) -> tuple[SessionMessage, ...]:
        if not self._services.has_middleware:
            return self._turn.messages
        chain = self._sending.chain(self._subject.record)
        return tuple([await chain.outward(replace(message)) for message in self._turn.messages])

    def _instructions(self) -> SessionMessage | None:
        if self._turn.instructions is None:
            return None
        return SessionMessage(role=Role.SYSTEM, content=self._turn.instructions, kind=MessageKind.INSTRUCTIONS)
