"""Tables that hold one message a row, under the id of its conversation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnClause, Connection, Select, TableClause, column, func, select, table

__all__ = ["HistoryTable", "count_rows", "newest_rows", "read_rows"]

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTable:
    """Where the rows of conversations are.

    Args:
        name: The table's, with its schema's and a point before it where it is not in the default one.
        session: The column that names the conversation.
        key: The column that orders its rows, and names each.
        values: The columns to read.
    """

    name: str
    session: str
    key: str
    values: tuple[str, ...]


def read_rows(connection: Connection, source: HistoryTable, start: Any) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield pages of rows (conversation, key, values...): those of a conversation together, oldest first.

    Args:
        connection: To the database.
        source: Which table.
        start: The conversation to begin with, as a row has it (None: the first).
    """
    session, key = _columns(source)
    columns: list[ColumnClause[Any]] = [session, key, *(column(name) for name in source.values)]
    query = _from(start, source, select(*columns)).order_by(session, key)
    with connection.execute(query.execution_options(stream_results=True)) as rows:
        while page := rows.fetchmany(_PAGE):
            yield page


def newest_rows(connection: Connection, source: HistoryTable) -> Iterator[Sequence[Sequence[Any]]]:
    """Yield pages of conversations (id, number of rows, key of the newest), in the order of `read_rows`."""
    session, key = _columns(source)
    query = select(session, func.count(), func.max(key)).select_from(_table(source)).group_by(session).order_by(session)
    with connection.execute(query.execution_options(stream_results=True)) as rows:
        while page := rows.fetchmany(_PAGE):
            yield page


def count_rows(connection: Connection, source: HistoryTable) -> tuple[int, int]:
    """Return how many conversations and how many rows there are."""
    session, _ = _columns(source)
    inner = select(session).select_from(_table(source)).distinct().subquery()
    sessions = connection.execute(select(func.count()).select_from(inner)).scalar_one()
    rows = connection.execute(select(func.count()).select_from(_table(source))).scalar_one()
    return sessions, rows


def _from(start: Any, source: HistoryTable, query: Select[Any]) -> Select[Any]:
    query = query.select_from(_table(source))
    return query if start is None else query.where(_columns(source)[0] >= start)


def _table(source: HistoryTable) -> TableClause:
    schema, _, name = source.name.rpartition(".")
    return table(name, schema=schema or None)


def _columns(source: HistoryTable) -> tuple[ColumnClause[Any], ColumnClause[Any]]:
    return column(source.session), column(source.key)
