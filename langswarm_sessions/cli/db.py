"""The commands on the database as a whole: upgrade, check, backup."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from langswarm_sessions.cli.database import existing, file_path, shown
from langswarm_sessions.cli.inspection import DatabaseReport, inspect_database
from langswarm_sessions.cli.output import counted, printable, results, size, tell, tell_error
from langswarm_sessions.errors import StorageError

if TYPE_CHECKING:
    from langswarm_sessions.storage import SQLiteSessionStorage

__all__ = ["back_up", "check", "upgrade"]


def upgrade(path: Path) -> None:
    """Bring a database to this version's schema, after a copy of it was made beside it; make it if there is none.

    Args:
        path: The database.
    """
    before = inspect_database(path, thorough=False)
    asyncio.run(_open(path))
    after = inspect_database(path, thorough=False)
    if before.revision == after.revision:
        _say(f"{shown(path)} is at revision {after.revision} already: nothing to do.")
    elif before.revision is None:
        _say(f"{shown(path)} made, at revision {after.revision}.")
    else:
        _say(f"{shown(path)} upgraded from revision {before.revision} to {after.revision}. A copy lies beside it.")


def check(path: Path) -> int:
    """Check every page, row and column of a database.

    Args:
        path: The database.

    Returns:
        The exit code: 1 when something is wrong.
    """
    report = inspect_database(existing(path), thorough=True)
    for problem in report.problems:
        tell_error(f"{problem.what}. {problem.remedy}")
    if report.problems:
        return 1
    if report.outdated:
        tell_error(
            f"The schema has revision {report.revision or 'none'}, this version works on {report.head}. "
            "`langswarm-sessions db upgrade` brings it there; so does the next use."
        )
        return 1
    _say(f"{shown(path)} is whole: revision {report.revision}, {_holds(report)}, {size(report.bytes)}.")
    return 0


def back_up(path: Path, target: Path) -> None:
    """Copy a database while others use it, and check the copy.

    Args:
        path: The database.
        target: The file to make.

    Raises:
        StorageError: The file is there already, or cannot be written, or the copy is not whole.
    """
    target = file_path(target, field="PATH")
    if not target.exists():  # else the storage says that it replaces nothing
        _refuse_unusable(inspect_database(target, thorough=False))
    _refuse_unusable(inspect_database(existing(path), thorough=False))
    made = asyncio.run(_copy(path, target))
    report = inspect_database(made, thorough=False)
    _refuse_unusable(report)
    _say(f"{shown(made)} holds {_holds(report)} ({size(report.bytes)}).")
    tell("It is a database like the other: use it with --db.")


def _refuse_unusable(report: DatabaseReport) -> None:
    for problem in report.problems:
        raise StorageError(f"{shown(report.path)}: {problem.what}. {problem.remedy}")
    if report.outdated:
        raise StorageError(
            f"{shown(report.path)} has an earlier schema. `langswarm-sessions db upgrade` keeps a copy of it and "
            "upgrades it."
        )


async def _open(path: Path) -> None:
    storage = _storage(path, backup_before_upgrade=True)
    try:
        await storage.check_health()
    finally:
        await storage.close()


async def _copy(path: Path, target: Path) -> Path:
    storage = _storage(path)
    try:
        return await storage.backup(target)
    finally:
        await storage.close()


def _storage(path: Path, *, backup_before_upgrade: bool = False) -> SQLiteSessionStorage:
    from langswarm_sessions.storage import SQLiteSessionStorage

    return SQLiteSessionStorage(str(path), backup_enabled=backup_before_upgrade)


def _holds(report: DatabaseReport) -> str:
    return f"{counted(report.sessions, 'session')}, {counted(report.messages, 'message')}"


def _say(line: str) -> None:
    results().print(Text(printable(line)), soft_wrap=True)
