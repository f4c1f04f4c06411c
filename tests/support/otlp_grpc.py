"""An OTLP/gRPC receiver as a program of its own: what it is sent goes on to an OTLP/HTTP receiver.

A program, since gRPC and the forks of other tests do not go together in one process.

    python otlp_grpc.py URL [STATUS [RETRY_AFTER]]

It prints its port. With the name of a gRPC status it refuses everything.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Callable
from concurrent import futures

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import RetryInfo  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1 import (  # pyright: ignore[reportMissingTypeStubs]
    logs_service_pb2,
    logs_service_pb2_grpc,
)
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


class _Forward:
    def __init__(self, url: str, answer: Callable[[], Message], status: str | None, retry_after: int | None) -> None:
        self._url, self._answer = url, answer
        self._status, self._retry_after = status, retry_after

    def Export(self, request: Message, context: grpc.ServicerContext) -> Message:
        headers = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        body = request.SerializeToString()
        urllib.request.urlopen(urllib.request.Request(self._url, body, {**headers, "x-protocol": "grpc"})).close()
        if self._status is not None:
            if self._retry_after is not None:
                info = RetryInfo(retry_delay=Duration(seconds=self._retry_after))
                context.set_trailing_metadata((("google.rpc.retryinfo-bin", info.SerializeToString()),))
            context.abort(getattr(grpc.StatusCode, self._status), "refused")
        return self._answer()


def main(url: str, status: str | None = None, retry_after: str | None = None) -> None:
    server = grpc.server(futures.ThreadPoolExecutor(4))

    def forward(signal: str, answer: Callable[[], Message]) -> _Forward:
        return _Forward(f"{url}/v1/{signal}", answer, status, None if retry_after is None else int(retry_after))

    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        forward("traces", trace_service_pb2.ExportTraceServiceResponse), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        forward("metrics", metrics_service_pb2.ExportMetricsServiceResponse), server
    )
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        forward("logs", logs_service_pb2.ExportLogsServiceResponse), server
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(*sys.argv[1:])
