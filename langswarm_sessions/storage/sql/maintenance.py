"""Sizes, clean-up and copies of a SQLite database."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from langswarm_sessions.errors import StorageError
from langswarm_sessions.storage.sql.analytics import row_counts
from langswarm_sessions.storage.sql.errors import translated
from langswarm_sessions.storage.sql.schema import backup_file, revision_of

__all__ = ["backup", "driver_of", "optimize", "statistics"]


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Return the driver's connection below `connection`."""
    raw = connection.connection.driver_connection
    if not isinstance(raw, sqlite3.Connection):
        raise AssertionError("a connection of SQLite is expected")
    return raw


def statistics(connection: Connection, path: str) -> dict[str, Any]:
    """Return counts of rows, sizes in bytes, pages and the schema's revision, within a transaction."""
    raw = driver_of(connection)
    pages, page_size, free = (_pragma(raw, name) for name in ("page_count", "page_size", "freelist_count"))
    return {
        **row_counts(connection),
        "database_bytes": _size_of(path) or pages * page_size,
        "wal_bytes": _size_of(f"{path}-wal"),
        "page_count": pages,
        "page_size": page_size,
        "free_pages": free,
        "journal_mode": str(raw.execute("PRAGMA journal_mode").fetchone()[0]),
        "schema_revision": revision_of(connection),
    }


def optimize(connection: Connection, path: str) -> dict[str, Any]:
    """Give back unused space and refresh the planner's statistics, outside of a transaction."""
    raw = driver_of(connection)
    before = _pragma(raw, "page_count") * _pragma(raw, "page_size")
    if _pragma(raw, "auto_vacuum") == 2:  # incremental: no second copy of the file, no long lock
        raw.executescript("PRAGMA incremental_vacuum")  # execute would take the first step of it only
    else:
        raw.execute("VACUUM")
    raw.execute("PRAGMA analysis_limit=1000")
    raw.execute("ANALYZE")
    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    after = _pragma(raw, "page_count") * _pragma(raw, "page_size")
    return {"bytes_before": before, "bytes_after": after, "database_bytes": _size_of(path) or after}


def backup(connection: Connection, path: str) -> Path:
    """Copy the live database to a new file, outside of a transaction.

    Raises:
        StorageError: The file exists already.
    """
    target = Path(path).expanduser()
    if target.exists():
        raise StorageError("The file to back up to exists already. Name a new one.")
    unfinished = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        with translated(file=target):
            backup_file(driver_of(connection), unfinished)
            os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def _pragma(raw: sqlite3.Connection, name: str) -> int:
    return int(raw.execute(f"PRAGMA {name}").fetchone()[0])


def _size_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
