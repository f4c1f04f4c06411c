"""Storage in a SQLite file, and in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

from langswarm_sessions.config import finite_number
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.storage.simple_methods import SimpleMethods
from langswarm_sessions.storage.sql import maintenance
from langswarm_sessions.storage.sql.runner import Runner
from langswarm_sessions.storage.sql.sqlite import MEMORY, SqliteDatabase, SqliteOptions, SqliteTransactions
from langswarm_sessions.storage.sql.storage import SqlStorage

__all__ = ["InMemorySessionStorage", "SQLiteSessionStorage"]

_LONGEST_TIMEOUT_S = 2_147_483  # SQLite counts milliseconds in 32 bits, and takes what is more for no time at all


class _SqliteBased(SqlStorage, SimpleMethods):
    """What the file and the memory storage share."""

    db_system: ClassVar[str | None] = "sqlite"
    _database: SqliteDatabase

    async def statistics(self) -> Mapping[str, Any]:
        """Return counts of rows, sizes in bytes, pages and the schema's revision."""
        return {"backend": self.backend, **await self._runner.read(maintenance.statistics, self._database.path)}

    async def optimize(self) -> Mapping[str, Any]:
        """Give back unused space and refresh the planner's statistics; return bytes before and after."""
        return await self._runner.outside(maintenance.optimize, self._database.path)

    async def backup(self, path: str | Path) -> Path:
        """Copy the live database to a new file, while turns go on.

        Args:
            path: The file to make; its folder is made if need be.

        Returns:
            The path of the copy.

        Raises:
            StorageError: The file exists already or cannot be written.
            InvalidInputError: The path is none.
        """
        if not _is_path(path):
            raise InvalidInputError("path must be the path of the file to make.")
        return await self._runner.outside(maintenance.backup, os.fspath(path))


class SQLiteSessionStorage(_SqliteBased):
    """Sessions in a SQLite file, shared by all processes of this machine that open it.

    Nothing is opened before the first use; folders and file are made then.

    Args:
        db_path: The file (":memory:" is a private database in memory).
        pool_size: How many threads read at the same time; one more writes.
        max_overflow: How many more may read when all are busy.
        pool_timeout: Seconds to wait for another process that is writing.
        enable_wal: Use SQLite's write-ahead log: readers never wait for the writer. Turn off on network file systems.
        auto_vacuum: Let `optimize` give space back bit by bit; counts for new files only.
        durability: "normal" survives the death of the process; "full" survives power loss too, at the price of one
            wait for the disk per transaction.
        backup_enabled: Copy the file beside itself before its schema is upgraded.

    Raises:
        ConfigurationError: A value is of the wrong type or out of range.

    Example:
        >>> storage = SQLiteSessionStorage(db_path="sessions.db", durability="full")
    """

    backend: ClassVar[str] = "sqlite"

    def __init__(
        self,
        db_path: str | os.PathLike[str] = "./langswarm_sessions.db",
        *,
        pool_size: int = 2,
        max_overflow: int = 4,
        pool_timeout: float = 30.0,
        enable_wal: bool = True,
        auto_vacuum: bool = False,
        durability: Literal["normal", "full"] = "normal",
        backup_enabled: bool = False,
    ) -> None:
        _whole("pool_size", pool_size, at_least=1)
        _whole("max_overflow", max_overflow, at_least=0)
        _check_path(db_path)
        busy_timeout_s = finite_number(pool_timeout, at_most=_LONGEST_TIMEOUT_S)
        if busy_timeout_s is None:
            raise ConfigurationError(
                f"storage_config: pool_timeout must be a number of seconds, 0 to {_LONGEST_TIMEOUT_S}."
            )
        if durability not in ("normal", "full"):
            raise ConfigurationError("storage_config: durability must be 'normal' or 'full'.")
        options = SqliteOptions(
            busy_timeout_s=busy_timeout_s,
            wal=_flag("enable_wal", enable_wal),
            auto_vacuum=_flag("auto_vacuum", auto_vacuum),
            durability=durability,
            backup_before_upgrade=_flag("backup_enabled", backup_enabled),
        )
        path = os.fspath(db_path)
        self.db_path = path if path == MEMORY else os.path.abspath(os.path.expanduser(path))
        self._database = SqliteDatabase(self.db_path, options)
        super().__init__(_runner_over(self._database, readers=pool_size, overflow=max_overflow))

    async def get_database_stats(self) -> Mapping[str, Any]:
        """Return counts of rows, sizes in bytes, pages and the schema's revision."""
        return await self.statistics()

    async def optimize_database(self) -> Mapping[str, Any]:
        """Give back unused space and refresh the planner's statistics; return bytes before and after."""
        return await self.optimize()

    def __repr__(self) -> str:
        return f"SQLiteSessionStorage(db_path={self.db_path!r})"


class InMemorySessionStorage(_SqliteBased):
    """Sessions in this process's memory, gone with it. The same statements as SQLiteSessionStorage, no file."""

    backend: ClassVar[str] = "memory"
    db_system: ClassVar[str | None] = None

    def __init__(self) -> None:
        self._database = SqliteDatabase(MEMORY, SqliteOptions(wal=False))
        super().__init__(_runner_over(self._database, readers=1, overflow=0))

    def __repr__(self) -> str:
        return "InMemorySessionStorage()"


def _runner_over(database: SqliteDatabase, *, readers: int, overflow: int) -> Runner:
    if database.in_memory:
        only = SqliteTransactions(database, write=True)
        return Runner(lambda: only, None)
    return Runner(
        lambda: SqliteTransactions(database, write=True),
        lambda: SqliteTransactions(database, write=False),
        readers=readers,
        overflow=overflow,
    )


def _is_path(path: object) -> bool:
    text = os.fspath(cast("os.PathLike[str]", path)) if isinstance(path, str | os.PathLike) else ""
    return bool(text) and "\0" not in text


def _check_path(path: object) -> None:
    if not _is_path(path):
        raise ConfigurationError("storage_config: db_path must be a non-empty path.")


def _whole(name: str, value: object, *, at_least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise ConfigurationError(f"storage_config: {name} must be a whole number of at least {at_least}.")


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"storage_config: {name} must be True or False.")
    return value
