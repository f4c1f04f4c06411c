"""One SQLite database: how its connections are opened, and units of work run on them as transactions."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.pool import NullPool

from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.storage.sql.casefold import install_casefold
from langswarm_sessions.storage.sql.errors import translated
from langswarm_sessions.storage.sql.jobs import Unit
from langswarm_sessions.storage.sql.schema import create_in_memory, ensure_schema

__all__ = ["SqliteDatabase", "SqliteOptions", "SqliteTransactions"]

MEMORY = ":memory:"
_CHECKPOINT_PAGES = 4_000  # 16 MB: a turn rewrites the same few pages, so fewer checkpoints write much less
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteOptions:
    """How a database is opened; see SQLiteSessionStorage."""

    busy_timeout_s: float = 30.0
    wal: bool = True
    auto_vacuum: bool = False
    durability: Literal["normal", "full"] = "normal"
    backup_before_upgrade: bool = False


class SqliteDatabase:
    """A database file (or a private database in memory).

    Args:
        path: The file, or ":memory:".
        options: How it is opened.
    """

    def __init__(self, path: str, options: SqliteOptions) -> None:
        self.path = path
        self.options = options
        self.in_memory = path == MEMORY
        self.file = "" if self.in_memory else path
        self._lock = fork_safe_lock()
        self._ready = False
        self._shared_engine: Engine | None = None

    def open(self, *, read_only: bool) -> tuple[Connection, sqlite3.Connection]:
        """Open a connection; the first one creates the file and its schema, or checks them."""
        connection = self._engine().connect()
        try:
            raw = connection.connection.driver_connection
            assert isinstance(raw, sqlite3.Connection)
            with self._lock:
                if not self._ready or self.in_memory:
                    self._set_up(raw, connection)
                    self._ready = True
            if read_only:
                raw.execute("PRAGMA query_only=ON")
        except BaseException:
            connection.close()
            raise
        return connection, raw

    def _engine(self) -> Engine:
        """Return the engine all connections share, and with it the compiled statements."""
        with self._lock:
            if self._shared_engine is None:
                self._shared_engine = create_engine(
                    "sqlite://",
                    creator=self._connect,
                    poolclass=NullPool,
                    json_serializer=_encode,
                    hide_parameters=True,  # what was said must not get into errors and logs
                )
            return self._shared_engine

    def _connect(self) -> sqlite3.Connection:
        if not self.in_memory:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        raw = sqlite3.connect(
            self.path,
            timeout=self.options.busy_timeout_s,
            isolation_level=None,  # transactions are begun and ended by SqliteTransactions, in so many words
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            raw.execute("PRAGMA foreign_keys=ON")
            raw.execute(f"PRAGMA synchronous={self.options.durability.upper()}")
            raw.execute("PRAGMA temp_store=MEMORY")
            raw.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
            install_casefold(raw)
        except BaseException:
            raw.close()
            raise
        return raw

    def _set_up(self, raw: sqlite3.Connection, connection: Connection) -> None:
        if self.in_memory:
            create_in_memory(connection)
            return
        if self.options.auto_vacuum:
            raw.execute("PRAGMA auto_vacuum=INCREMENTAL")  # counts only before the first table
        backup = Path(self.path) if self.options.backup_before_upgrade else None
        ensure_schema(connection, raw, backup_of=backup)
        if self.options.wal:  # last: the file of another program is left as it is
            self._enable_wal(raw)

    def _enable_wal(self, raw: sqlite3.Connection) -> None:
        """Switch to WAL. SQLite does not wait for the lock this takes, so another process opening it is waited for."""
        deadline = time.monotonic() + self.options.busy_timeout_s
        while True:
            try:
                raw.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.005)
            else:
                return


class SqliteTransactions:
    """One connection that runs units of work as transactions.

    Args:
        database: Where to.
        write: Whether units write: then a transaction takes the write lock at its beginning, so that it never has to
            be given up half-way because another process wrote meanwhile.
    """

    def __init__(self, database: SqliteDatabase, *, write: bool) -> None:
        self._database = database
        self._begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        self._write = write
        self._connection: Connection | None = None
        self._raw: sqlite3.Connection | None = None

    def run(self, unit: Unit, args: tuple[Any, ...]) -> Any:
        """Run `unit(connection, *args)` as one transaction.

        Raises:
            StorageError: The database failed; nothing was stored.
        """
        with translated(*args, file=self._database.file):
            connection, raw = self._open()
            try:
                raw.execute(self._begin)
                result = unit(connection, *args)
                raw.execute("COMMIT")
            except BaseException:
                self._roll_back(connection, raw)
                raise
            return result

    def run_outside(self, unit: Unit, args: tuple[Any, ...]) -> Any:
        """Run `unit(connection, *args)` outside of any transaction; it may write.

        Raises:
            StorageError: The database failed.
        """
        with translated(*args, file=self._database.file):
            connection, raw = self._open()
            raw.execute("PRAGMA query_only=OFF")
            try:
                return unit(connection, *args)
            finally:
                raw.execute(f"PRAGMA query_only={'OFF' if self._write else 'ON'}")

    def _open(self) -> tuple[Connection, sqlite3.Connection]:
        if self._connection is None or self._raw is None:
            self._connection, self._raw = self._database.open(read_only=not self._write)
        return self._connection, self._raw

    def close(self) -> None:
        """Close the connection, the writer's after moving the WAL into the database."""
        connection, raw = self._connection, self._raw
        self._connection = self._raw = None
        if connection is None or raw is None:
            return
        try:
            if self._write and self._database.options.wal:
                raw.execute("PRAGMA busy_timeout=0")  # others may be reading: then the last one to close does it
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:
            pass  # the WAL stays beside the file and is read from there
        finally:
            connection.close()

    def before_fork(self) -> None:
        """Close the connection: SQLite keeps locks per process. What is in memory is copied with the process."""
        if not self._database.in_memory:
            self.close()

    def _roll_back(self, connection: Connection, raw: sqlite3.Connection) -> None:
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            self._connection = self._raw = None  # the next unit opens another connection
            connection.invalidate()
