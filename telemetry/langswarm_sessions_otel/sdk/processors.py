"""Span processors: a bounded batch, the tree on the console, the file of spans."""

from __future__ import annotations

import logging
import os
import threading
from abc import ABC, abstractmethod
from collections import OrderedDict
from pathlib import Path
from typing import Final, TextIO

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from langswarm_sessions_otel.bounded import run_bounded
from langswarm_sessions_otel.span_records import SpanRecord, line_of, record_of
from langswarm_sessions_otel.span_tree import render_span_tree

_logger = logging.getLogger("langswarm_sessions.telemetry")
_MOST_OPEN_TRACES: Final = 256
_MOST_SPANS_OF_A_TRACE: Final = 1000


class BoundedBatchProcessor(SpanProcessor):
    """A batch processor whose end does not wait for an exporter that hangs (the SDK's waits for 30 seconds).

    Args:
        exporter: Where spans go.
        shutdown_timeout: Seconds that `shutdown` and `force_flush` may take.
    """

    def __init__(self, exporter: SpanExporter, *, shutdown_timeout: float) -> None:
        self._batches = BatchSpanProcessor(exporter)
        self._shutdown_timeout = shutdown_timeout
        self._closed = False

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Take note of a started span."""
        self._batches.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Put an ended span into the next batch."""
        if not self._closed:
            self._batches.on_end(span)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is held.

        Args:
            timeout_millis: How long to wait, in milliseconds; the processor's bound if that is less.

        Returns:
            True if all was sent in time.
        """
        seconds = min(timeout_millis / 1000, self._shutdown_timeout)
        return run_bounded([self._batches.force_flush], timeout_seconds=seconds)

    def shutdown(self) -> None:
        """Send what is held and stop, within the processor's bound."""
        self.shutdown_within(self._shutdown_timeout)

    def shutdown_within(self, timeout_seconds: float) -> bool:
        """Send what is held and stop.

        Args:
            timeout_seconds: How long to wait, in seconds.

        Returns:
            True if all was sent in time.
        """
        if self._closed:
            return True
        self._closed = True
        return run_bounded([self._batches.shutdown], timeout_seconds=timeout_seconds)


class _LocalProcessor(SpanProcessor, ABC):
    """Base of processors that write on this machine as spans end; a failure is logged once and changes nothing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Write an ended span."""
        try:
            self._write(span)
        except Exception as error:  # noqa: BLE001 - a full disk or a closed terminal must not fail the caller
            if not self._failed:
                self._failed = True
                _logger.warning("spans are no longer written locally: %s", type(error).__name__)

    @abstractmethod
    def _write(self, span: ReadableSpan) -> None: ...


class ConsoleTreeProcessor(_LocalProcessor):
    """Prints a trace as a tree when its local root ends.

    Args:
        stream: Where to print.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__()
        self._stream = stream
        self._traces: OrderedDict[str, list[SpanRecord]] = OrderedDict()

    def _write(self, span: ReadableSpan) -> None:
        record = record_of(span)
        with self._lock:
            records = self._traces.setdefault(record.trace, [])
            if len(records) < _MOST_SPANS_OF_A_TRACE:
                records.append(record)
            if span.parent is not None and not span.parent.is_remote:
                if len(self._traces) > _MOST_OPEN_TRACES:
                    self._traces.popitem(last=False)
                return
            del self._traces[record.trace]
        self._stream.write(render_span_tree(records) + "\n")
        self._stream.flush()


class SpanFileProcessor(_LocalProcessor):
    """Appends a line of JSON for each span as it ends, so that a killed process leaves all that it finished.

    Several processes may write to one file: every line is one append.

    Args:
        path: The file; it and its folder are made, readable by the user alone.

    Raises:
        OSError: The file cannot be opened for writing.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _write(self, span: ReadableSpan) -> None:
        line = line_of(record_of(span)).encode("utf-8", errors="replace")
        with self._lock:
            if self._file is not None:
                os.write(self._file, line)

    def shutdown(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
