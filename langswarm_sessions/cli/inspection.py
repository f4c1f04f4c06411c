"""A look at a database file that changes nothing: for `doctor` and `db check`."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from langswarm_sessions.errors import SchemaError
from langswarm_sessions.storage.sql.errors import storage_error
from langswarm_sessions.storage.sql.schema import HEAD, TABLES, VERSION_TABLE, check_usable
from langswarm_sessions.storage.sql.tables import metadata

__all__ = ["DatabaseReport", "Problem", "inspect_database"]

_BUSY_SECONDS = 2.0
_MOST_FINDINGS = 5


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with a database: what, and what to do."""

    what: str
    remedy: str


@dataclass(slots=True, kw_only=True)
class DatabaseReport:
    """What was found.

    Args:
        path: The file.
        exists: Whether it is there.
        bytes: Its size.
        revision: Its schema's revision; None when it has none of ours.
        head: The revision of this version of the package.
        sessions: How many sessions it holds.
        messages: How many messages it holds.
        intact: Whether SQLite found no damage; None when that was not looked for.
        writable: Whether a transaction that writes can be begun, or the file be made.
        busy: Another process was writing just now.
        problems: What is wrong.
    """

    path: Path
    exists: bool = False
    bytes: int = 0
    revision: str | None = None
    head: str = HEAD
    sessions: int = 0
    messages: int = 0
    intact: bool | None = None
    writable: bool = False
    busy: bool = False
    problems: list[Problem] = field(default_factory=list[Problem])

    @property
    def outdated(self) -> bool:
        """Whether the schema is of an earlier version, or not there yet."""
        return self.exists and self.revision != HEAD and not self.problems


def inspect_database(path: Path, *, thorough: bool) -> DatabaseReport:
    """Look at a database file.

    Args:
        path: The file.
        thorough: Read every page and row, and compare tables and columns; else only what is quick.

    Returns:
        What was found; this function does not raise for a database it cannot read.
    """
    report = DatabaseReport(path=path)
    if not path.exists():
        _look_at_folder(report)
        return report
    report.exists = True
    report.bytes = path.stat().st_size
    try:
        with closing(_connect(path, mode="ro")) as connection:
            report.revision = _revision(connection)
            report.problems += _schema_problems(connection, report.revision)
            report.problems += _damage(connection, thorough=thorough)
            report.intact = not report.problems
            if report.revision == HEAD and not report.problems:
                report.problems += _shape_problems(connection) if thorough else ()
                report.sessions = _count(connection, "sessions")
                report.messages = _count(connection, "messages")
    except sqlite3.Error as error:
        report.problems.append(_explained(error))
        return report
    _try_to_write(report)
    return report


def _connect(path: Path, *, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None)


def _explained(error: sqlite3.Error | SchemaError) -> Problem:
    told = storage_error(error) if isinstance(error, sqlite3.Error) else error
    what, _, remedy = str(told).partition(". ")
    return Problem(what.rstrip("."), remedy or "See the file's permissions and the disk.")


def _look_at_folder(report: DatabaseReport) -> None:
    folder = next(parent for parent in report.path.parents if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):  # permissions alone do not tell: a disk may be mounted read-only
            report.writable = True
    except OSError as error:
        remedy = "Make the folder writable for this user, or name another file."
        report.problems.append(Problem(f"No file can be made in {folder} ({error.strerror})", remedy))


def _revision(connection: sqlite3.Connection) -> str | None:
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone():
        return None
    row = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()
    return None if row is None else str(row[0])


def _schema_problems(connection: sqlite3.Connection, revision: str | None) -> Iterator[Problem]:
    try:
        check_usable(revision, tables=int(connection.execute(TABLES).fetchone()[0]))
    except SchemaError as error:
        yield _explained(error)


def _damage(connection: sqlite3.Connection, *, thorough: bool) -> Iterator[Problem]:
    check = "integrity_check" if thorough else "quick_check"
    found = [str(row[0]) for row in connection.execute(f"PRAGMA {check}({_MOST_FINDINGS})")]
    if found != ["ok"]:
        yield Problem(
            f"The file is damaged: {found[0].splitlines()[0]}", "Restore a backup, or run `sqlite3 FILE .recover`."
        )
    elif thorough and (orphan := connection.execute("PRAGMA foreign_key_check").fetchone()):
        yield Problem(f"Rows of {orphan[0]} belong to nothing", "Restore a backup.")


def _shape_problems(connection: sqlite3.Connection) -> Iterator[Problem]:
    """Compare tables and columns with those this version works on."""
    for table in metadata.sorted_tables:
        columns = {str(row[1]) for row in connection.execute(f"PRAGMA table_info({table.name})")}
        missing = [column.name for column in table.columns if column.name not in columns]
        if missing:
            lacking = "is missing" if not columns else f"lacks {', '.join(missing)}"
            yield Problem(f"The table {table.name} {lacking}", "Restore a backup, or use another database.")


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def _try_to_write(report: DatabaseReport) -> None:
    try:
        with closing(_connect(report.path, mode="rw")) as connection:
            version = int(connection.execute("PRAGMA user_version").fetchone()[0])
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(f"PRAGMA user_version = {version}")  # beginning alone succeeds on a read-only file
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        report.busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
        if report.busy:
            report.writable = True
        else:
            report.problems.append(_explained(error))
    else:
        report.writable = True
