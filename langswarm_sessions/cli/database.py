"""Which database a command works on, and how it is opened."""

from __future__ import annotations

import os
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langswarm_sessions.errors import ConfigurationError, SessionNotFoundError

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager

__all__ = [
    "DATABASE_VARIABLE",
    "DEFAULT_DATABASE",
    "command_for",
    "database_path",
    "existing",
    "find_session",
    "open_manager",
    "shown",
]

DEFAULT_DATABASE = "langswarm_sessions.db"
DATABASE_VARIABLE = "LANGSWARM_SESSIONS_DB"

_EXPORT_VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


def database_path(given: str) -> Path:
    """Return the database file a user means.

    Args:
        given: A path, or a SQLAlchemy URL of SQLite.

    Raises:
        ConfigurationError: It is empty, or the URL of another kind of database.
    """
    scheme, separator, rest = given.partition("://")
    if separator:
        if scheme.partition("+")[0] != "sqlite" or not rest.removeprefix("/"):
            raise ConfigurationError("--db: this version works on SQLite files; give a path or sqlite:///PATH.")
        given = rest.removeprefix("/")
    if not given.strip():
        raise ConfigurationError(f"--db (or {DATABASE_VARIABLE}) must not be empty: give the path of a file.")
    return Path(given).expanduser().absolute()


def shown(path: Path) -> str:
    """Return a path the short way: relative to the current folder where it lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def command_for(path: Path, command: str, session_id: str) -> str:
    """Return a line to type: a command on a session of a database.

    Args:
        path: The database; named only where it is not the default.
        command: The command's name.
        session_id: The session's id.
    """
    default = os.environ.get(DATABASE_VARIABLE) or DEFAULT_DATABASE
    line = f"langswarm-sessions {command} {shlex.quote(session_id)}"
    return line if path == Path(default).expanduser().absolute() else f"{line} --db {shlex.quote(shown(path))}"


def existing(path: Path) -> Path:
    """Return the path of a database that is there.

    Raises:
        ConfigurationError: There is no such file: reading must not make one.
    """
    if not path.exists():
        raise ConfigurationError(
            f"There is no database at {shown(path)}. Name another one with --db, or begin one with "
            "`langswarm-sessions chat`."
        )
    return path


@contextmanager
def open_manager(path: Path) -> Generator[BlockingSessionManager]:
    """Open a manager for the length of a block; spans are exported where OTEL_* variables say so.

    Args:
        path: The database file.
    """
    from langswarm_sessions.factory import create_session_manager

    _export_spans()
    with create_session_manager("sqlite", storage_config={"db_path": str(path)}, blocking=True) as manager:
        yield manager


def find_session(manager: BlockingSessionManager, session_id: str) -> BlockingSession:
    """Return a session.

    Raises:
        SessionNotFoundError: There is none; the message says where to look.
    """
    try:
        return manager.get_session(session_id)
    except SessionNotFoundError:
        raise SessionNotFoundError(
            f"No session {session_id!r} in this database. `langswarm-sessions list` shows those there are.",
            session_id=session_id,
        ) from None


def _export_spans() -> None:
    if any(os.environ.get(name) for name in _EXPORT_VARIABLES):
        from langswarm_sessions_otel import MissingTelemetryDependencyError, configure_telemetry

        try:
            configure_telemetry()
        except MissingTelemetryDependencyError as error:
            from langswarm_sessions.cli.output import tell

            tell(f"spans are not exported: {error}", style="yellow")
