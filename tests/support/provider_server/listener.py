"""The loopback listener: HTTP in, one exchange per request, every connection accounted for."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any, Protocol
from urllib.parse import urlsplit

from .exchange import Exchange
from .journal import Journal, RequestRecord, visible_headers
from .json_types import JsonObject, parse_object
from .refusals import Refusal
from .wire import ClientGoneError, Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came.

    Args:
        method: HTTP method.
        path: Path without query.
        query: The query, without its question mark.
        headers: The headers.
        raw: The body as it came over the wire.
        body: The same parsed, None when it is no JSON object.
    """

    method: str
    path: str
    query: str
    headers: Message
    raw: bytes
    body: JsonObject | None

    def header(self, name: str) -> str:
        """Return the value of a header, empty when there is none."""
        return self.headers.get(name) or ""


class Service(Protocol):
    """What a listener serves."""

    @property
    def journal(self) -> Journal[Any]: ...

    def wire(self, handler: BaseHTTPRequestHandler) -> Wire: ...

    def answer(self, request: Request, exchange: Exchange) -> None: ...

    def refusal_body(self, refusal: Refusal, request: Request) -> JsonObject: ...


class Listener(ThreadingHTTPServer):
    """Serves with one thread per connection; closing it ends them all.

    Args:
        service: What to serve.
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, service: Service, *, host: str, port: int) -> None:
        self.is_closing = False
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), partial(_Handler, service, self))

    def opened(self, connection: socket.socket) -> None:
        """Count a connection in."""
        with self._changed:
            self._connections.add(connection)
            self._changed.notify_all()

    def closed(self, connection: socket.socket) -> None:
        """Count a connection out."""
        with self._changed:
            self._connections.discard(connection)
            self._changed.notify_all()

    def connection_count(self) -> int:
        """Return how many connections are open."""
        with self._changed:
            return len(self._connections)

    def wait_for_connections(self, count: int, *, timeout: float) -> None:
        """Block until exactly ``count`` connections are open.

        Raises:
            TimeoutError: Another number is open after ``timeout`` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._connections) == count, timeout):
                raise TimeoutError(f"{len(self._connections)} connections are open, not {count}")

    def close(self) -> None:
        """Stop listening and break every connection."""
        self.is_closing = True
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self,
        service: Service,
        listener: Listener,
        request: socket.socket,
        client_address: tuple[str, int],
        server: BaseServer,
    ) -> None:
        self._service = service
        self._listener = listener
        super().__init__(request, client_address, server)

    def handle(self) -> None:
        self._listener.opened(self.connection)
        try:
            with contextlib.suppress(OSError):
                super().handle()
        finally:
            self._listener.closed(self.connection)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the journal knows."""

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        request = self._read()
        journal, wire = self._service.journal, self._service.wire(self)
        record = RequestRecord(
            method=self.command, path=self.path, headers=visible_headers(self.headers.items()), body=request.body
        )
        number = journal.open(record)
        exchange = Exchange(journal, number=number, wire=wire, is_closing=lambda: self._listener.is_closing)
        try:
            self._service.answer(request, exchange)
        except Refusal as refusal:
            journal.sent(number, refusal.status)
            journal.ended(number, "answered")
            with contextlib.suppress(ClientGoneError):
                wire.send_json(refusal.status, self._service.refusal_body(refusal, request))
        except ClientGoneError:
            journal.ended(number, "client_gone")
            wire.drop()

    def _read(self) -> Request:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        return Request(
            method=self.command,
            path=parts.path,
            query=parts.query,
            headers=self.headers,
            raw=raw,
            body=parse_object(raw),
        )
