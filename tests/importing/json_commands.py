"""What langchain-redis uses of Redis' JSON and search modules, in front of a server without them."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from io import BufferedIOBase
from typing import Any
from urllib.parse import urlsplit

_OK, _NOTHING = b"+OK\r\n", b"*0\r\n"


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        with socket.create_connection(server.upstream) as connection, connection.makefile("rwb") as upstream:
            while words := _request(self.rfile):
                self.wfile.write(server.answer(words, upstream))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.documents: set[bytes] = set()

    def answer(self, words: list[bytes], upstream: Any) -> bytes:
        """Return the reply to a command: its own, or that of the server behind."""
        name = words[0].upper()
        if name == b"FT.CREATE":
            return _OK
        if name == b"FT._LIST":
            return _NOTHING
        if name.startswith(b"FT."):
            return b"-Unknown index name\r\n"
        if name == b"TYPE" and words[1] in self.documents:
            return b"+ReJSON-RL\r\n"
        if name == b"JSON.SET":
            self.documents.add(words[1])
            words = [b"SET", words[1], words[3]]
        elif name == b"JSON.GET":
            words = [b"GET", words[1]]
        upstream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words))
        upstream.flush()
        return _reply(upstream)


def _request(lines: BufferedIOBase) -> list[bytes]:
    head = lines.readline()
    words: list[bytes] = []
    for _ in range(int(head[1:]) if head else 0):
        size = int(lines.readline()[1:])
        words.append(lines.read(size + 2)[:-2])
    return words


def _reply(lines: Any) -> bytes:
    """Return one whole reply, as it came."""
    head: bytes = lines.readline()
    kind, size = head[:1], head[1:-2]
    if kind in b"$=!" and size != b"-1":
        return head + bytes(lines.read(int(size) + 2))
    if kind in b"*~>%" and size != b"-1":
        return head + b"".join(_reply(lines) for _ in range(int(size) * (2 if kind == b"%" else 1)))
    return head


@contextmanager
def json_commands(url: str) -> Generator[str]:
    """Serve in front of a server; yield the URL."""
    parts = urlsplit(url)
    with _Server((str(parts.hostname), int(parts.port or 0))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        finally:
            server.shutdown()
            thread.join()
