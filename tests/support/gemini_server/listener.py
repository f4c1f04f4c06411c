"""The loopback listener: HTTP in, one exchange per request, every connection accounted for."""

from __future__ import annotations

import contextlib
import hmac
import re
import socket
import threading
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from urllib.parse import urlsplit

from tests.support.openai_server.faults import HttpFault
from tests.support.openai_server.gates import Gate
from tests.support.openai_server.json_types import JsonObject, encode, parse_object

from .events import Event, answer_steps, content_chunks, interaction_events
from .faults import CorruptFault, CutFault, DelayFault, DropFault, ErrorEventFault, Fault
from .journal import Journal, RequestRecord
from .judge import find_type_errors
from .state import GeminiState, Turn
from .views import ApiError

_INTERACTIONS = re.compile(r"/v1(?:beta)?/interactions")
_INTERACTION = re.compile(r"/v1(?:beta)?/interactions/([^/]+)")
_GENERATE = re.compile(r"/v1(?:beta)?/models/([^/:]+):streamGenerateContent")


class ClientGoneError(Exception):
    """The client left before the exchange was over."""


@dataclass(slots=True, kw_only=True)
class Site:
    """What a listener serves."""

    state: GeminiState
    journal: Journal
    api_key: str
    faults: deque[Fault | None] = field(default_factory=deque[Fault | None])


