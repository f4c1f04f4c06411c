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

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from langswarm_sessions.errors import ConfigurationError, MissingDependencyError, StorageError
from langswarm_sessions.storage.foreign.sqlite_file import SQLiteFile

__all__ = ["ForeignDatabase"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_BLOCKING = {  # a thread of its own reads: an async driver has no place there
    "sqlite+aiosqlite": "sqlite",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql+psycopg",
    "postgresql+psycopg_async": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mysql+aiomysql": "mysql+pymysql",
    "mysql+asyncmy": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "mariadb+aiomysql": "mariadb+pymysql",
    "mariadb+asyncmy": "mariadb+pymysql",
}
_PACKAGES = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}  # else C libraries, or a compiler
_READ_ONLY = {"mysql": "SET SESSION TRANSACTION READ ONLY", "mariadb": "SET SESSION TRANSACTION READ ONLY"}
_SHOWN = ("host", "port", "unix_socket")  # of a URL's options: others may be a password
_ATTEMPTS = 5


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
        self._engine = self._made_engine()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="langswarm-sessions-source")
        self._connection: Connection | None = None

    @property
    def name(self) -> str:
        """Which database it is, without its password."""
        if self._file is not None:
            return str(self._file.path)
        shown = {name: value for name, value in self._url.query.items() if name in _SHOWN}
        return self._url.set(query=shown).render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        """Whether it is a SQLite file, which an open statement keeps others from writing to."""
        return self._file is not None

    def __repr__(self) -> str:
        return f"ForeignDatabase({self.name!r})"

    async def read(self, unit: Callable[[Connection, *Ts], T], *args: *Ts) -> T:
        """Return what a function reads off a connection.

        Args:
            unit: Called with the connection and `args`; of a SQLite file it must leave no statement open, and is called
                again when the file was written to meanwhile by somebody who had not opened it before.
            *args: What it is given.

        Raises:
            StorageError: The database cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._run, unit, args)

    async def pages(self, unit: Callable[[Connection, *Ts], Iterator[T]], *args: *Ts) -> AsyncGenerator[T]:
        """Yield what a generator over a server's connection yields, each piece when it is asked for.

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
        """Close the connection and end the thread; a second call does nothing."""
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        except RuntimeError:  # closed before
            return
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        self._disconnect()
        self._engine.dispose()

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        if self._file is not None:
            self._file.close()

    def _run(self, unit: Callable[..., T], args: tuple[Any, ...]) -> T:
        with self._translated():
            for _ in range(_ATTEMPTS):
                try:
                    result = unit(self._connected(), *args)
                except (SQLAlchemyError, sqlite3.Error):
                    if not self._is_stale():
                        raise
                else:
                    if not self._is_stale():
                        return result
                self._disconnect()
        raise StorageError(f"{self.name} was written to whenever it was read. Read it while it is less busy.")

    def _is_stale(self) -> bool:
        return self._file is not None and self._file.is_stale

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            if self._url.get_backend_name() == "postgresql":
                self._connection = self._connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
        return self._connection

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
            options["creator"] = self._file.connect
        backend = self._url.get_backend_name()
        try:
            engine = create_engine(self._url, **options)
        except NoSuchModuleError:
            raise ConfigurationError(
                f"SQLAlchemy knows no database {self._url.drivername!r}. Give a URL such as sqlite:///chat.db, "
                "postgresql://user:password@host/name or mysql://user:password@host/name."
            ) from None
        except ImportError as error:  # of psycopg also where it is installed, and its C library is not
            driver = error.name or self._url.get_driver_name()
            package = _PACKAGES.get(driver, driver)
            raise MissingDependencyError(f"Reading {backend} needs its driver: pip install {package}.") from error
        if backend in _READ_ONLY:
            event.listen(engine, "connect", partial(_execute, statement=_READ_ONLY[backend]))
        return engine


def _blocking_url(given: str) -> URL:
    try:
        url = make_url(given)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "The source must be a SQLAlchemy URL, such as sqlite:///chat.db or postgresql://user:password@host/name."
        ) from None
    return url.set(drivername=_BLOCKING.get(url.drivername, url.drivername))


def _file_of(url: URL) -> SQLiteFile | None:
    if url.get_backend_name() != "sqlite":
        return None
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise ConfigurationError("The source must be a SQLite file: sqlite:///path/of/the/file.db.")
    return SQLiteFile(Path(url.database).expanduser().absolute())


def _columns(connection: Connection) -> Mapping[str, tuple[str, ...]]:
    inspector = inspect(connection)
    return {
        table: tuple(column["name"] for column in inspector.get_columns(table)) for table in inspector.get_table_names()
    }


def _execute(raw: Any, _: object, *, statement: str) -> None:
    with closing(raw.cursor()) as cursor:
        cursor.execute(statement)
