"""A loopback relay between an SDK and a test's server: it holds an exchange at a point, or changes what it answers.

It knows nothing of any provider. The server stands behind it with its state and its journal, so that a test can say at
which byte its client is stopped, whatever the provider, and what became of the request on the other side.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["Answer", "Change", "Hold", "Relay"]

_LOOPBACK = "127.0.0.1"
_POLL_SECONDS = 0.02
_PATIENCE_SECONDS = 20.0
_OWN_HEADERS = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})
_END_OF_EVENT = re.compile(rb"\r?\n\r?\n")

Point = Literal["request", "answer", "text"]
"""The request is sent but has not arrived; the answer is made but not a byte of it has left; some of it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the server answered; with `is_cut` the connection ends after the body, which is then not whole."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    is_cut: bool = False

    def with_body(self, body: bytes) -> Answer:
        """Return the same answer with another body."""
        return replace(self, body=body)

    def end_of(self, text: bytes) -> int:
        """Return where the event of a stream ends that holds a text; 0 when none does."""
        found = self.body.find(text)
        end = _END_OF_EVENT.search(self.body, found) if found >= 0 else None
        return end.end() if end is not None else 0


Change = Callable[[Answer], Answer]


@dataclass(slots=True)
class Hold:
    """An exchange that stops at a point until it is dropped.

    Args:
        point: Where.
        at: At which request from now on, counted from 1.
        text: For the point "text": the answer is let through up to the end of the event that holds this.
    """

    point: Point
    at: int = 1
    text: bytes = b""
    _reached: threading.Event = field(default_factory=threading.Event)
    _dropped: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        """Block until the exchange stands here.

        Raises:
            TimeoutError: It did not come.
        """
        if not self._reached.wait(_PATIENCE_SECONDS):
            raise TimeoutError(f"no exchange came to {self.point} {self.at}")

    @property
    def is_reached(self) -> bool:
        """Whether the exchange stands here, or stood."""
        return self._reached.is_set()

    def drop(self) -> None:
        """End the exchange: nothing more of it passes."""
        self._dropped.set()

    def stand(self) -> None:
        """Wait here to be dropped."""
        self._reached.set()
        self._dropped.wait()


class Relay:
    """Passes HTTP exchanges on to a server on this machine.

    Args:
        base_url: The server's address.

    Attributes:
        answers: What the server answered so far; None where it broke off before it did.

    Example:
        >>> with Relay(server.base_url) as relay:
        ...     hold = relay.hold("answer")
        ...     # a client asks relay.base_url
        ...     hold.wait()
    """

    def __init__(self, base_url: str) -> None:
        self._upstream = urlsplit(base_url)
        self._lock = threading.Lock()
        self._count = 0
        self._holds: list[tuple[int, Hold]] = []
        self._changes: list[Change] = []
        self.answers: list[Answer | None] = []
        self._listener = ThreadingHTTPServer((_LOOPBACK, 0), partial(_Handler, self))
        self._listener.daemon_threads = True
        self._listener.block_on_close = False
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(_POLL_SECONDS,), daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop; whoever stands at a hold is dropped."""
        for _, hold in self._holds:
            hold.drop()
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """The server's address, by way of here."""
        return urlunsplit(self._upstream._replace(netloc=f"{_LOOPBACK}:{self._listener.server_port}"))

    @property
    def upstream(self) -> tuple[str, int]:
        """Host and port of the server."""
        return self._upstream.hostname or _LOOPBACK, self._upstream.port or 80

    @property
    def count(self) -> int:
        """How many requests have come so far."""
        with self._lock:
            return self._count

    def hold(self, point: Point, at: int = 1, *, text: bytes = b"") -> Hold:
        """Stop an exchange at a point; see `Hold`."""
        hold = Hold(point, at, text)
        with self._lock:
            self._holds.append((self._count + at, hold))
        return hold

    def change(self, *changes: Change) -> None:
        """Change the next answers, one each."""
        with self._lock:
            self._changes.extend(changes)

    def forget_changes(self) -> None:
        """Let all further answers pass unchanged."""
        with self._lock:
            self._changes.clear()

    def arrived(self) -> list[Hold]:
        """Count a request; return what stops it."""
        with self._lock:
            self._count += 1
            return [hold for at, hold in self._holds if at == self._count]

    def changed(self, answer: Answer) -> Answer:
        """Return what is sent in place of an answer."""
        with self._lock:
            change = self._changes.pop(0) if self._changes else None
        return answer if change is None else change(answer)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(
        self, relay: Relay, request: socket.socket, client_address: tuple[str, int], server: BaseServer
    ) -> None:
        self._relay = relay
        super().__init__(request, client_address, server)

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        self._pass_on()

    def do_GET(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        holds = {hold.point: hold for hold in self._relay.arrived()}
        if self._is_stopped(holds.get("request")):
            return
        answer = self._asked(body)
        self._relay.answers.append(answer)
        if self._is_stopped(holds.get("answer")):
            return
        if answer is None:
            self._drop()
            return
        self._send(self._relay.changed(answer), holds.get("text"))

    def _is_stopped(self, hold: Hold | None) -> bool:
        if hold is None:
            return False
        hold.stand()
        self._drop()
        return True

    def _asked(self, body: bytes) -> Answer | None:
        """Return what the server answers; None when it breaks off before it did."""
        connection = http.client.HTTPConnection(*self._relay.upstream)
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, text in self.headers.items():
                connection.putheader(name, text)
            connection.endheaders(body)
            found = connection.getresponse()
            headers = tuple((name, text) for name, text in found.getheaders() if name.lower() not in _OWN_HEADERS)
            try:
                return Answer(status=found.status, headers=headers, body=found.read())
            except http.client.IncompleteRead as error:
                return Answer(status=found.status, headers=headers, body=error.partial, is_cut=True)
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _send(self, answer: Answer, hold: Hold | None) -> None:
        self.send_response(answer.status)
        for name, text in answer.headers:
            self.send_header(name, text)
        self.send_header("content-length", str(len(answer.body) + answer.is_cut))
        self.end_headers()
        if hold is not None and (end := answer.end_of(hold.text)):
            self.wfile.write(answer.body[:end])
            self._is_stopped(hold)
            return
        self.wfile.write(answer.body)
        if answer.is_cut:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
