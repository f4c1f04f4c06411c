"""The tree of spans on the console."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final, TextIO

from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.reading.records import SpanRecord, record_of
from langswarm_sessions_otel.reading.tree import draw_traces
from langswarm_sessions_otel.sdk.local import LocalProcessor

_MOST_OPEN_TRACES: Final = 256
_MOST_LINKED: Final = 256
_MOST_SPANS_OF_A_TRACE: Final = 1000


class ConsoleTreeProcessor(LocalProcessor):
    """Prints a trace as a tree when its local root ends.

    Args:
        stream: Where to print.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__("the console")
        self._stream = stream
        self._closed = False
        self._traces: OrderedDict[str, deque[SpanRecord]] = OrderedDict()
        self._linked: OrderedDict[str, SpanRecord] = OrderedDict()

    def shutdown(self) -> None:
        """Print no more."""
        self._closed = True

    def _write(self, span: ReadableSpan) -> None:
        if self._closed:
            return
        record = record_of(span)
        with self._lock:
            # The last ones are kept: a span ends after those below it, the root after all.
            records = self._traces.setdefault(record.trace, deque(maxlen=_MOST_SPANS_OF_A_TRACE))
            records.append(record)
            if span.parent is not None and not span.parent.is_remote:
                if len(self._traces) > _MOST_OPEN_TRACES:
                    self._traces.popitem(last=False)
                return
            del self._traces[record.trace]
            drawn = draw_traces(list(records), known=list(self._linked.values()))
            self._remember(records)
        self._stream.write("".join(line + "\n" for trace in drawn for line in trace.lines))
        self._stream.flush()

    def _remember(self, records: Iterable[SpanRecord]) -> None:
        """Keep the last turns and handoffs, so that turns that follow can name them."""
        names = {semconv.TURN_INDEX, semconv.HANDOFF_FROM_PROVIDER}
        self._linked.update((record.span, record) for record in records if not names.isdisjoint(record.attributes))
        while len(self._linked) > _MOST_LINKED:
            self._linked.popitem(last=False)
