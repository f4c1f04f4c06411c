"""Sources that are tables with one row a message: how they are found and read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.importing.rows import entry_of, moment_of, name_of
from langswarm_sessions.importing.source import ImportSource, SourceEntry, SourceHead, SourceSurvey

if TYPE_CHECKING:
    from langswarm_sessions.storage.foreign.database import ForeignDatabase
    from langswarm_sessions.storage.foreign.histories import HistoryTable

__all__ = ["TableSource", "listed"]


class TableSource(ImportSource):
    """A table with one row a message, in any database SQLAlchemy reads.

    Args:
        url: The database's SQLAlchemy URL.
        table: The table's name; None looks for it.

    Raises:
        ConfigurationError: `url` is none.
        MissingDependencyError: The database's driver is not installed.
    """

    kind: str

    def __init__(self, url: str, *, table: str | None = None) -> None:
        from langswarm_sessions.storage.foreign.database import ForeignDatabase

        self._url = url
        self._table = table
        self._database: ForeignDatabase | None = ForeignDatabase(url)
        self._found: HistoryTable | None = None
        self._location = self._database.name

    def __repr__(self) -> str:
        """Name the place, no password."""
        return f"{type(self).__name__}({self._location!r})"

    @abstractmethod
    def layout(self, table: str, columns: Sequence[str]) -> HistoryTable | None:
        """Return how a table's rows are read; None when it is no table of this kind."""

    @abstractmethod
    def data_of(self, values: Mapping[str, Any]) -> Any:
        """Return what of a row's values its message is made of."""

    def completed(self, found: HistoryTable, tables: Mapping[str, Sequence[str]]) -> HistoryTable:
        """Return how a table's rows are read, given what other tables there are."""
        return found

    def notes(self, found: HistoryTable, columns: Sequence[str]) -> tuple[str, ...]:
        """Return what of the table has no place in a session."""
        return ()

    async def survey(self) -> SourceSurvey:
        """Look at what there is."""
        from langswarm_sessions.storage.foreign.histories import count_rows

        tables = await self._opened().columns()
        name, found = self._chosen(tables)
        self._found = found = self.completed(found, tables)
        sessions, rows = await self._opened().read(count_rows, found)
        return SourceSurvey(
            kind=self.kind,
            name=name,
            location=self._location,
            sessions=sessions,
            entries=rows,
            notes=self.notes(found, tables.get(name, ())),
        )

    async def pages(self, start: Any = None) -> AsyncGenerator[Sequence[SourceEntry]]:
        """Yield rows."""
        from langswarm_sessions.storage.foreign.histories import read_rows

        table = await self._layout()
        async with aclosing(read_rows(self._opened(), table, start)) as pages:
            async for page in pages:
                yield [self._entry(row, table.values) for row in page]

    async def heads(self) -> AsyncGenerator[SourceHead]:
        """Yield the conversations."""
        from langswarm_sessions.storage.foreign.histories import newest_rows

        table = await self._layout()
        async with aclosing(newest_rows(self._opened(), table)) as pages:
            async for page in pages:
                for session_id, rows, newest in page:
                    yield SourceHead(
                        session_id=name_of(session_id), entries=rows, newest=str(newest), position=session_id
                    )

    async def close(self) -> None:
        """Close the database."""
        database, self._database = self._database, None
        if database is not None:
            await database.close()

    def _opened(self) -> ForeignDatabase:
        from langswarm_sessions.storage.foreign.database import ForeignDatabase

        if self._database is None:
            self._database = ForeignDatabase(self._url)
        return self._database

    async def _layout(self) -> HistoryTable:
        if self._found is None:
            await self.survey()
        assert self._found is not None
        return self._found

    def _chosen(self, tables: Mapping[str, Sequence[str]]) -> tuple[str, HistoryTable]:
        fitting = {name: found for name, columns in tables.items() if (found := self.layout(name, columns)) is not None}
        if self._table is not None:
            found = fitting.get(self._table) or (self.layout(self._table, ()) if "." in self._table else None)
            if found is None:
                raise ConfigurationError(
                    f"table: {self._location} has no {self.kind} {self._table!r}. It has {listed(fitting or tables)}."
                )
            return self._table, found
        if len(fitting) != 1:
            there = f"more than one {self.kind}" if fitting else f"no {self.kind}"
            raise ConfigurationError(
                f"{self._location} has {there}; name the table with table=. It has {listed(fitting or tables)}."
            )
        return next(iter(fitting.items()))

    def _entry(self, row: Sequence[Any], names: Sequence[str]) -> SourceEntry:
        session_id, key, *values = row
        told = dict(zip(names, values, strict=True))
        moment = moment_of(told.pop("created_at", None))
        data = self.data_of(told)
        return entry_of(name_of(session_id), str(key), data, time=moment)


def listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    """Return names of tables for an error."""
    shown = sorted(names)[:12]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return (", ".join(shown) + more) if shown else "no tables"
