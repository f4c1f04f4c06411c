"""The loopback listener: HTTP in, one exchange per request, every connection accounted for."""

from __future__ import annotations

import contextlib
import hmac
import socket
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Protocol

from tests.support.openai_server.gates import Gate
from tests.support.openai_server.journal import Outcome, RequestRecord, visible_headers
from tests.support.openai_server.json_types import JsonObject, encode, parse_object, string
from tests.support.openai_server.wire import ClientGoneError, Wire

from .events import event_json, events_of, is_text, terminal
from .faults import CutFault, DelayFault, DropFault, EventFault, Fault, HttpFault, http_error
from .replies import Reply
from .views import ModelView

_CHAT_PATH = "/v2/chat"


class Site(Protocol):
    """What a listener serves."""

    api_key: str

    def opened(self, record: RequestRecord) -> int: ...

    def ended(self, number: int, *, status: int | None, outcome: Outcome) -> None: ...

    def refusal(self, raw: bytes, body: JsonObject | None) -> str | None: ...

    def next_fault(self) -> Fault | None: ...

    def reply_to(self, body: JsonObject) -> tuple[ModelView, Reply]: ...

    def issue(self, prefix: str) -> str: ...


class Listener(ThreadingHTTPServer):
    """Serves a site with one thread per connection; closing it ends them all."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, site: Site, *, host: str, port: int) -> None:
        self.is_closing = False
        self.connections: set[socket.socket] = set()
        self.changed = threading.Condition()
        super().__init__((host, port), partial(_Handler, site, self))

    def count(self, connection: socket.socket, *, is_open: bool) -> None:
        """Count a connection in or out."""
        with self.changed:
            (self.connections.add if is_open else self.connections.discard)(connection)
            self.changed.notify_all()

    def close(self) -> None:
        """Stop listening and break every connection."""
        self.is_closing = True
        self.shutdown()
        self.server_close()
        with self.changed:
            for connection in self.connections:
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
        self._listener.count(self.connection, is_open=True)
        try:
            with contextlib.suppress(OSError):
                super().handle()
        finally:
            self._listener.count(self.connection, is_open=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the journal knows."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        body = parse_object(raw)
        headers = visible_headers(self.headers.items())
        number = self._site.opened(RequestRecord(method="POST", path=self.path, headers=headers, body=body))
        wire = Wire(self, self._site.issue("trace"))
        try:
            self._answer(raw, body, number=number, wire=wire)
        except ClientGoneError:
            self._site.ended(number, status=None, outcome="client_gone")
            wire.drop()

    def _answer(self, raw: bytes, body: JsonObject | None, *, number: int, wire: Wire) -> None:
        fault: Fault | None = self._refused(raw, body) or self._site.next_fault()
        match fault:
            case HttpFault():
                self._site.ended(number, status=fault.status, outcome="answered")
                wire.send_fault(fault)
                return
            case DropFault():
                self._site.ended(number, status=None, outcome="cut")
                wire.drop()
                return
            case DelayFault():
                self._pass(fault.gate, wire)
            case _:
                pass
        view, reply = self._site.reply_to(body or {})
        self._stream(view, reply, number=number, wire=wire, fault=fault)

    def _refused(self, raw: bytes, body: JsonObject | None) -> HttpFault | None:
        given = (self.headers.get("authorization") or "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), self._site.api_key.encode()):
            return http_error(401, "invalid api token")
        if self.path != _CHAT_PATH:
            return http_error(404, "page not found")
        problem = self._site.refusal(raw, body)
        return None if problem is None else http_error(400, problem)

    def _stream(self, view: ModelView, reply: Reply, *, number: int, wire: Wire, fault: Fault | None) -> None:
        message_id = self._site.issue("message")
        call_ids = [call.call_id or self._site.issue(call.name) for call in reply.tool_calls]
        wire.start_stream()
        pending = fault if isinstance(fault, CutFault | EventFault) else None
        for sent, event in enumerate(events_of(reply, message_id=message_id, call_ids=call_ids)):
            if pending is not None and sent == pending.after_events:
                if self._break(pending, number=number, wire=wire):
                    return
                pending = None
            if reply.gate is not None and is_text(event):
                self._pass(reply.gate, wire)
            data = event_json(event)
            wire.send_event(string(data, "type"), encode(data))
        if pending is not None and self._break(pending, number=number, wire=wire):
            return
        self._site.ended(number, status=200, outcome="answered")
        wire.send_event("message-end", encode(event_json(terminal(reply, view, message_id=message_id))))
        wire.end_stream()

    def _break(self, fault: CutFault | EventFault, *, number: int, wire: Wire) -> bool:
        """Do what the fault does at this point; True when the stream is over with it."""
        if isinstance(fault, EventFault):
            wire.send_event("event", fault.data)
            if not fault.is_last:
                return False
        self._site.ended(number, status=200, outcome="cut")
        if isinstance(fault, CutFault) and not fault.is_clean:
            wire.drop()
        else:
            wire.end_stream()
        return True

    def _pass(self, gate: Gate, wire: Wire) -> None:
        if not gate.pass_through(lambda: self._listener.is_closing or wire.is_client_gone()):
            raise ClientGoneError
