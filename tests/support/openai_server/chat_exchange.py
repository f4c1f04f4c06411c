"""One ``POST /v1/chat/completions`` from its body to its last byte, with whatever is to go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable

from .answers import as_json
from .api_errors import error_body
from .chat_api import ChatAnswer, ChatApi
from .chat_events import chat_chunks
from .faults import CorruptFault, CutFault, DelayFault, DropFault, ErrorEventFault, FailedFault, Fault, HttpFault
from .journal import Journal
from .json_types import JsonObject, encode
from .wire import ClientGoneError, Wire

_CORRUPT_JSON = b'{"choices":[{"delta":{"content":"half a wo'


class ChatExchange:
    """Answers one chat request.

    Args:
        api: What answers.
        journal: Where the exchange is written down.
        number: The request's number in the journal.
        wire: The connection.
        is_closing: Whether the server is being stopped, which ends every wait.
    """

    def __init__(
        self, api: ChatApi, journal: Journal, *, number: int, wire: Wire, is_closing: Callable[[], bool]
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
            case DropFault():
                self._journal.ended(self._number, "cut")
                self._wire.drop()
            case DelayFault():
                self._pass(fault)
                self._stream(self._api.create(body), None)
            case _:
                self._stream(self._api.create(body), fault)

    def _stream(self, answer: ChatAnswer, fault: Fault | None) -> None:
        self._journal.sent(self._number, 200, response_id=answer.view.response_id)
        self._wire.start_stream()
        after = getattr(fault, "after_events", None)
        count = 0
        for count, chunk in enumerate(chat_chunks(answer, manners=self._api.manners, ids=self._api.ids)):
            if count == after and self._is_over(fault):
                return
            has_text = bool(chunk.choices and chunk.choices[0].delta.content)
            if answer.reply.gate is not None and has_text and not answer.reply.gate.pass_through(self._is_left):
                raise ClientGoneError
            self._send(encode(as_json(chunk)))
        if after is not None and after > count and self._is_over(fault):
            return
        self._journal.ended(self._number, "answered")
        self._send(b"[DONE]")
        self._wire.end_stream()

    def _is_over(self, fault: Fault | None) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        match fault:
            case CorruptFault():
                self._send(_CORRUPT_JSON)
                return False
            case CutFault():
                self._journal.ended(self._number, "cut")
                if not fault.is_clean:
                    self._wire.drop()
                    return True
            case ErrorEventFault() | FailedFault():
                self._journal.ended(self._number, "answered")
                code = fault.code if isinstance(fault, ErrorEventFault) else "server_error"
                self._send(encode(error_body(fault.message, error_type="server_error", code=code)))
            case _:
                return False
        self._wire.end_stream()
        return True

    def _send(self, data: bytes) -> None:
        self._wire.send_data(data)

    def _pass(self, fault: DelayFault) -> None:
        if not fault.gate.pass_through(self._is_left):
            raise ClientGoneError

    def _is_left(self) -> bool:
        return self._is_closing() or self._wire.is_client_gone()
