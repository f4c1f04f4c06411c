"""One request from its body to its last byte, with whatever is to go wrong on the way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from .faults import (
    CorruptFault,
    CutFault,
    DelayFault,
    DropFault,
    ErrorEventFault,
    Fault,
    HttpFault,
    Kept,
    MidStreamFault,
    RunOnFault,
)
from .gates import Gate
from .journal import Journal, Outcome
from .json_types import JsonObject
from .wire import ClientGoneError, Event, Wire


class Answer(ABC):
    """An answer that is about to be streamed, and what the provider keeps of it.

    Attributes:
        answer_id: The id it is written down with, None for none.
        gate: Asked for a permit before each piece of text.
        half_event: An event of the API, broken off within its JSON.
    """

    answer_id: str | None
    gate: Gate | None
    half_event: Event

    @abstractmethod
    def events(self) -> Iterable[Event]:
        """Return the events of the stream, but for those that end it well."""

    @abstractmethod
    def closing(self) -> Iterable[Event]:
        """Return the events that end the stream well."""

    @abstractmethod
    def error_event(self, fault: ErrorEventFault) -> Event:
        """Let the answer fail, and return the event that says so."""

    def keep(self, kept: Kept) -> None:  # noqa: B027  (an API without state keeps nothing, whatever it is asked to)
        """Let the answer end; from now on others can build on what is kept of it."""

    def send(self, exchange: Exchange, fault: MidStreamFault | None, *, keeps: Kept | None) -> None:
        """Send the answer; one that is not streamed overrides this."""
        exchange.stream(self, fault, keeps=keeps)


@dataclass(frozen=True, slots=True)
class Found:
    """What is told of something stored.

    Args:
        body: What is told, None for nothing.
        response_id: What it is written down with.
        status: HTTP status code.
    """

    body: JsonObject | None
    response_id: str | None = None
    status: int = 200


class Exchange:
    """Answers one request.

    Args:
        journal: Where it is written down.
        number: The request's number in the journal.
        wire: The connection.
        is_closing: Whether the server is being stopped, which ends every wait.
    """

    def __init__(self, journal: Journal[Any], *, number: int, wire: Wire, is_closing: Callable[[], bool]) -> None:
        self.wire = wire
        self._journal = journal
        self._number = number
        self._is_closing = is_closing

    def tell(self, find: Callable[[], Found], fault: Fault | None) -> None:
        """Answer a request about something stored, suffering ``fault`` in its stead.

        Raises:
            Refusal: It is not there.
            ClientGoneError: The client left first.
        """
        match fault:
            case None:
                pass
            case HttpFault():
                self.send_whole(fault)
                return
            case DelayFault():
                self.pass_gate(fault.gate)
            case _:
                self._drop()
                return
        found = find()
        self.end("answered", status=found.status, response_id=found.response_id)
        if found.body is None:
            self.wire.send_fault(HttpFault(found.status, b""))
        else:
            self.wire.send_json(found.status, found.body)

    def run(self, ask: Callable[[], Answer], fault: Fault | None) -> None:
        """Send an answer, suffering ``fault`` on the way.

        Args:
            ask: Has the model answer.
            fault: What is to go wrong.

        Raises:
            Refusal: The request is refused.
            ClientGoneError: The client left first.
        """
        match fault:
            case HttpFault():
                self.send_whole(fault)
            case DropFault():
                if fault.keeps != "nothing":
                    ask().keep(fault.keeps)
                self._drop()
            case DelayFault(keeps="nothing"):
                self.pass_gate(fault.gate)
                ask().send(self, None, keeps="turn")
            case DelayFault():
                answer = ask()
                answer.keep(fault.keeps)
                self.pass_gate(fault.gate)
                answer.send(self, None, keeps=None)
            case RunOnFault(after_events=None):
                self.run_on_unheard(ask(), fault)
            case _:
                ask().send(self, fault, keeps="turn")

    def send_whole(self, fault: HttpFault) -> None:
        """Send an answer that replaces the real one."""
        self.end("answered", status=fault.status)
        self.wire.send_fault(fault)

    def stream(self, answer: Answer, fault: MidStreamFault | None, *, keeps: Kept | None) -> None:
        """Stream an answer, suffering ``fault`` on the way; ``keeps`` None: what is kept is kept already.

        Raises:
            ClientGoneError: The client left first.
        """
        self._journal.sent(self._number, 200, response_id=answer.answer_id)
        try:
            self.wire.start_stream()
            self._send_events(answer, fault, keeps=keeps)
        except ClientGoneError:
            if keeps is not None:
                answer.keep(keeps)  # the provider goes on without its listener
            raise

    def _send_events(self, answer: Answer, fault: MidStreamFault | None, *, keeps: Kept | None) -> None:
        """Send the events; a fault comes after so many of them, at the latest in place of the terminal one."""
        waiting = iter(answer.events())
        sent = 0
        while True:
            if fault is not None and sent == fault.after_events:
                if self._is_broken_off(answer, fault):
                    return
                fault = None
            event = next(waiting, None)
            if event is None:
                break
            if event.is_text and answer.gate is not None:
                self.pass_gate(answer.gate)
            self.wire.send_event(event)
            sent += not event.is_ping
        if fault is not None and self._is_broken_off(answer, fault):
            return
        if keeps is not None:
            answer.keep(keeps)
        self.end("answered")
        for event in answer.closing():
            self.wire.send_event(event)
        self.wire.end_stream()

    def _is_broken_off(self, answer: Answer, fault: MidStreamFault) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        match fault:
            case CorruptFault():
                half = answer.half_event
                self.wire.send_event(half if fault.data is None else replace(half, data=fault.data))
                if not fault.is_last:
                    return False
                answer.keep("nothing")
                self.end("cut")
            case CutFault():
                answer.keep(fault.keeps)
                self.end("cut")
                if not fault.is_clean:
                    self.wire.drop()
                    return True
            case RunOnFault():
                self.wire.drop()
                self._run_on(answer, fault, ends_by="cut")
                return True
            case ErrorEventFault():
                event = answer.error_event(fault)
                self.end("answered")
                self.wire.send_event(event)
        self.wire.end_stream()
        return True

    def run_on_unheard(self, answer: Answer, fault: RunOnFault) -> None:
        """Let an answer end of which its client hears nothing.

        Raises:
            ClientGoneError: Always, for it gave up.
        """
        self._run_on(answer, fault, ends_by="client_gone")
        raise ClientGoneError

    def _run_on(self, answer: Answer, fault: RunOnFault, *, ends_by: Outcome) -> None:
        if fault.gate.pass_through(self._is_closing):
            answer.keep(fault.keeps)
        self.end(ends_by)

    def _drop(self) -> None:
        self.end("cut")
        self.wire.drop()

    def end(self, outcome: Outcome, *, status: int | None = None, response_id: str | None = None) -> None:
        """Write down the end of the exchange, before the client can see it."""
        if status is not None:
            self._journal.sent(self._number, status, response_id=response_id)
        self._journal.ended(self._number, outcome)

    def pass_gate(self, gate: Gate) -> None:
        """Wait for the gate to open.

        Raises:
            ClientGoneError: The client left first.
        """
        if not gate.pass_through(lambda: self._is_closing() or self.wire.is_client_gone()):
            raise ClientGoneError
