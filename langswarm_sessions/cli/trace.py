"""The command `trace`: the span trees of sessions, from files, without any backend."""

from __future__ import annotations

import json
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.table import Table
from rich.text import Text
from typer import BadParameter

from langswarm_sessions.cli.database import file_path, shown
from langswarm_sessions.cli.output import ago, clock_time, counted, printable, results, tell, write_json
from langswarm_sessions.errors import ConfigurationError, InvalidInputError, SessionNotFoundError
from langswarm_sessions_otel.reading.files import TracedSession, put_aside, read_span_files, traced_sessions
from langswarm_sessions_otel.reading.following import follow_span_file, steps_as_they_end
from langswarm_sessions_otel.reading.records import SpanRecord, line_of
from langswarm_sessions_otel.reading.selection import SessionStep, select_steps, spans_of, steps_of
from langswarm_sessions_otel.reading.tree import DrawnTrace, draw_traces
from langswarm_sessions_otel.semconv import DEFAULT_SPAN_FILE, ENV_SPAN_FILE
from langswarm_sessions_otel.setup.request import named_span_file

__all__ = ["TraceRequest", "follow_trace", "list_traced", "show_trace"]

_MOST_NAMED = 5
_LOOK_SECONDS = 0.2
_MOST_LINKED = 1000  # steps that one which ends may follow


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceRequest:
    """What `trace` was asked for; None is "not said".

    Args:
        session_id: The session.
        files: Span files.
        turn: Only the turn of this number.
        last: Only this many of the last turns.
        errors: Only what has an error in it, or never ended.
        as_json: Write JSON.
    """

    session_id: str | None = None
    files: tuple[str, ...] = ()
    turn: int | None = None
    last: int | None = None
    errors: bool = False
    as_json: bool = False


def show_trace(request: TraceRequest) -> None:
    """Show the spans of a session.

    Args:
        request: Which, and how.

    Raises:
        ConfigurationError: There is no span file.
        SessionNotFoundError: It holds no span of this session.
        InvalidInputError: It holds no turn of this number.
    """
    files, session_id = _files(request.files), request.session_id or ""
    records = read_span_files(files, session_id=session_id)
    if not records:
        raise SessionNotFoundError(_no_session(session_id, files), session_id=session_id)
    steps = steps_of(records, session_id)
    kept = select_steps(steps, turn=request.turn, last=request.last, failed=request.errors)
    if request.turn is not None and not any(step.turn == request.turn for step in steps):
        raise InvalidInputError(_no_turn(request.turn, steps), session_id=session_id)
    whole = len(kept) == len(steps)
    spans = records if whole else spans_of(kept, records)
    if request.as_json:
        write_json([json.loads(line_of(span)) for span in spans])
        return
    if not spans:
        tell("Nothing failed." if request.errors else "Nothing fits.")
        return
    for trace in draw_traces(spans, known=records):
        _print_trace(trace)
    tell(_summary(kept, spans))


def list_traced(request: TraceRequest) -> None:
    """List the sessions of which there are spans.

    Args:
        request: In which files, and how.

    Raises:
        ConfigurationError: There is no span file.
        BadParameter: Something was asked for that goes for one session.
    """
    if (request.turn, request.last, request.errors) != (None, None, False):
        raise BadParameter("--turn, --last and --errors pick of one session: name it before them.")
    files = _files(request.files)
    sessions = traced_sessions(files)[::-1]
    if request.as_json:
        write_json([_facts(session) for session in sessions])
    elif not sessions:
        tell(f"No span of any session in {_named(files)}.")
    else:
        results().print(_table(sessions))
        tell("`langswarm-sessions trace SESSION_ID` draws one of them.")


def follow_trace(request: TraceRequest, *, wait: Callable[[], bool] | None = None) -> None:
    """Show turns and transitions as they end, until Ctrl-C.

    Args:
        request: Of which session, or of all; in which file.
        wait: Waits a while for more; False when it is enough.

    Raises:
        BadParameter: Something was asked for that does not go with it, or several files.
    """
    if (request.turn, request.last, request.as_json) != (None, None, False):
        raise BadParameter("--follow shows turns as they end: leave out --turn, --last and --json.")
    names = _names(request.files)
    if len(names) > 1:
        raise BadParameter("--follow: name one --file.")
    [path] = [file_path(name, field=field) for name, field in names]
    tell(f"Waiting for what is written to {shown(path)}; Ctrl-C ends it.")
    records = follow_span_file(path, wait or _wait_a_little)
    ended: deque[SpanRecord] = deque(maxlen=_MOST_LINKED)
    for step in steps_as_they_end(records, request.session_id):
        if step.failed or not request.errors:
            for trace in draw_traces(step.records, known=ended):
                _print_trace(trace)
        ended.append(step.root)


