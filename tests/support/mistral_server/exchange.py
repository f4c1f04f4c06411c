"""One streamed answer from its request to its last byte, with whatever is to go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from tests.support.openai_server.faults import HttpFault
from tests.support.openai_server.gates import Gate
from tests.support.openai_server.journal import Journal
from tests.support.openai_server.wire import ClientGoneError, Wire

from .api import Answer, MistralApi
from .events import Event, chat_error, chat_events, conversation_error, conversation_events
from .faults import CorruptFault, CutFault, DelayFault, DropFault, ErrorEventFault, Fault, Kept

_CORRUPT = b'{"type":"message.output.delta","content":"half a wo'
_MidStream = CutFault | ErrorEventFault | CorruptFault


class MistralWire(Wire):
    """Writes answers, named events and the unnamed ones of chat completions."""

    def send_data(self, data: bytes) -> None:
        """Send one unnamed event."""
        event = b"data: " + data + b"\n\n"
        self._write(b"%x\r\n%s\r\n" % (len(event), event))

    def send(self, event: Event) -> None:
        """Send one event."""
        if event.name is None:
            self.send_data(event.data)
        else:
            self.send_event(event.name, event.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """Answers one request.

    Args:
        api: The state.
        journal: Where the exchange is written down.
        number: The request's number in the journal.
        wire: The connection.
        is_closing: Whether the server is being stopped, which ends every wait.
    """

    api: MistralApi
    journal: Journal
    number: int
    wire: MistralWire
    is_closing: Callable[[], bool]

    def run(self, ask: Callable[[], Answer], fault: Fault | None) -> None:
        """Answer, suffering ``fault`` on the way.

        Raises:
            ApiError: The request is refused.
            ClientGoneError: The client left first.
        """
        match fault:
            case HttpFault():
                self.journal.sent(self.number, fault.status)
                self.journal.ended(self.number, "answered")
                self.wire.send_fault(fault)
            case DropFault():
                self.api.keep(ask(), fault.keeps)
                self.journal.ended(self.number, "cut")
                self.wire.drop()
            case DelayFault():
                self._delayed(ask, fault)
            case _:
                self._stream(ask(), fault)

    def _delayed(self, ask: Callable[[], Answer], fault: DelayFault) -> None:
        answer = ask()
        if not fault.is_late:
            self.api.keep(answer, fault.keeps)
            self._pass(fault.gate)
        else:
            fault.gate.pass_through(self.is_closing)
            self.api.keep(answer, fault.keeps)
        if self.wire.is_client_gone():
            raise ClientGoneError
        self._stream(answer, None, keeps="nothing")

    def _stream(self, answer: Answer, fault: _MidStream | None, *, keeps: Kept = "turn") -> None:
        conversation = answer.conversation
        self.journal.sent(self.number, 200, response_id=None if conversation is None else conversation.id)
        completion_id = self.api.ids.issue("cmpl")
        events = chat_events(answer, completion_id) if conversation is None else conversation_events(answer)
        try:
            self.wire.start_stream()
            if self._is_broken_off(answer, events, completion_id=completion_id, fault=fault, keeps=keeps):
                return
            self.journal.ended(self.number, "answered")
            if conversation is None:
                self.wire.send_data(b"[DONE]")
            self.wire.end_stream()
        except ClientGoneError:
            self.api.keep(answer, keeps)  # the provider goes on without its listener
            raise

    def _is_broken_off(
        self, answer: Answer, events: Iterator[Event], *, completion_id: str, fault: _MidStream | None, keeps: Kept
    ) -> bool:
        """Send the events; True when the fault ended the stream, at the latest in place of the terminal event."""
        for count, event in enumerate(events):
            if fault is not None and (count == fault.after_events or event.is_last):
                if self._break(answer, fault, completion_id=completion_id):
                    return True
                fault = None
            if event.is_text and answer.reply.gate is not None:
                self._pass(answer.reply.gate)
            if event.is_last:
                self.api.keep(answer, keeps)
            self.wire.send(event)
        return False

    def _break(self, answer: Answer, fault: _MidStream, *, completion_id: str) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        if isinstance(fault, CorruptFault):
            self.wire.send(Event(None if answer.conversation is None else "message.output.delta", _CORRUPT))
            return False
        self.api.keep(answer, fault.keeps)
        if isinstance(fault, CutFault):
            self.journal.ended(self.number, "cut")
            if not fault.is_clean:
                self.wire.drop()
                return True
        else:
            self.journal.ended(self.number, "answered")
            failed = chat_error(answer, completion_id)
            self.wire.send(failed if answer.conversation is None else conversation_error(fault.code, fault.message))
        self.wire.end_stream()
        return True

    def _pass(self, gate: Gate) -> None:
        if not gate.pass_through(lambda: self.is_closing() or self.wire.is_client_gone()):
            raise ClientGoneError


def new_wire(handler: BaseHTTPRequestHandler, api: MistralApi) -> MistralWire:
    """Return the connection of one request."""
    return MistralWire(handler, api.ids.issue("req"))
