"""The loopback listener: HTTP in, one exchange per request, every connection accounted for."""

from __future__ import annotations

import contextlib
import hmac
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from urllib.parse import urlsplit

from .api_errors import ApiError
from .body_rules import check_body, check_metadata
from .chat_api import ChatApi
from .chat_exchange import ChatExchange
from .chat_rules import check_chat_body
from .exchange import CreateExchange
from .faults import Fault, FaultQueue, HttpFault
from .journal import Journal, RequestRecord, Violation, visible_headers
from .json_types import JsonObject, encode, parse_object
from .request_judge import Endpoint, find_type_errors
from .responses_api import ResponsesApi
from .routes import StoredRequest, stored_request
from .wire import ClientGoneError, Wire

_ENDPOINTS: dict[str, Endpoint] = {
    "/v1/responses": "responses",
    "/v1/chat/completions": "chat",
    "/v1/conversations": "conversations",
}
_RULES: dict[Endpoint, Callable[[JsonObject], None]] = {
    "responses": check_body,
    "chat": check_chat_body,
    "conversations": check_metadata,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a listener serves."""

    api: ResponsesApi
    chat: ChatApi
    journal: Journal
    api_key: str
    faults: FaultQueue


class Listener(ThreadingHTTPServer):
    """Serves a site with one thread per connection; closing it ends them all.

    Args:
        site: What to serve.
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, site: Site, *, host: str, port: int) -> None:
        self.is_closing = False
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__((host, port), partial(_Handler, site, self))

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
        site: Site,
        listener: Listener,
        request: socket.socket,
        client_address: tuple[str, int],
        server: BaseServer,
    ) -> None:
        self._site = site
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
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = parse_object(raw)
        journal = self._site.journal
        record = RequestRecord(
            method=self.command, path=self.path, headers=visible_headers(self.headers.items()), body=body
        )
        number = journal.open(record)
        wire = Wire(self, self._site.api.ids.issue("req"))
        try:
            self._answer(raw, body, number=number, wire=wire)
        except ApiError as error:
            journal.sent(number, error.status)
            journal.ended(number, "answered")
            with contextlib.suppress(ClientGoneError):
                wire.send_json(error.status, error.body())
        except ClientGoneError:
            journal.ended(number, "client_gone")
            wire.drop()

    def _answer(self, raw: bytes, body: JsonObject | None, *, number: int, wire: Wire) -> None:
        self._check_key()
        endpoint = _ENDPOINTS.get(urlsplit(self.path).path) if self.command == "POST" else None
        judged = self._judge(raw, body, endpoint) if endpoint is not None else None
        site = self._site
        if endpoint == "responses" and judged is not None:
            CreateExchange(site.api, site.journal, number=number, wire=wire, is_closing=self._is_closing).run(
                judged, site.faults.take("create")
            )
        elif endpoint == "chat" and judged is not None:
            ChatExchange(site.chat, site.journal, number=number, wire=wire, is_closing=self._is_closing).run(
                judged, site.faults.take("chat")
            )
        else:
            asked = stored_request(site.api, method=self.command, url=self.path, body=judged)
            self._stored(asked, number=number, wire=wire)

    def _is_closing(self) -> bool:
        return self._listener.is_closing

    def _stored(self, asked: StoredRequest, *, number: int, wire: Wire) -> None:
        """Answer a request about something stored."""
        journal = self._site.journal
        fault: Fault | None = self._site.faults.take(asked.operation)
        if isinstance(fault, HttpFault):
            journal.sent(number, fault.status)
            journal.ended(number, "answered")
            wire.send_fault(fault)
            return
        if fault is not None:
            journal.ended(number, "cut")
            wire.drop()
            return
        with self._site.api.lock:
            found = asked.answer()
        journal.sent(number, 200, response_id=asked.response_id)
        journal.ended(number, "answered")
        wire.send_json(200, found)

    def _check_key(self) -> None:
        given = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._site.api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")

    def _judge(self, raw: bytes, body: JsonObject | None, endpoint: Endpoint) -> JsonObject:
        """Return the body if it is legal; else write down the violation and refuse it."""
        journal = self._site.journal
        if body is None:
            journal.violated(Violation("the body is no JSON object", None))
            raise ApiError(400, "We could not parse the JSON body of your request.")
        known = self._site.chat.known(body) if endpoint == "chat" else body
        problems = find_type_errors(raw if known is body else encode(known), known, endpoint)
        if problems:
            journal.violated(Violation("; ".join(problems), body))
            field, _, message = problems[0].partition(": ")
            is_unknown = message.startswith("Extra inputs")
            code = "unknown_parameter" if is_unknown else "invalid_type"
            text = f"Unknown parameter: '{field}'." if is_unknown else f"Invalid value for '{field}': {message}."
            raise ApiError(400, text, code=code, param=field)
        try:
            _RULES[endpoint](body)
        except ApiError as error:
            journal.violated(Violation(error.message, body))
            raise
        return body
