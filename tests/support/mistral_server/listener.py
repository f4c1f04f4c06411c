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

from tests.support.openai_server.faults import HttpFault
from tests.support.openai_server.journal import Journal, RequestRecord, Violation, visible_headers
from tests.support.openai_server.json_types import JsonObject, parse_object
from tests.support.openai_server.listener import Listener
from tests.support.openai_server.wire import ClientGoneError

from .api import Answer, MistralApi
from .exchange import Exchange, MistralWire, new_wire
from .faults import FaultQueue, Operation
from .judge import check_body
from .refusals import ApiError

_CONVERSATIONS = "/v1/conversations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a listener serves."""

    api: MistralApi
    journal: Journal
    api_key: str
    faults: FaultQueue


class MistralListener(Listener):
    """Serves a site with one thread per connection; closing it ends them all."""

    def __init__(self, site: Site, *, host: str, port: int) -> None:  # pyright: ignore[reportMissingSuperCall]
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
        listener: MistralListener,
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
        headers = visible_headers(self.headers.items())
        number = journal.open(RequestRecord(method=self.command, path=self.path, headers=headers, body=body))
        wire = new_wire(self, self._site.api)
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

    def _answer(self, raw: bytes, body: JsonObject | None, *, number: int, wire: MistralWire) -> None:
        self._check_key()
        path = urlsplit(self.path).path
        if self.command == "POST":
            ask = self._asked(path, raw, body)
            exchange = Exchange(
                api=self._site.api,
                journal=self._site.journal,
                number=number,
                wire=wire,
                is_closing=lambda: self._listener.is_closing,
            )
            exchange.run(ask, self._site.faults.take("answer"))
            return
        conversation_id = path.removeprefix(f"{_CONVERSATIONS}/")
        if conversation_id == path:
            raise ApiError(404, "no Route matched with those values")
        self._stored(conversation_id, number=number, wire=wire)

    def _asked(self, path: str, raw: bytes, body: JsonObject | None) -> Callable[[], Answer]:
        """Return what answers a POST whose body is legal."""
        api = self._site.api
        conversation_id = path.removeprefix(f"{_CONVERSATIONS}/")
        kinds = {"/v1/chat/completions": "chat", "/v1/agents/completions": "agents", _CONVERSATIONS: "start"}
        kind = kinds.get(path) or ("append" if conversation_id != path else None)
        if kind is None:
            raise ApiError(404, "no Route matched with those values")
        judged = body or {}
        try:
            check_body(kind, raw, judged)
        except ApiError as error:
            self._site.journal.violated(Violation(error.message, body))
            raise

        def ask() -> Answer:
            try:
                if kind == "append":
                    return api.append(conversation_id, judged)
                return api.start(judged) if kind == "start" else api.chat(judged)
            except ApiError as error:
                if error.status != 404:
                    self._site.journal.violated(Violation(error.message, body))
                raise

        return ask

    def _stored(self, rest: str, *, number: int, wire: MistralWire) -> None:
        """Answer a request about a kept conversation."""
        journal = self._site.journal
        conversation_id, _, view = rest.partition("/")
        operation: Operation = "delete" if self.command == "DELETE" else "history"
        fault = self._site.faults.take(operation)
        if isinstance(fault, HttpFault):
            journal.sent(number, fault.status)
            journal.ended(number, "answered")
            wire.send_fault(fault)
            return
        if fault is not None:
            journal.ended(number, "cut")
            wire.drop()
            return
        if self.command == "DELETE" and not view:
            self._site.api.delete(conversation_id)
            status, found = 204, None
        elif self.command == "GET" and view == "history":
            status, found = 200, self._site.api.history(conversation_id)
        else:
            raise ApiError(404, "no Route matched with those values")
        journal.sent(number, status, response_id=conversation_id)
        journal.ended(number, "answered")
        if found is None:
            wire.send_fault(HttpFault(status, b""))
        else:
            wire.send_json(status, found)

    def _check_key(self) -> None:
        given = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._site.api_key.encode()):
            raise ApiError(401, "Unauthorized")
