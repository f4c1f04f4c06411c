"""Tables that hold one message a row, under the id of its conversation."""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import BINARY, ColumnClause, Connection, Select, case, cast, column, func, select, table

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from langswarm_sessions.storage.foreign.database import ForeignDatabase

__all__ = ["HistoryTable", "count_rows", "newest_rows", "read_rows"]

Row = Sequence[Any]

_ROWS = 500  # at most so many a page
_BYTES = 4_000_000  # a page ends where it holds more: messages may carry images
_AT_ONCE = 50  # rows are fetched so many at a time
_MAIN = "main"
_rowid: ColumnClause[int] = column("_rowid_")


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTable:
    """Where the rows of conversations are.

    Args:
        name: The table's, with its schema's and a point before it where it is not in the default one.
        session: The column that names the conversation.
        key: The column that orders its rows, and names each.
        values: The columns to read.
        branches: The table that tells in which branches of its conversation a row (`message_id`) is (`branch_id`); rows
            that are in none, or in the one named "main", are read.
    """

    name: str
    session: str
    key: str
    values: tuple[str, ...]
    branches: str | None = None


async def read_rows(database: ForeignDatabase, source: HistoryTable, start: Any) -> AsyncGenerator[Sequence[Row]]:
    """Yield pages of rows (conversation, key, values...): those of a conversation together, oldest first.

    Of a SQLite file only the order is read in one go, eight bytes a row: a statement that stayed open meanwhile would
    keep the program whose file it is from writing.

    Args:
        database: Where the table is.
        source: Which table.
        start: The conversation to begin with, as a row has it (None: the first).
    """
    if not database.is_file:
        async with aclosing(database.pages(_streamed, source, start)) as pages:
            async for page in pages:
                yield page
        return
    order, first = await database.read(_order, source, start), 0
    while first < len(order):
        page, first = await database.read(_page_at, source, order, first)
        yield page


async def newest_rows(database: ForeignDatabase, source: HistoryTable) -> AsyncGenerator[Sequence[Row]]:
    """Yield pages of conversations (id, number of rows, key of the newest), in the order of `read_rows`."""
    if not database.is_file:
        async with aclosing(database.pages(_streamed_newest, source)) as pages:
            async for page in pages:
                yield page
        return
    counts, order = await database.read(_newest_order, source)
    for first in range(0, len(order), _ROWS):
        rowids = order[first : first + _ROWS]
        rows = await database.read(_rows_of, source, rowids, ())
        counted = zip(rowids, counts[first : first + _ROWS], strict=True)
        yield [(rows[rowid][0], count, rows[rowid][1]) for rowid, count in counted if rowid in rows]


def count_rows(connection: Connection, source: HistoryTable) -> tuple[int, int]:
    """Return how many conversations and how many rows there are."""
    inner = _of(source, select(_told_apart(connection, source))).distinct().subquery()
    sessions = connection.execute(select(func.count()).select_from(inner)).scalar_one()
    rows = connection.execute(_of(source, select(func.count()))).scalar_one()
    return sessions, rows


# Servers: one statement, read as it comes


def _streamed(connection: Connection, source: HistoryTable, start: Any) -> Iterator[Sequence[Row]]:
    session, key = _columns(source)
    told_apart = _told_apart(connection, source)
    query = _of(source, select(session, key, *map(_column, source.values)))
    if start is not None:
        query = query.where(told_apart >= start)
    return _fetched(connection, query.order_by(session.is_not(None), told_apart, key))


def _streamed_newest(connection: Connection, source: HistoryTable) -> Iterator[Sequence[Row]]:
    session, key = _columns(source)
    told_apart = _told_apart(connection, source)
    name = func.min(session) if _is_lax(connection) else session
    query = _of(source, select(name, func.count(), func.max(key))).group_by(told_apart)
    return _fetched(connection, query.order_by(told_apart.is_not(None), told_apart))


def _fetched(connection: Connection, query: Select[Any]) -> Iterator[Sequence[Row]]:
    options = query.execution_options(stream_results=True, max_row_buffer=_AT_ONCE)
    with connection.execute(options) as rows:
        page, size = list[Row](), 0
        for row in rows:
            page.append(row)
            size += _size(row)
            if _is_full(page, size):
                yield page
                page, size = [], 0
        if page:
            yield page


def _told_apart(connection: Connection, source: HistoryTable) -> ColumnElement[Any]:
    """Return what tells conversations apart: MySQL's collations take "A" for "a", and trailing spaces for nothing."""
    session, _ = _columns(source)
    return cast(session, BINARY) if _is_lax(connection) else session


def _is_lax(connection: Connection) -> bool:
    return connection.dialect.name in ("mysql", "mariadb")


# SQLite files: the order first, then the rows, a few at a time


def _order(connection: Connection, source: HistoryTable, start: Any) -> array[int]:
    session, key = _columns(source)
    query = _of(source, select(_rowid)).order_by(session, key)
    return array("q", connection.execute(query if start is None else query.where(session >= start)).scalars())


def _newest_order(connection: Connection, source: HistoryTable) -> tuple[array[int], array[int]]:
    session, key = _columns(source)
    query = _of(source, select(func.count(), func.max(key), _rowid))  # _rowid_ of the greatest key: SQLite promises it
    counts, order = array("q"), array("q")
    for count, _, rowid in _found(connection, query.group_by(session).order_by(session)):
        counts.append(count)
        order.append(rowid)
    return counts, order


def _page_at(
    connection: Connection, source: HistoryTable, order: Sequence[int], first: int
) -> tuple[Sequence[Row], int]:
    """Return a page of the rows that are still there, and where the next one begins."""
    page, size = list[Row](), 0
    while first < len(order) and not _is_full(page, size):
        wanted = order[first : first + _AT_ONCE]
        found = _rows_of(connection, source, wanted, source.values)
        page += [found[rowid] for rowid in wanted if rowid in found]
        size += sum(map(_size, found.values()))
        first += _AT_ONCE
    return page, first


def _rows_of(
    connection: Connection, source: HistoryTable, rowids: Sequence[int], values: Iterable[str]
) -> Mapping[int, Row]:
    query = _of(source, select(_rowid, *_columns(source), *map(_column, values)))
    return {row[0]: row[1:] for row in connection.execute(query.where(_rowid.in_(rowids)))}


def _found(connection: Connection, query: Select[Any]) -> Iterable[Row]:
    return connection.execute(query)


def _is_full(page: Sequence[Row], size: int) -> bool:
    return len(page) >= _ROWS or size >= _BYTES


def _size(row: Row) -> int:
    """Return about how many bytes a row holds."""
    return sum(len(value) if isinstance(value, str | bytes) else 500 for value in row)


def _of(source: HistoryTable, query: Select[*tuple[Any, ...]]) -> Select[Any]:
    """Return a query of the table's rows that are to be read."""
    schema, _, name = source.name.rpartition(".")
    query = query.select_from(table(name, schema=schema or None))
    if source.branches is None:
        return query
    row, branch = _column("message_id"), _column("branch_id")
    elsewhere = select(row).select_from(table(source.branches)).where(row.is_not(None)).group_by(row)
    return query.where(column(source.key).not_in(elsewhere.having(func.sum(case((branch == _MAIN, 1), else_=0)) == 0)))


def _column(name: str) -> ColumnClause[Any]:
    return column(name)


def _columns(source: HistoryTable) -> tuple[ColumnClause[Any], ColumnClause[Any]]:
    return column(source.session), column(source.key)
