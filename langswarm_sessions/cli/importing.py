"""The command `import`."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from langswarm_sessions.cli.database import open_manager, shown
from langswarm_sessions.cli.exported import file_of_export, take_export
from langswarm_sessions.cli.output import counted, notes, printable, results, tell, write_json
from langswarm_sessions.importing.opening import open_source
from langswarm_sessions.importing.report import ImportProgress, ImportReport, ProgressListener

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSessionManager

__all__ = ["DEFAULT_USER", "ImportRequest", "import_conversations"]

DEFAULT_USER = "user"
"""Whose sessions become that are imported for nobody in particular."""

_SHOWN_PROBLEMS = 20
_SECONDS_BETWEEN_LINES = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What the command was asked for; see `manager.import_from` and `manager.import_conversation`."""

    source: str
    path: Path
    user: str | None
    table: str | None
    session_id_field: str | None
    prefix: str
    provider: str | None
    model: str | None
    dry_run: bool
    resume: bool
    strict: bool
    as_json: bool


def import_conversations(request: ImportRequest) -> int:
    """Bring conversations from elsewhere into a database.

    Args:
        request: What was asked for.

    Returns:
        The exit code: 1 when something could not be imported.
    """
    export = file_of_export(request.source)
    with _target(request) as manager:
        try:
            report = _run(manager, request) if export is None else take_export(manager, request, export)
        except KeyboardInterrupt:
            tell(
                "Stopped. What was imported stays; the same command with --resume goes on."
                if export is None
                else "Stopped. An export is imported whole or not at all; the same command tells which."
            )
            raise
    if request.as_json:
        write_json(report.to_json())
    else:
        _show(report, request)
    return 0 if report.is_complete else 1


@contextmanager
def _target(request: ImportRequest) -> Generator[BlockingSessionManager]:
    """Open the database to import into; a dry run makes none."""
    if request.dry_run and not request.path.exists():
        from langswarm_sessions.factory import create_session_manager

        with create_session_manager("memory", blocking=True) as manager:
            yield manager
        return
    with open_manager(request.path) as manager:
        yield manager


def _run(manager: BlockingSessionManager, request: ImportRequest) -> ImportReport:
    source = manager.bridge.call(
        open_source, request.source, table=request.table, session_id_field=request.session_id_field
    )
    survey = manager.bridge.call(source.survey)
    held = [
        counted(number, noun)
        for number, noun in ((survey.sessions, "session"), (survey.entries, "message"))
        if number is not None
    ]
    tell(f"Found {survey.kind} {survey.name} in {survey.location}: {', '.join(held)}.")
    with _listening() as listener:
        return manager.import_from(
            source,
            user_id=DEFAULT_USER if request.user is None else request.user,
            provider=request.provider,
            model=request.model,
            session_prefix=request.prefix,
            dry_run=request.dry_run,
            resume=request.resume,
            strict=request.strict,
            on_progress=listener,
        )


@contextmanager
def _listening() -> Generator[ProgressListener]:
    """Show progress: a bar on a terminal, now and then a line elsewhere."""
    if not notes().is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=notes(), transient=True) as progress:
        sessions = progress.add_task("sessions", total=None)
        messages = progress.add_task("messages", total=None)

        def listener(done: ImportProgress) -> None:
            progress.update(sessions, completed=done.sessions, total=done.total_sessions)
            progress.update(messages, completed=done.messages, total=done.total_messages)

        yield listener


class _Lines:
    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, done: ImportProgress) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = time.monotonic()
            messages = _of(done.messages, done.total_messages)
            tell(f"{messages} messages, {_of(done.sessions, done.total_sessions)} sessions")


def _of(done: int, total: int | None) -> str:
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"


def _show(report: ImportReport, request: ImportRequest) -> None:
    lines = [
        f"sessions: {report.sessions_found:,} found = {report.sessions_imported:,} imported "
        f"+ {report.sessions_extended:,} extended + {report.sessions_already_there:,} already there "
        f"+ {report.sessions_skipped:,} skipped",
        f"messages: {report.messages_read:,} read = {report.messages_stored:,} stored "
        f"+ {report.messages_already_there:,} already there + {report.messages_refused:,} refused",
    ]
    if report.dry_run:
        lines.insert(0, f"A dry run: nothing was stored in {shown(request.path)}.")
    for problem in report.problems[:_SHOWN_PROBLEMS]:
        row = "" if problem.row is None else f", row {problem.row}"
        lines.append(f"not imported: session {problem.session_id!r}{row}: {problem.reason}")
    more = len(report.problems) - _SHOWN_PROBLEMS + report.problems_left_out
    if more > 0:
        lines.append(f"not imported: {more:,} more; --json lists them")
    lines += [f"note: {note}" for note in report.notes]
    for line in lines:
        results().print(Text(printable(line)), soft_wrap=True)
