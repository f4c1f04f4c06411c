"""One ``POST /v1/responses`` from its body to its last byte, with whatever is to go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from openai.types.responses import ResponseStreamEvent

from .answers import as_json
from .api_errors import ApiError, error_body
from .events import EventSequence
from .faults import (
    CorruptFault,
    CutFault,
    DelayFault,
    DropFault,
    ErrorEventFault,
    FailedFault,
    Fault,
    HttpFault,
    RunOnFault,
)
from .gates import Gate
from .journal import Journal, Outcome
from .json_types import JsonObject, encode
from .responses_api import Answer, ResponsesApi
from .wire import ClientGoneError, Wire

_MidStream: TypeAlias = CutFault | RunOnFault | FailedFault | ErrorEventFault | CorruptFault
_CORRUPT_JSON = b'{"type":"response.output_text.delta","delta":"half a wo'


class CreateExchange:
    """Answers one create request.

    Args:
        api: The state to ask.
        journal: Where the exchange is written down.
        number: The request's number in the journal.
        wire: The connection.
        is_closing: Whether the server is being stopped, which ends every wait.
    """

    def __init__(
        self, api: ResponsesApi, journal: Journal, *, number: int, wire: Wire, is_closing: Callable[[], bool]
    ) -> None:
        self._api = api
        self._journal = journal
        self._number = number
        self._wire = wire
        self._is_closing = is_closing

    def run(self, body: JsonObject, fault: Fault | None) -> None:
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
                    self._api.finish(self._api.create(body))
                self._cut()
                return
            case DelayFault() if not fault.is_stored:
                self._pass(fault.gate)
            case _:
                pass
        answer = self._api.create(body)
        if isinstance(fault, RunOnFault) and (fault.after_events is None or body.get("stream") is not True):
            self._run_on(answer, fault.gate, ends_by="client_gone")
            raise ClientGoneError
        if isinstance(fault, DelayFault) and fault.is_stored:
            self._api.finish(answer)
            self._pass(fault.gate)
        if body.get("stream") is True:
            self._stream(answer, fault)
        else:
            self._plain(answer, fault)

    def _plain(self, answer: Answer, fault: Fault | None) -> None:
        if answer.reply.gate is not None:
            self._pass(answer.reply.gate, answer)
        response = answer.response
        match fault:
            case ErrorEventFault():
                self._api.fail(answer, message=fault.message)
                raise ApiError(500, fault.message, code=fault.code)
            case FailedFault():
                response = self._api.fail(answer, message=fault.message)
            case CutFault():
                self._settle(answer, fault)
                self._sent(answer, "cut")
                self._wire.send_half(as_json(response), is_clean=fault.is_clean)
                return
            case CorruptFault():
                self._api.finish(answer)
                self._sent(answer, "answered")
                self._wire.send_fault(HttpFault(200, _CORRUPT_JSON))
                return
            case _:
                self._api.finish(answer)
        self._sent(answer, "answered")
        self._wire.send_json(200, as_json(response))

    def _stream(self, answer: Answer, fault: Fault | None) -> None:
        sequence = EventSequence(answer.response, answer.reply)
        self._journal.sent(self._number, 200, response_id=answer.response.id)
        try:
            self._wire.start_stream()
            if self._is_broken_off(answer, sequence, fault=fault):
                return
            self._api.finish(answer)
            self._journal.ended(self._number, "answered")
            self._send(sequence.terminal())
            self._wire.end_stream()
        except ClientGoneError:
            # The provider goes on without its listener: what was begun is stored.
            self._api.finish(answer)
            raise

    def _is_broken_off(self, answer: Answer, sequence: EventSequence, *, fault: Fault | None) -> bool:
        """Send all but the terminal event; True when the fault ended the stream, at the latest in its place."""
        pending = fault if isinstance(fault, _MidStream) else None
        events = sequence.events()
        count = 0
        while True:
            if pending is not None and count == pending.after_events:
                if self._break(answer, sequence, fault=pending):
                    return True
                pending = None
            event = next(events, None)
            if event is None:
                return pending is not None and self._break(answer, sequence, fault=pending)
            if event.type.endswith(".delta") and answer.reply.gate is not None:
                self._pass(answer.reply.gate)
            self._send(event)
            count += 1

    def _break(self, answer: Answer, sequence: EventSequence, *, fault: _MidStream) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        match fault:
            case CorruptFault():
                self._wire.send_event("response.output_text.delta", _CORRUPT_JSON)
                return False
            case CutFault():
                self._settle(answer, fault)
                self._journal.ended(self._number, "cut")
                if not fault.is_clean:
                    self._wire.drop()
                    return True
            case RunOnFault():
                self._wire.drop()
                self._run_on(answer, fault.gate, ends_by="cut")
                return True
            case FailedFault():
                broken = self._api.fail(answer, message=fault.message)
                self._journal.ended(self._number, "answered")
                self._send(sequence.failed(broken))
            case ErrorEventFault():
                self._api.fail(answer, message=fault.message)
                self._journal.ended(self._number, "answered")
                self._wire.send_event("error", self._error_data(sequence, fault))
        self._wire.end_stream()
        return True

    def _error_data(self, sequence: EventSequence, fault: ErrorEventFault) -> bytes:
        if fault.is_nested:
            return encode({"type": "error", **error_body(fault.message, error_type="server_error", code=fault.code)})
        return encode(as_json(sequence.error(code=fault.code, message=fault.message)))

    def _send(self, event: ResponseStreamEvent) -> None:
        self._wire.send_event(event.type, encode(as_json(event)))

    def _settle(self, answer: Answer, fault: CutFault) -> None:
        if fault.is_stored:
            self._api.finish(answer, is_entered=fault.is_entered)
        else:
            self._api.discard(answer)

    def _run_on(self, answer: Answer, gate: Gate, *, ends_by: Outcome) -> None:
        """Finish an answer nobody listens to any more, when the gate lets it."""
        if gate.pass_through(self._is_closing):
            self._api.finish(answer)
        self._journal.ended(self._number, ends_by)

    def _sent(self, answer: Answer, outcome: Outcome) -> None:
        self._journal.sent(self._number, 200, response_id=answer.response.id)
        self._journal.ended(self._number, outcome)

    def _cut(self) -> None:
        self._journal.ended(self._number, "cut")
        self._wire.drop()

    def _pass(self, gate: Gate, answer: Answer | None = None) -> None:
        if not gate.pass_through(lambda: self._is_closing() or self._wire.is_client_gone()):
            if answer is not None:
                self._api.finish(answer)
            raise ClientGoneError
