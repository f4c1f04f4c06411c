"""Spans of a file as they are written, and the turns that they make up."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from io import BufferedReader
from pathlib import Path
from typing import Final

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.reading.records import SpanRecord, record_from
from langswarm_sessions_otel.reading.selection import SessionStep

_MOST_OPEN_TRACES: Final = 256
_MOST_SPANS_OF_A_TRACE: Final = 5000


def follow_span_file(path: Path, wait: Callable[[], bool]) -> Iterator[SpanRecord]:
    """Yield the spans that are appended to a file from now on, also when it is put aside, or not there yet.

    Args:
        path: The file.
        wait: Waits a while for more; False when it is enough.

    Yields:
        Records in the order of their lines.
    """
    with ExitStack() as stack:
        file = _opened(path, stack)
        if file is not None:
            file.seek(0, os.SEEK_END)
        unfinished = b""
        while True:
            # Looked at before reading: nothing is appended to a file after it was put aside.
            is_current = file is not None and _is_at(path, file)
            if file is not None and os.fstat(file.fileno()).st_size < file.tell():  # it was emptied
                file.seek(0)
                unfinished = b""
            while file is not None and (line := file.readline()):
                unfinished += line
                if unfinished.endswith(b"\n"):
                    record = record_from(unfinished.decode("utf-8", errors="replace"))
                    unfinished = b""
                    if record is not None:
                        yield record
            if not is_current and (fresh := _opened(path, stack)) is not None:
                if file is not None:
                    file.close()
                file, unfinished = fresh, b""
            elif not wait():
                return


def steps_as_they_end(records: Iterable[SpanRecord], session_id: str | None = None) -> Iterator[SessionStep]:
    """Yield turns, and transitions outside of them, as their last span comes.

    Args:
        records: Spans in the order of their ends, as `follow_span_file` yields them.
        session_id: Only those of this session.

    Yields:
        The steps; their roots stand alone, whatever they were called from.
    """
    traces: OrderedDict[str, list[SpanRecord]] = OrderedDict()
    for record in records:
        if record.open:
            continue
        attributes = record.attributes
        traces.setdefault(record.trace, []).append(record)
        del traces[record.trace][:-_MOST_SPANS_OF_A_TRACE]
        traces.move_to_end(record.trace)
        is_turn, is_transition = semconv.SESSION_OPERATION in attributes, semconv.SESSION_TRANSITION in attributes
        if is_turn or (is_transition and semconv.CONVERSATION_ID not in attributes):
            step = _step_of(record, traces[record.trace])
            told = {part.span for part in step.records}
            traces[record.trace] = [other for other in traces[record.trace] if other.span not in told]
            if session_id is None or attributes.get(semconv.LANGSWARM_SESSION_ID) == session_id:
                yield step
        while len(traces) > _MOST_OPEN_TRACES:
            traces.popitem(last=False)


def _step_of(root: SpanRecord, records: list[SpanRecord]) -> SessionStep:
    alone = replace(root, parent=None)
    ids, parts = {root.span}, [alone]
    for record in reversed(records):  # parents end after their children
        if record.parent in ids:
            ids.add(record.span)
            parts.append(record)
    return SessionStep(alone, tuple(parts))


def _opened(path: Path, stack: ExitStack) -> BufferedReader | None:
    try:
        return stack.enter_context(path.open("rb"))
    except FileNotFoundError:
        return None


def _is_at(path: Path, file: BufferedReader) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
