"""A database of another program, opened so that nothing can be written to it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, TypeVarTuple
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError

__all__ = ["ForeignDatabase"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WAL = b"\x02\x02"  # bytes 18 and 19 of a SQLite file that has a write-ahead log
_BLOCKING = {  # a thread of its own reads: an async driver has no place there
    "sqlite+aiosqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql+psycopg",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "mysql+aiomysql": "mysql+pymysql",
    "mysql+asyncmy": "mysql+pymysql",
    "mariadb+aiomysql": "mariadb+pymysql",
    "mariadb+asyncmy": "mariadb+pymysql",
}
_READ_ONLY = {"mysql": "SET SESSION TRANSACTION READ ONLY", "mariadb": "SET SESSION TRANSACTION READ ONLY"}


class ForeignDatabase:
    """Reads a database on a thread of its own; construction does no I/O.

    Args:
        url: A SQLAlchemy URL; one of an async driver is read by the blocking driver of the same database.

    Raises:
        ConfigurationError: It is no URL.
        MissingDependencyError: The database's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = _blocking_url(url)
        self._file = _file_of(self._url)
        self._frozen: tuple[int, int] | None = None
        self._engine = self._made_engine()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="langswarm-sessions-source")
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """Which database it is, without its password."""
        return self._url.render_as_string(hide_password=True) if self._file is None else str(self._file)

    def __repr__(self) -> str:
        return f"ForeignDatabase({self.name!r})"

    async def read(self, unit: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Return what a function reads off a connection, all of it from one state of the database.

        Args:
            unit: Called with the connection and `args`.
            *args: What it is given.

        Raises:
            StorageError: The database cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, unit, args)

    async def pages(self, unit: Callable[[Connection, *Ts], Iterator[T]], *args: *Ts) -> AsyncGenerator[T]:
        """Yield what a generator over a connection yields, each piece when it is asked for.

        Args:
            unit: Called with the connection and `args`.
            *args: What it is given.

        Raises:
            StorageError: The database cannot be read.
        """
        pieces = await self.read(unit, *args)
        done: Any = object()
        try:
            while (piece := await self.read(lambda _: next(pieces, done))) is not done:
                yield piece
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                await self.read(lambda _: close())

    async def columns(self) -> Mapping[str, tuple[str, ...]]:
        """Return the names of the columns of each table."""
        return await self.read(_columns)

    async def close(self) -> None:
        """Close the connection and end the thread; a second call does nothing.

        Raises:
            StorageError: The file was written to while it was read by somebody who had not opened it before.
        """
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        except RuntimeError:  # closed before
            return
        self._thread.shutdown(wait=False)
        if self._frozen is not None and self._frozen != _stamp(self._file):
            raise StorageError(
                f"{self.name} was written to while it was read. Read it again: what was taken over is passed by."
            )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()

    def _run(self, unit: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self._translated():
            if self._connection is None:
                self._connection = self._engine.connect()
                if self._url.get_backend_name() == "postgresql":
                    self._connection = self._connection.execution_options(
                        isolation_level="REPEATABLE READ", postgresql_readonly=True
                    )
            return unit(self._connection, *args)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise StorageError(
                f"{self.name} cannot be read ({type(error).__name__}). Check that it is there, that its name and "
                "password are right, and that no other program holds it locked; the cause of this error says more."
            ) from error

    def _made_engine(self) -> Engine:
        options: dict[str, Any] = {"poolclass": NullPool, "hide_parameters": True}
        if self._file is not None:
            options["creator"] = self._connect_file
        try:
            engine = create_engine(self._url, **options)
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            missing = getattr(error, "name", None) or self._url.drivername
            raise MissingDependencyError(
                f"Reading {self._url.get_backend_name()} needs its driver: pip install {missing}."
            ) from error
        statement = _READ_ONLY.get(self._url.get_backend_name())
        if statement is not None:
            event.listen(engine, "connect", partial(_execute, statement=statement))
        return engine

    def _connect_file(self) -> sqlite3.Connection:
        """Open the file to be read.

        SQLite makes two files beside one that has a write-ahead log, also to read it, and cannot take them away again.
        Where no program has the file open they are not needed, as long as that stays so; `close` looks.
        """
        assert self._file is not None
        if not self._file.is_file():
            raise ConfigurationError(f"There is no file {self._file}. Name the database to read.")
        mode = "mode=ro"
        if _has_wal(self._file) and not _wal_of(self._file).exists():
            self._frozen = _stamp(self._file)
            mode = "mode=ro&immutable=1"
        address = f"file:{quote(str(self._file))}?{mode}"
        return sqlite3.connect(address, uri=True, check_same_thread=False, timeout=30.0)


def _blocking_url(given: str) -> URL:
    try:
        url = make_url(given)
    except ArgumentError:
        raise ConfigurationError(
            "The source must be a SQLAlchemy URL, such as sqlite:///chat.db or postgresql://user:password@host/name."
        ) from None
    return url.set(drivername=_BLOCKING.get(url.drivername, url.drivername))


def _file_of(url: URL) -> Path | None:
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigurationError("The source must be a SQLite file: sqlite:///path/of/the/file.db.")
    return Path(url.database).expanduser().absolute()


def _wal_of(file: Path) -> Path:
    return file.with_name(f"{file.name}-wal")


def _has_wal(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(20)[18:20] == _WAL


def _stamp(file: Path | None) -> tuple[int, int]:
    """Return what changes when a file is written to, or opened to be written."""
    assert file is not None
    wal, state = _wal_of(file), file.stat()
    return (state.st_mtime_ns, -1 if wal.exists() and wal.stat().st_size else state.st_size)


def _columns(connection: Connection) -> Mapping[str, tuple[str, ...]]:
    inspector = inspect(connection)
    return {
        table: tuple(column["name"] for column in inspector.get_columns(table)) for table in inspector.get_table_names()
    }


def _execute(raw: Any, _: object, *, statement: str) -> None:
    with closing(raw.cursor()) as cursor:
        cursor.execute(statement)