def _wait_a_little() -> bool:
    time.sleep(_LOOK_SECONDS)
    return True


def _names(given: Sequence[str]) -> list[tuple[str, str]]:
    """Return span files, each with where it is named."""
    if any(not name.strip() for name in given):
        raise ConfigurationError("--file must not be empty: name a span file, or leave it out.")
    if given:
        return [(name, "--file") for name in given]
    return [(named_span_file() or DEFAULT_SPAN_FILE, ENV_SPAN_FILE)]


def _files(given: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for name, field in _names(given):
        file = file_path(name, field=field)
        there = [path for path in (file, put_aside(file)) if path.exists()]
        if not there:
            raise ConfigurationError(
                f"There is no span file at {shown(file)}. Let the program that talks write one, with "
                f"{ENV_SPAN_FILE} in its environment or configure_telemetry(span_file=True), or name one with --file."
            )
        if not all(os.access(path, os.R_OK) for path in there):
            raise ConfigurationError(f"{field}: {shown(file)} may not be read by this user; its owner may.")
        files.append(file)
    return files


def _named(files: Sequence[Path]) -> str:
    return ", ".join(shown(file) for file in files)


def _no_session(session_id: str, files: Sequence[Path]) -> str:
    where = _named(files)
    others = [session.session_id for session in traced_sessions(files)[::-1]]
    if not others:
        return f"No span of session {session_id!r} in {where}: it holds none of any session."
    named = ", ".join(repr(other) for other in others[:_MOST_NAMED])
    more = f" and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return f"No span of session {session_id!r} in {where}. It holds those of {named}{more}."


def _no_turn(turn: int, steps: Sequence[SessionStep]) -> str:
    there = sorted({step.turn for step in steps if step.turn is not None})
    told = f"it has those from {there[0]} to {there[-1]}" if there else "it has none with a number"
    return f"--turn: no turn {turn} in the spans of this session; {told}."


def _facts(session: TracedSession) -> dict[str, object]:
    return {
        "session_id": session.session_id,
        "turns": session.turns,
        "failed": session.failed,
        "open": session.open,
        "last_seen": _moment(session.last_seen).isoformat(),
    }


def _table(sessions: Sequence[TracedSession]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("session", overflow="fold")
    for column in ("turns", "failed", "never ended"):
        table.add_column(column, justify="right")
    table.add_column("last seen", no_wrap=True)
    for session in sessions:
        table.add_row(
            Text(printable(session.session_id), style="cyan"),
            Text(f"{session.turns:,}"),
            *(Text(f"{count:,}", style="red" if count else "dim") for count in (session.failed, session.open)),
            Text(ago(_moment(session.last_seen))),
        )
    return table


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _print_trace(trace: DrawnTrace) -> None:
    first = trace.first
    heading = clock_time(_moment(first.start))
    if first.service is not None:
        heading += f" · {first.service}"
    if first.process is not None:
        heading += f" · process {first.process}"
    _print_line(Text(printable(heading), style="dim"))
    for line in trace.lines:
        _print_line(Text(line, style="red" if "  ✗ " in line else ""))
    _print_line(Text(""))


def _print_line(line: Text) -> None:
    results().print(line, soft_wrap=True)


def _summary(steps: Sequence[SessionStep], spans: Sequence[SpanRecord]) -> str:
    turns = [step for step in steps if step.is_turn]
    processes = {(span.service, span.process) for span in spans}
    failed = sum(1 for step in turns if step.root.error is not None)
    unended = sum(1 for step in turns if not step.ended)
    parts = [counted(len(turns), "turn"), counted(len(spans), "span")]
    parts.append(counted(len(processes), "process").replace("processs", "processes"))
    parts += [f"{count} {what}" for count, what in ((failed, "failed"), (unended, "never ended")) if count]
    return " · ".join(parts)
