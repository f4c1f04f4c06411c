"""A loopback relay that writes down the bytes of every request, and has a window of its own, in bytes.

It knows nothing of conversations: what a request is longer than the window is refused, in the provider's own words,
before the server behind it hears of it.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

__all__ = ["OVERFLOWS", "Sent", "Tape"]

_OWN_HEADERS = frozenset({"connection", "content-length", "date", "server", "transfer-encoding"})

OVERFLOWS: Mapping[str, Mapping[str, Any]] = {
    "openai": {
        "error": {
            "message": "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "type": "invalid_request_error",
            "param": "input",
            "code": "context_length_exceeded",
        }
    },
    "anthropic": {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "prompt is too long: {counted} tokens > {limit} maximum"},
    },
    "gemini": {
        "error": {
            "code": 400,
            "message": "The input token count ({counted}) exceeds the maximum number of tokens allowed ({limit}).",
            "status": "INVALID_ARGUMENT",
        }
    },
    "mistral": {
        "object": "error",
        "message": "Prompt contains {counted} tokens, too large for model with {limit} maximum context length",
        "type": "invalid_request_error",
        "param": None,
        "code": "3051",
    },
    "cohere": {
        "message": "too many tokens: total number of tokens in the prompt cannot exceed {limit} - received {counted}."
    },
}
"""What each provider answers, with status 400, to an input that is too long; all but OpenAI name figures."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One request: its body as it came over the wire."""

    method: str
    path: str
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The body as JSON."""
        found: dict[str, Any] = json.loads(self.raw or b"{}")
        return found


class Tape:
    """Passes requests on to a server and writes them down.

    Args:
        base_url: The server's address.
        provider: Whose words it uses for what is too long.
        said: The field of a request for an answer that holds what is said.

    Attributes:
        key: The server's key.
        window: The longest body it lets through, in bytes (None: any).
        refusals: How many more requests for an answer it finds too long, whatever their length.
        told: What it answers itself, by the end of a path; None in place of an answer is status 500.
    """

    def __init__(self, base_url: str, provider: str, said: str) -> None:
        self._upstream = urlsplit(base_url)
        self._provider = provider
        self._said = said
        self.refusals = 0
        self._all: list[Sent] = []
        self._lock = threading.Lock()
        self.key = ""
        self.window: int | None = None
        self.told: dict[str, Mapping[str, Any] | None] = {}
        self._listener = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self._listener.daemon_threads = True
        self._listener.block_on_close = False
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    @property
    def base_url(self) -> str:
        """The server's address, by way of here."""
        return urlunsplit(self._upstream._replace(netloc=f"127.0.0.1:{self._listener.server_port}"))

    @property
    def turns(self) -> list[Sent]:
        """The requests for an answer."""
        return [sent for sent in self.all if self._is_turn(sent)]

    @property
    def all(self) -> list[Sent]:
        """All requests."""
        with self._lock:
            return list(self._all)

    def answers_itself(self, sent: Sent) -> tuple[int, bytes] | None:
        """Write a request down; return the answer to one that goes no further."""
        with self._lock:
            self._all.append(sent)
        if (at := self._told_at(sent.path)) is not None:
            answer = self.told[at]
            return (500, b"{}") if answer is None else (200, json.dumps(answer).encode())
        if self._is_turn(sent) and self._is_too_long(sent):
            return 400, self._overflow(sent)
        return None

    def _overflow(self, sent: Sent) -> bytes:
        told = json.dumps(OVERFLOWS[self._provider])
        counted = len(sent.raw) // 4
        limit = counted - 1 if self.window is None else self.window // 4
        return told.replace("{counted}", str(counted)).replace("{limit}", str(limit)).encode()

    def _is_turn(self, sent: Sent) -> bool:
        return sent.method == "POST" and self._told_at(sent.path) is None and self._said in sent.body

    def _is_too_long(self, sent: Sent) -> bool:
        with self._lock:
            self.refusals -= 1
            return self.refusals >= 0 or (self.window is not None and len(sent.raw) > self.window)

    def upstream(self) -> http.client.HTTPConnection:
        """Return a connection to the server."""
        return http.client.HTTPConnection(self._upstream.hostname or "127.0.0.1", self._upstream.port or 80)

    def _told_at(self, path: str) -> str | None:
        return next((end for end in self.told if path.partition("?")[0].endswith(end)), None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, tape: Tape, *args: Any) -> None:
        self._tape = tape
        super().__init__(*args)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _pass_on(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        own = self._tape.answers_itself(Sent(self.command, self.path, raw))
        if own is not None:
            self._send(own[0], [("content-type", "application/json")], own[1])
            return
        connection = self._tape.upstream()
        try:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, text in self.headers.items():
                connection.putheader(name, text)
            connection.endheaders(raw)
            found = connection.getresponse()
            headers = [(name, text) for name, text in found.getheaders() if name.lower() not in _OWN_HEADERS]
            self._send(found.status, headers, found.read())
        finally:
            connection.close()

    def _send(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, text in headers:
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET = do_DELETE = _pass_on
