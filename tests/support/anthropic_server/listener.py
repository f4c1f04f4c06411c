"""The loopback listener: HTTP in, one exchange per request."""

from __future__ import annotations

import contextlib
import hmac
import socket
import threading
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support.openai_server.journal import Journal, RequestRecord, Violation, visible_headers
from tests.support.openai_server.json_types import JsonObject, parse_object
from tests.support.openai_server.listener import Listener
from tests.support.openai_server.wire import ClientGoneError, Wire

from .api_errors import ApiError
from .exchange import Exchange
from .faults import FaultQueue
from .messages_api import MessagesApi
from .request_judge import find_type_errors
from .rules import check_request

THREADS_BETA = "message-threads-2026-08-12"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a listener serves; ``faults`` may hold any of `faults.Fault`."""

    api: MessagesApi
    journal: Journal
    api_key: str
    faults: FaultQueue


class MessagesListener(Listener):
    """Serves a site; counting and closing of connections is the other server's.

    Args:
        site: What to serve.
        host: Address to bind.
        port: Port to bind; 0 picks a free one.
    """

    def __init__(self, site: Site, *, host: str, port: int) -> None:
        self.is_closing = False
        self._connections: set[socket.socket] = set()
        self._changed = threading.Condition()
        ThreadingHTTPServer.__init__(self, (host, port), partial(_Handler, site, self))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self,
        site: Site,
        listener: MessagesListener,
        request: socket.socket,
        client_address: tuple[str, int],
        server: ThreadingHTTPServer,
    ) -> None:
        self._site = site
        self._listener = listener
        self._request_id = ""
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

    def send_response(self, code: int, message: str | None = None) -> None:
        super().send_response(code, message)
        self.send_header("request-id", self._request_id)

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = parse_object(self.rfile.read(int(self.headers.get("content-length") or 0)))
        journal = self._site.journal
        record = RequestRecord(
            method=self.command, path=self.path, headers=visible_headers(self.headers.items()), body=body
        )
        number = journal.open(record)
        self._request_id = self._site.api.issue("req")
        wire = Wire(self, self._request_id)
        try:
            self._answer(body, number=number, wire=wire)
        except ApiError as error:
            journal.sent(number, error.status)
            journal.ended(number, "answered")
            with contextlib.suppress(ClientGoneError):
                wire.send_json(error.status, error.body())
        except ClientGoneError:
            journal.ended(number, "client_gone")
            wire.drop()

    def _answer(self, body: JsonObject | None, *, number: int, wire: Wire) -> None:
        self._check_key()
        if (self.command, urlsplit(self.path).path) != ("POST", "/v1/messages"):
            raise ApiError(404, "Not found")
        betas = self.headers.get("anthropic-beta") or ""
        judged = self._judge(body, betas=betas)
        exchange = Exchange(
            self._site.api,
            self._site.journal,
            number=number,
            wire=wire,
            is_closing=lambda: self._listener.is_closing,
        )
        exchange.run(judged, self._site.faults.take("create"), betas=betas)  # type: ignore[arg-type]

    def _check_key(self) -> None:
        given = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._site.api_key.encode()):
            raise ApiError(401, "invalid x-api-key")

    def _judge(self, body: JsonObject | None, *, betas: str) -> JsonObject:
        """Return the body if it is legal; else write down the violation and refuse it."""
        problems = ["the body is no JSON object"] if body is None else find_type_errors(body, is_beta=bool(betas))
        if body is not None and not problems:
            try:
                check_request(body)
            except ApiError as error:
                problems = [error.message]
        if not self.headers.get("anthropic-version"):
            problems.append("anthropic-version: header is required")
        if body is not None and "thread" in body and THREADS_BETA not in betas.split(","):
            problems.append("thread: Extra inputs are not permitted")
        if problems or body is None:
            self._site.journal.violated(Violation("; ".join(problems), body))
            raise ApiError(400, problems[0])
        return body
