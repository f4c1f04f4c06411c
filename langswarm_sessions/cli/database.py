"""Which database a command works on, and how it is opened."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from langswarm_sessions.cli.telemetry import exported_spans
from langswarm_sessions.errors import ConfigurationError, SessionNotFoundError

if TYPE_CHECKING:
    from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager

__all__ = [
    "DATABASE_VARIABLE",
    "DEFAULT_DATABASE",
    "command_for",
    "database_path",
    "existing",
    "file_path",
    "find_session",
    "look_up",
    "open_manager",
    "shown",
]

DEFAULT_DATABASE = "langswarm_sessions.db"
DATABASE_VARIABLE = "LANGSWARM_SESSIONS_DB"


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
    return file_path(given, field="--db")


def file_path(given: str | Path, *, field: str) -> Path:
    """Return the file a user means, there or not, as an absolute path.

    Args:
        given: What the user wrote.
        field: The option or argument it stands in.

    Raises:
        ConfigurationError: It is a folder or a device, or no file of that name can be.
    """
    try:
        path = Path(given).expanduser().absolute()
        mode = _mode(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: ~NAME where nobody has that name
        why = error.strerror if isinstance(error, OSError) else error
        raise ConfigurationError(f"{field}: {given} cannot be used ({why}). Name another file.") from None
    if mode is not None and not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device"
        raise ConfigurationError(f"{field}: {given} is {kind}. Name a file.")
    return path


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


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

    where = {"db_path": str(path)}
    with exported_spans(), create_session_manager("sqlite", storage_config=where, blocking=True) as manager:
        yield manager


def find_session(manager: BlockingSessionManager, path: Path, session_id: str) -> BlockingSession:
    """Return a session.

    Raises:
        SessionNotFoundError: There is none, or it was deleted; the message says what to do.
    """
    session = look_up(manager, path, session_id)
    if session is None:
        raise SessionNotFoundError(
            f"No session {session_id!r} in this database. `langswarm-sessions list` shows those there are.",
            session_id=session_id,
        )
    return session


def look_up(manager: BlockingSessionManager, path: Path, session_id: str) -> BlockingSession | None:
    """Return a session, or None if there never was one of that id.

    Raises:
        SessionNotFoundError: It was deleted; the message says how it comes back.
    """
    try:
        return manager.get_session(session_id)
    except SessionNotFoundError:
        if not asyncio.run(_is_stored(path, session_id)):
            return None
    raise SessionNotFoundError(
        f"Session {session_id!r} was deleted. Python brings it back, until it is purged: "
        f"manager.restore_session({session_id!r}).",
        session_id=session_id,
    )


async def _is_stored(path: Path, session_id: str) -> bool:
    from langswarm_sessions.storage import SQLiteSessionStorage

    storage = SQLiteSessionStorage(str(path))
    try:
        return await storage.load_session(session_id) is not None
    finally:
        await storage.close()
