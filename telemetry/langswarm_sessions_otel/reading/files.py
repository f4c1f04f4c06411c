"""Span files as `configure_telemetry` writes them: which there are, and what they hold. Nothing of it needs the SDK."""

from __future__ import annotations

import json
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import IO, Final

from langswarm_sessions_otel import semconv
from langswarm_sessions_otel.reading.records import SpanRecord, record_from

# Quotes within names and values are escaped: what stands between plain ones is the field itself.
_TRACE: Final = re.compile(r'"trace":\s*"([0-9a-f]+)"')
_SESSION: Final = f'"{semconv.LANGSWARM_SESSION_ID}":'


def put_aside(path: Path) -> Path:
    """Return the name under which a span file goes on when it is full.

    Args:
        path: The file.
    """
    return path.with_name(f"{path.name}.1")


def read_span_file(path: str | Path, *, session_id: str | None = None) -> list[SpanRecord]:
    """Read a span file, whose writers may have been killed at any time, and the one that was put aside for it.

    Args:
        path: The file, written by `configure_telemetry` with ``span_file=``. A missing one holds no spans.
        session_id: Keep only traces in which this session takes part. Only these are held in memory.

    Returns:
        Records in the order of their start. Lines that are not complete are left out.
    """
    return read_span_files([path], session_id=session_id)


def read_span_files(paths: Iterable[str | Path], *, session_id: str | None = None) -> list[SpanRecord]:
    """Read several span files as if they were one.

    Args:
        paths: The files; see `read_span_file`.
        session_id: Keep only traces in which this session takes part.

    Returns:
        Records in the order of their start, each span once: as it ended, or else as it was written last.
    """
    files = [Path(path) for path in paths]
    if session_id is None:
        records = [record for line in _lines(files) if (record := record_from(line)) is not None]
    else:
        records = _of_session(files, session_id)
    once: dict[tuple[str, str], SpanRecord] = {}
    for record in records:
        before = once.get((record.trace, record.span))
        if before is None or before.open:
            once[record.trace, record.span] = record
    return sorted(once.values(), key=lambda record: record.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedSession:
    """What span files hold of a session.

    Attributes:
        session_id: Its id.
        turns: How many of its turns there are.
        failed: How many of them failed.
        open: How many of them never ended, or are still going on.
        last_seen: When the last of its spans was written, in nanoseconds since the epoch.
    """

    session_id: str
    turns: int
    failed: int
    open: int
    last_seen: int


def traced_sessions(paths: Iterable[str | Path]) -> list[TracedSession]:
    """Tell of which sessions there are spans. Of all spans only the turns are held in memory, in short.

    Args:
        paths: The files; see `read_span_file`.

    Returns:
        The sessions, the one that was seen last at the end.
    """
    last_seen: dict[str, int] = {}
    turns: defaultdict[str, dict[tuple[str, str], _TurnState]] = defaultdict(dict)
    for line in _lines([Path(path) for path in paths]):
        record = record_from(line) if _SESSION in line else None
        session_id = None if record is None else _session_of(record)
        if record is None or not isinstance(session_id, str):
            continue
        last_seen[session_id] = max(last_seen.get(session_id, 0), record.end)
        place = record.trace, record.span
        if semconv.SESSION_OPERATION in record.attributes and turns[session_id].get(place, _TurnState.OPEN).is_open:
            turns[session_id][place] = _TurnState.of(record)
    found = [
        TracedSession(
            session_id=session_id,
            turns=len(turns[session_id]),
            failed=sum(state is _TurnState.FAILED for state in turns[session_id].values()),
            open=sum(state.is_open for state in turns[session_id].values()),
            last_seen=seen,
        )
        for session_id, seen in last_seen.items()
    ]
    return sorted(found, key=lambda session: session.last_seen)


class _TurnState(Enum):
    OPEN = auto()
    WELL = auto()
    FAILED = auto()

    @property
    def is_open(self) -> bool:
        return self is _TurnState.OPEN

    @classmethod
    def of(cls, turn: SpanRecord) -> _TurnState:
        if turn.open:
            return cls.OPEN
        return cls.WELL if turn.error is None else cls.FAILED


def _of_session(paths: list[Path], session_id: str) -> list[SpanRecord]:
    quoted = json.dumps(session_id, ensure_ascii=False)
    traces = {
        record.trace
        for line in _lines(paths)
        if quoted in line and (record := record_from(line)) is not None and _session_of(record) == session_id
    }
    records = [
        record
        for line in _lines(paths)
        if (found := _TRACE.search(line)) and found[1] in traces and (record := record_from(line)) is not None
    ]
    return _without_others(records, session_id)


def _without_others(records: list[SpanRecord], session_id: str) -> list[SpanRecord]:
    """Leave out turns of other sessions within a trace of the user's, with all that is below them."""
    by_id = {(record.trace, record.span): record for record in records}

    def belongs(record: SpanRecord) -> bool:
        seen: set[str] = set()
        while record.span not in seen:
            if _session_of(record) is not None:
                return _session_of(record) == session_id
            seen.add(record.span)
            record = by_id.get((record.trace, record.parent or ""), record)
        return True

    return [record for record in records if belongs(record)]


def _session_of(record: SpanRecord) -> object:
    return record.attributes.get(semconv.LANGSWARM_SESSION_ID)


def _lines(paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        with ExitStack() as stack:
            for file in _opened(path, stack):
                yield from file


def _opened(path: Path, stack: ExitStack) -> list[IO[str]]:
    """Open a file and the one put aside for it, older first."""

    def opened(name: Path) -> list[IO[str]]:
        with suppress(FileNotFoundError):
            return [stack.enter_context(name.open(encoding="utf-8", errors="replace"))]
        return []

    newer, older = opened(path), opened(put_aside(path))
    if newer and older and os.path.samestat(*(os.fstat(file.fileno()) for file in (*newer, *older))):
        return newer + opened(path)  # it was put aside between the two
    return older + newer
