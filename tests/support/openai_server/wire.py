"""The bytes of one exchange: whole answers, event streams, and connections that break."""

from __future__ import annotations

import contextlib
import select
import socket
from http.server import BaseHTTPRequestHandler

from .faults import HttpFault
from .json_types import JsonObject, encode


class ClientGoneError(Exception):
    """The client left before the exchange was over."""


class Wire:
    """Writes answers through one request handler.

    Args:
        handler: The handler whose connection is written to.
        request_id: Sent as ``x-request-id``.
    """

    def __init__(self, handler: BaseHTTPRequestHandler, request_id: str) -> None:
        self._handler = handler
        self._request_id = request_id

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

    def send_event(self, name: str, data: bytes) -> None:
        """Send one server-sent event."""
        self._send_chunk(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")

    def send_data(self, data: bytes) -> None:
        """Send one server-sent event that has no name."""
        self._send_chunk(b"data: " + data + b"\n\n")

    def _send_chunk(self, event: bytes) -> None:
        self._write(b"%x\r\n%s\r\n" % (len(event), event))

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
        handler.send_header("x-request-id", self._request_id)
        handler.send_header("openai-version", "2020-10-01")
        for name, value in headers:
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