class Listener(ThreadingHTTPServer):
    """Serves a site with one thread per connection; closing it ends them all."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, site: Site, *, host: str, port: int) -> None:
        self.is_closing = False
        self.connections: set[socket.socket] = set()
        self.changed = threading.Condition()
        super().__init__((host, port), partial(_Handler, site, self))

    def wait_for_connections(self, count: int, *, timeout: float) -> None:
        """Block until exactly `count` connections are open."""
        with self.changed:
            if not self.changed.wait_for(lambda: len(self.connections) == count, timeout):
                raise TimeoutError(f"{len(self.connections)} connections are open, not {count}")

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
        self._number = 0
        super().__init__(request, client_address, server)

    def handle(self) -> None:
        with self._listener.changed:
            self._listener.connections.add(self.connection)
            self._listener.changed.notify_all()
        try:
            with contextlib.suppress(OSError):
                super().handle()
        finally:
            with self._listener.changed:
                self._listener.connections.discard(self.connection)
                self._listener.changed.notify_all()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet: the journal knows."""

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        record = RequestRecord(
            method=self.command,
            path=self.path,
            headers={name.lower(): text for name, text in self.headers.items() if name.lower() != "x-goog-api-key"},
            body=parse_object(raw),
        )
        self._number = self._site.journal.open(record)
        try:
            self._answer(raw)
        except ApiError as error:
            with contextlib.suppress(ClientGoneError):
                self._send(HttpFault(error.status, encode(self._error_body(error))))
        except ClientGoneError:
            self._drop()
        self._site.journal.ended(self._number)

    def _error_body(self, error: ApiError) -> JsonObject:
        if _INTERACTIONS.match(self.path):
            return {"error": {"code": error.code, "message": error.message}}
        return {"error": {"code": error.status, "message": error.message, "status": error.code}}

    def _answer(self, raw: bytes) -> None:
        if not hmac.compare_digest(self.headers.get("x-goog-api-key") or "", self._site.api_key):
            raise ApiError(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        path = urlsplit(self.path).path
        if self.command == "DELETE" and (deleted := _INTERACTION.fullmatch(path)):
            self._site.state.delete(deleted[1])
            self._send(HttpFault(200, b"{}"))
            return
        generated = _GENERATE.fullmatch(path)
        is_interaction = bool(_INTERACTIONS.fullmatch(path))
        if self.command != "POST" or not (generated or is_interaction):
            raise ApiError(404, "NOT_FOUND", "")
        body = self._judged(raw, is_interaction=is_interaction)
        fault = self._site.faults.popleft() if self._site.faults else None
        match fault:
            case HttpFault():
                self._send(fault)
                return
            case DropFault():
                self._drop()
                return
            case DelayFault():
                self._pass(fault.gate)
            case _:
                pass
        if generated:
            self._generate(generated[1], body, fault)
        else:
            self._interact(body, fault)

    def _judged(self, raw: bytes, *, is_interaction: bool) -> JsonObject:
        problems = find_type_errors(raw, is_interaction=is_interaction)
        body = parse_object(raw)
        if problems or body is None:
            self._site.journal.violated("; ".join(problems) or "no JSON object")
            raise ApiError(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {problems[:1]}")
        return body

    def _interact(self, body: JsonObject, fault: Fault | None) -> None:
        state = self._site.state
        turn = state.interact(body)
        steps = answer_steps(turn, state)
        events = list(interaction_events(turn, steps))
        self._site.journal.answered(self._number, turn.view.answer_id)

        def keep() -> None:
            if turn.reply.status not in {"failed", "cancelled"}:
                state.keep(turn, steps)

        self._stream(turn, events, fault, keep=keep)

    def _generate(self, model: str, body: JsonObject, fault: Fault | None) -> None:
        turn = self._site.state.generate(model, body)
        self._site.journal.answered(self._number, turn.view.answer_id)
        self._stream(turn, list(content_chunks(turn, self._site.state)), fault, keep=lambda: None)

    def _stream(self, turn: Turn, events: list[Event], fault: Fault | None, *, keep: object) -> None:
        assert callable(keep)
        is_interaction = bool(_INTERACTIONS.match(self.path))
        self._start_stream()
        for count, (event, is_gated) in enumerate(events):
            if isinstance(fault, CutFault) and min(fault.after_events, len(events) - 1) == count:
                if fault.is_kept:
                    keep()
                self._end(is_clean=fault.is_clean)
                return
            if isinstance(fault, CorruptFault) and fault.after_events == count:
                self._event(fault.data)
            if isinstance(fault, ErrorEventFault) and min(fault.after_events, len(events) - 1) == count:
                self._event(encode(_error_event(fault, is_interaction=is_interaction)))
                self._end(is_clean=True)
                return
            if is_gated and turn.reply.gate is not None:
                self._pass(turn.reply.gate)
            if count == len(events) - 1:
                keep()
            self._event(encode(event))
        if is_interaction:
            self._event(b"[DONE]")
        self._end(is_clean=True)

    def _pass(self, gate: Gate) -> None:
        if not gate.pass_through(lambda: self._listener.is_closing or self._is_client_gone()):
            raise ClientGoneError

    def _is_client_gone(self) -> bool:
        try:
            self.connection.setblocking(False)
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self.connection.setblocking(True)

    def _send(self, fault: HttpFault) -> None:
        self.send_response(fault.status)
        self.send_header("content-type", fault.content_type)
        self.send_header("content-length", str(len(fault.body)))
        for name, text in fault.headers:
            self.send_header(name, text)
        self._finish_head()
        self._write(fault.body)

    def _start_stream(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("x-request-id", f"req-{self._number}")
        self.send_header("transfer-encoding", "chunked")
        self._finish_head()

    def _finish_head(self) -> None:
        try:
            self.end_headers()
        except OSError as error:
            raise ClientGoneError from error

    def _event(self, data: bytes) -> None:
        block = b"data: " + data + b"\r\n\r\n"
        self._write(b"%x\r\n%s\r\n" % (len(block), block))

    def _end(self, *, is_clean: bool) -> None:
        if is_clean:
            self._write(b"0\r\n\r\n")
        else:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _write(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
        except OSError as error:
            raise ClientGoneError from error


def _error_event(fault: ErrorEventFault, *, is_interaction: bool) -> JsonObject:
    if is_interaction:
        return {"event_type": "error", "error": {"code": fault.code, "message": fault.message}}
    return {"error": {"code": fault.status, "message": fault.message, "status": fault.code.upper()}}
