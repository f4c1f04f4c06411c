"""The bytes of one exchange: whole answers, event streams, and connections that break."""

from __future__ import annotations

import contextlib
import select
import socket
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler

from .faults import HttpFault
from .json_types import JsonObject, encode


class ClientGoneError(Exception):
    """The client left before the exchange was over."""


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event.

    Args:
        data: What it holds.
        name: Its name, None where the API gives none.
        is_text: Whether it is a piece of text, which the reply's gate holds back.
        is_ping: Whether it says nothing, and is not counted.
    """

    data: bytes
    name: str | None = None
    is_text: bool = False
    is_ping: bool = False


class Wire:
    """Writes answers through one request handler.

    Args:
        handler: The handler whose connection is written to.
        headers: Sent with every answer.
        line_end: How lines of an event stream end.
    """

    def __init__(
        self, handler: BaseHTTPRequestHandler, *, headers: tuple[tuple[str, str], ...], line_end: bytes = b"\n"
    ) -> None:
        self._handler = handler
        self._headers = headers
        self._line_end = line_end

    def send_json(self, status: int, body: JsonObject) -> None:
        """Send a whole JSON answer."""
        self.send_fault(HttpFault(status, encode(body)))

    def send_fault(self, fault: HttpFault) -> None:
        """Send any whole answer."""
        self._head(fault.status, fault.content_type, headers=fault.headers, length=len(fault.body))
        self._write(fault.body)

    def send_half(self, body: JsonObject, *, is_clean: bool) -> None:
        """Send the first half of an answer; a clean one pretends that this was all."""
        raw = encode(body)
        half = raw[: len(raw) // 2]
        self._head(200, "application/json", length=len(half) if is_clean else len(raw))
        self._write(half)
        if not is_clean:
            self.drop()

    def start_stream(self) -> None:
        """Send the headers of an event stream."""
        self._head(200, "text/event-stream; charset=utf-8", length=None)

    def send_event(self, event: Event) -> None:
        """Send one server-sent event."""
        end = self._line_end
        name = b"" if event.name is None else b"event: " + event.name.encode() + end
        block = name + b"data: " + event.data + end + end
        self._write(b"%x\r\n%s\r\n" % (len(block), block))

    def end_stream(self) -> None:
        """End an event stream properly."""
        self._write(b"0\r\n\r\n")

    def drop(self) -> None:
        """Break the connection."""
        self._handler.close_connection = True
        with contextlib.suppress(OSError):
            self._handler.connection.shutdown(socket.SHUT_RDWR)

    def is_client_gone(self) -> bool:
        """Tell whether the client closed its end."""
        try:
            readable, _, _ = select.select([self._handler.connection], [], [], 0)
            return bool(readable) and not self._handler.connection.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _head(
        self, status: int, content_type: str, *, headers: tuple[tuple[str, str], ...] = (), length: int | None
    ) -> None:
        handler = self._handler
        handler.send_response(status)
        handler.send_header("content-type", content_type)
        for name, value in (*self._headers, *headers):
            handler.send_header(name, value)
        if length is None:
            handler.send_header("transfer-encoding", "chunked")
        else:
            handler.send_header("content-length", str(length))
        try:
            handler.end_headers()
        except OSError as error:
            raise ClientGoneError from error

    def _write(self, data: bytes) -> None:
        try:
            self._handler.wfile.write(data)
        except OSError as error:
            raise ClientGoneError from error
