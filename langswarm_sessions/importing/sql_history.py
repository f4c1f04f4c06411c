"""Tables of LangChain's chat message histories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.source import Assembler
from langswarm_sessions.importing.sql_tables import TableSource

if TYPE_CHECKING:
    from langswarm_sessions.storage.foreign.histories import HistoryTable

__all__ = ["SQLChatHistorySource"]

_ID = "id"
_TIME = "created_at"
_KINDS = ("type", "role")


class SQLChatHistorySource(TableSource):
    """A table of LangChain's `SQLChatMessageHistory` or of langchain-postgres' `PostgresChatMessageHistory`.

    Tables of custom message converters are read, too, where they have a column `content` and one `type` or `role`;
    their other columns have no place in a session, and the report names them.

    Args:
        url: The database's SQLAlchemy URL.
        table: The table's name; None looks for the one table of this kind.
        session_id_field: The column that names the conversation.

    Raises:
        ConfigurationError: `url` is none.
        MissingDependencyError: The database's driver is not installed.

    Example:
        >>> source = SQLChatHistorySource("sqlite:///chat.db", table="message_store")
    """

    kind = "chat history table"

    def __init__(self, url: str, *, table: str | None = None, session_id_field: str = "session_id") -> None:
        super().__init__(url, table=table)
        self._session_id_field = session_id_field

    def layout(self, table: str, columns: Sequence[str]) -> HistoryTable | None:
        """Return how a table's rows are read; None when it is no table of this kind."""
        from langswarm_sessions.storage.foreign.histories import HistoryTable

        known = {*columns}
        if not known and "." in table:  # of another schema: taken at its word
            known = {_ID, self._session_id_field, "message"}
        if not {_ID, self._session_id_field} <= known:
            return None
        values = _values(known)
        if values is None:
            return None
        values = (*values, _TIME) if _TIME in known else values
        return HistoryTable(name=table, session=self._session_id_field, key=_ID, values=values)

    def notes(self, found: HistoryTable, columns: Sequence[str]) -> tuple[str, ...]:
        """Name the columns that are not read."""
        left = sorted({*columns} - {found.key, found.session, *found.values})
        return (f"not imported, for a session has no place for them: the columns {', '.join(left)}",) if left else ()

    def data_of(self, values: Mapping[str, Any]) -> Any:
        """Return the message as it is stored, or as a custom converter's columns tell it."""
        if "message" in values:
            return values["message"]
        kind = next(values[name] for name in _KINDS if name in values)
        return {"type": kind, "data": {"content": values["content"]}}

    def assembler(self) -> Assembler:
        """Return what makes messages of rows."""
        return assembler_of("langchain")


def _values(columns: set[str]) -> tuple[str, ...] | None:
    if "message" in columns:
        return ("message",)
    kinds = [name for name in _KINDS if name in columns]
    return (kinds[0], "content") if kinds and "content" in columns else None
