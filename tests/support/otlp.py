"""An OTLP/HTTP receiver on the loopback interface that decodes with the official protobufs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Receiver", "receiver"]


class Receiver(ThreadingHTTPServer):
    """Keeps what it is sent."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.unknown: set[str] = set()  # paths that it does not have
        self.answers = threading.Event()
        self.answers.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def traces(self) -> ExportTraceServiceRequest:
        merged = ExportTraceServiceRequest()
        for path, _, body in self.requests:
            if path == "/v1/traces":
                merged.MergeFromString(body)
        return merged

    def metrics(self) -> ExportMetricsServiceRequest:
        merged = ExportMetricsServiceRequest()
        for path, _, body in self.requests:
            if path == "/v1/metrics":
                merged.MergeFromString(body)
        return merged

    def logs(self) -> ExportLogsServiceRequest:
        merged = ExportLogsServiceRequest()
        for path, _, body in self.requests:
            if path == "/v1/logs":
                merged.MergeFromString(body)
        return merged


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.requests.append((self.path, {key.lower(): value for key, value in self.headers.items()}, body))
        self.server.answers.wait()
        self.send_response(404 if self.path in self.server.unknown else 200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.answers.set()
    server.shutdown()
    server.server_close()
    thread.join()
