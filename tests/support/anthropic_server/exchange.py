"""One ``POST /v1/messages`` from its body to its last byte, with whatever is to go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pydantic import BaseModel

from tests.support.openai_server.gates import Gate
from tests.support.openai_server.journal import Journal
from tests.support.openai_server.json_types import JsonObject, encode, string
from tests.support.openai_server.wire import ClientGoneError, Wire

from .answers import as_json, events, terminal
from .api_errors import error_body
from .faults import CorruptFault, CutFault, DelayFault, DropFault, ErrorEventFault, Fault, HttpFault
from .messages_api import Answer, MessagesApi

_MidStream = CutFault | ErrorEventFault | CorruptFault
_CORRUPT_JSON = b'{"type":"content_block_delta","delta":{"type":"text_de'


class Exchange:
    """Answers one request.

    Args:
        api: The state to ask.
        journal: Where the exchange is written down.
        number: The request's number in the journal.
        wire: The connection.
        is_closing: Whether the server is being stopped, which ends every wait.
    """

    def __init__(
        self, api: MessagesApi, journal: Journal, *, number: int, wire: Wire, is_closing: Callable[[], bool]
    ) -> None:
        self._api = api
        self._journal = journal
        self._number = number
        self._wire = wire
        self._is_closing = is_closing

    def run(self, body: JsonObject, fault: Fault | None, *, betas: str) -> None:
        """Answer ``body``, suffering ``fault`` on the way.

        Raises:
            ApiError: The request is refused.
            ClientGoneError: The client left first.
        """
        match fault:
            case HttpFault():
                self._journal.sent(self._number, fault.status)
                self._journal.ended(self._number, "answered")
                self._wire.send_fault(fault)
                return
            case DropFault():
                if fault.is_stored:
                    self._api.finish(self._api.create(body, betas=betas))
                self._journal.ended(self._number, "cut")
                self._wire.drop()
                return
            case DelayFault() if not fault.is_stored:
                self._pass(fault.gate)
            case _:
                pass
        answer = self._api.create(body, betas=betas)
        if isinstance(fault, DelayFault) and fault.is_stored:
            self._api.finish(answer)
            self._pass(fault.gate)
        self._stream(answer, fault if isinstance(fault, _MidStream) else None)

    def _stream(self, answer: Answer, fault: _MidStream | None) -> None:
        self._journal.sent(self._number, 200, response_id=answer.message.id)
        try:
            self._wire.start_stream()
            if self._is_broken_off(answer, events(answer.message, answer.reply), fault):
                return
            self._api.finish(answer)
            self._journal.ended(self._number, "answered")
            self._send(terminal())
            self._wire.end_stream()
        except ClientGoneError:
            self._api.finish(answer)  # the provider goes on without its listener
            raise

    def _is_broken_off(self, answer: Answer, waiting: Iterator[BaseModel], fault: _MidStream | None) -> bool:
        """Send all but the terminal event; True when the fault ended the stream, at the latest in its place."""
        for sent, event in enumerate(waiting):
            if fault is not None and sent == fault.after_events:
                if self._break(answer, fault):
                    return True
                fault = None
            data = as_json(event)
            if answer.reply.gate is not None and string(data, "type") == "content_block_delta":
                self._pass(answer.reply.gate)
            self._send(event)
            if sent == 0:
                self._wire.send_event("ping", b'{"type": "ping"}')
        return fault is not None and self._break(answer, fault)

    def _break(self, answer: Answer, fault: _MidStream) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        if isinstance(fault, CorruptFault):
            self._wire.send_event("content_block_delta", _CORRUPT_JSON)
            return False
        if isinstance(fault, CutFault) and fault.is_stored:
            self._api.finish(answer)
        else:
            self._api.discard(answer)
        self._journal.ended(self._number, "cut" if isinstance(fault, CutFault) else "answered")
        if isinstance(fault, ErrorEventFault):
            self._wire.send_event("error", encode(error_body(fault.message, kind=fault.code)))
        elif not fault.is_clean:
            self._wire.drop()
            return True
        self._wire.end_stream()
        return True

    def _send(self, event: BaseModel) -> None:
        data = as_json(event)
        self._wire.send_event(string(data, "type"), encode(data))

    def _pass(self, gate: Gate) -> None:
        if not gate.pass_through(lambda: self._is_closing() or self._wire.is_client_gone()):
            raise ClientGoneError
