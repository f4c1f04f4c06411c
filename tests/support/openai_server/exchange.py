"""The answer to one ``POST /v1/responses``: streamed, or whole."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.provider_server.exchange import Answer, Exchange
from tests.support.provider_server.faults import (
    CorruptFault,
    CutFault,
    ErrorEventFault,
    HttpFault,
    Kept,
    MidStreamFault,
    RunOnFault,
)
from tests.support.provider_server.gates import Gate
from tests.support.provider_server.journal import Outcome
from tests.support.provider_server.json_types import encode
from tests.support.provider_server.wire import ClientGoneError, Event

from .answers import as_json
from .api_errors import ApiError, error_body
from .events import EventSequence
from .responses_api import MadeResponse, ResponsesApi

_HALF_EVENT = Event(b'{"type":"response.output_text.delta","delta":"half a wo', "response.output_text.delta")


class ResponseAnswer(Answer):
    """A response that is about to be sent.

    Args:
        api: The state.
        made: The response as it ends.
    """

    half_event = _HALF_EVENT

    def __init__(self, api: ResponsesApi, made: MadeResponse) -> None:
        self.answer_id = made.response.id
        self.gate: Gate | None = made.reply.gate
        self.made = made
        self._api = api
        self._sequence = EventSequence(made.response, made.reply)

    def events(self) -> Iterator[Event]:
        """Yield the events of the stream but the terminal one."""
        for event in self._sequence.events():
            yield Event(encode(as_json(event)), event.type, is_text=event.type.endswith(".delta"))

    def closing(self) -> Iterator[Event]:
        """Yield the terminal event."""
        last = self._sequence.terminal()
        yield Event(encode(as_json(last)), last.type)

    def keep(self, kept: Kept) -> None:
        """Let the response end."""
        self._api.finish(self.made, kept)

    def error_event(self, fault: ErrorEventFault) -> Event:
        """Let the response fail, and return the event that says so."""
        broken = self._api.fail(self.made, message=fault.message)
        match fault.shape:
            case "failed":
                failed = self._sequence.failed(broken)
                return Event(encode(as_json(failed)), failed.type)
            case "nested":
                nested = error_body(fault.message, error_type="server_error", code=fault.code)
                return Event(encode({"type": "error", **nested}), "error")
            case _:
                return Event(encode(as_json(self._sequence.error(code=fault.code, message=fault.message))), "error")


class WholeAnswer(ResponseAnswer):
    """A response that is sent in one piece."""

    def send(self, exchange: Exchange, fault: MidStreamFault | None, *, keeps: Kept | None) -> None:
        """Send the response; a fault of streams does to it what it can.

        Raises:
            ApiError: It fails.
            ClientGoneError: The client left first.
        """
        if isinstance(fault, RunOnFault):
            exchange.run_on_unheard(self, fault)
        if self.gate is not None:
            self._pass(exchange, self.gate)
        body = as_json(self.made.response)
        if isinstance(fault, ErrorEventFault):
            failed = self._api.fail(self.made, message=fault.message)
            if fault.shape != "failed":
                raise ApiError(500, fault.message, code=fault.code)
            body = as_json(failed)
        else:
            self.keep(fault.keeps if isinstance(fault, CutFault) else "turn")
        outcome: Outcome = "cut" if isinstance(fault, CutFault) else "answered"
        exchange.end(outcome, status=200, response_id=self.answer_id)
        if isinstance(fault, CutFault):
            exchange.wire.send_half(body, is_clean=fault.is_clean)
        elif isinstance(fault, CorruptFault):
            exchange.wire.send_fault(HttpFault(200, _HALF_EVENT.data))
        else:
            exchange.wire.send_json(200, body)

    def _pass(self, exchange: Exchange, gate: Gate) -> None:
        try:
            exchange.pass_gate(gate)
        except ClientGoneError:
            self.keep("turn")  # the provider goes on without its listener
            raise
