"""Statements that are compiled once and then run at the speed of the driver.

A turn runs the same few statements over and over. SQLAlchemy builds and compiles them, for whatever database it is;
what it does on every execution beyond that (contexts, cache look-ups, result proxies) would cost several times as much
as the statements themselves. Bind and result processing are SQLAlchemy's own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Connection, Dialect
from sqlalchemy.engine.interfaces import DBAPICursor
from sqlalchemy.sql.compiler import SQLCompiler

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.forks import fork_safe_lock

__all__ = ["BoundRow", "Prepared"]

Processor = Callable[[Any], Any]
Values = Mapping[str, Any]
BoundRow = tuple[Any, ...]
"""The parameters of one execution, as the driver wants them."""


class _Compiled:
    """One statement in the words of one database."""

    __slots__ = ("columns", "conversions", "parameters", "text")

    def __init__(self, compiler: SQLCompiler, dialect: Dialect) -> None:
        self.text = compiler.string
        constants = compiler.construct_params(_check=False)
        names = compiler.positiontup or []
        self.parameters = [(name, constants[name]) for name in names]
        converters = [compiler.binds[name].type.dialect_impl(dialect).bind_processor(dialect) for name in names]
        self.conversions = [(index, convert) for index, convert in enumerate(converters) if convert is not None]
        entries = compiler._result_columns  # pyright: ignore[reportPrivateUsage]
        processors = [entry.type.dialect_impl(dialect).result_processor(dialect, None) for entry in entries]
        self.columns = [(index, convert) for index, convert in enumerate(processors) if convert is not None]

    def bind(self, values: Values) -> BoundRow:
        """Return the parameters in the order the driver wants them."""
        bound = [values.get(name, constant) for name, constant in self.parameters]
        for index, convert in self.conversions:
            if bound[index] is not None:
                try:
                    bound[index] = convert(bound[index])
                except (TypeError, ValueError, RecursionError) as error:
                    raise _not_json(self.parameters[index][0], error) from error
        return tuple(bound)

    def read(self, row: Sequence[Any]) -> list[Any]:
        """Return a row of the driver with its values converted."""
        entries = list(row)
        for index, convert in self.columns:
            if entries[index] is not None:
                entries[index] = convert(entries[index])
        return entries


class Prepared:
    """A statement that is run often.

    Args:
        statement: Built once, at import, with named parameters.
        columns: For an INSERT: the columns it is given.
    """

    __slots__ = ("_columns", "_compiled", "_lock", "_statement")

    def __init__(self, statement: ClauseElement, *, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}
        self._lock = fork_safe_lock()

    def first(self, connection: Connection, values: Values) -> list[Any] | None:
        """Return the first row, or None."""
        compiled, cursor = self._run(connection, values)
        row = cursor.fetchone()
        cursor.close()
        return None if row is None else compiled.read(row)

    def all(self, connection: Connection, values: Values) -> list[list[Any]]:
        """Return all rows."""
        compiled, cursor = self._run(connection, values)
        rows = cursor.fetchall()
        cursor.close()
        return [compiled.read(row) for row in rows]

    def each(self, connection: Connection, values: Values) -> Generator[list[Any]]:
        """Yield rows one by one; close the generator to read no further."""
        compiled, cursor = self._run(connection, values)
        try:
            while (row := cursor.fetchone()) is not None:
                yield compiled.read(row)
        finally:
            cursor.close()

    def write(self, connection: Connection, values: Values) -> int:
        """Run a statement that writes; return how many rows it touched."""
        _, cursor = self._run(connection, values)
        count = cursor.rowcount
        cursor.close()
        return count

    def write_each(self, connection: Connection, many: Iterable[Values]) -> None:
        """Run a statement that writes once for each set of values."""
        self.write_bound(connection, self.bound(connection.dialect, many))

    def bound(self, dialect: Dialect, many: Iterable[Values]) -> list[BoundRow]:
        """Return sets of values ready for `write_bound` on a connection of this dialect."""
        bind = self._for(dialect).bind
        return [bind(values) for values in many]

    def write_bound(self, connection: Connection, many: Sequence[BoundRow]) -> None:
        """Do what `write_each` does with sets of values that are ready."""
        if not many:
            return
        cursor = _cursor_of(connection)
        cursor.executemany(self._for(connection.dialect).text, many)
        cursor.close()

    def _run(self, connection: Connection, values: Values) -> tuple[_Compiled, DBAPICursor]:
        compiled = self._for(connection.dialect)
        cursor = _cursor_of(connection)
        cursor.execute(compiled.text, compiled.bind(values))
        return compiled, cursor

    def _for(self, dialect: Dialect) -> _Compiled:
        compiled = self._compiled.get(dialect.name)
        if compiled is None:
            with self._lock:
                compiler = self._statement.compile(dialect=dialect, column_keys=self._columns)
                assert isinstance(compiler, SQLCompiler)
                compiled = self._compiled[dialect.name] = _Compiled(compiler, dialect)
        return compiled


def _not_json(parameter: str, error: Exception) -> InvalidInputError:
    field = parameter.removeprefix("new_")
    return InvalidInputError(f"{field}: must be plain JSON, all the way down ({type(error).__name__}).")


def _cursor_of(connection: Connection) -> DBAPICursor:
    return connection.connection.cursor()
