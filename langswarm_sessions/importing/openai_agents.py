"""Sessions of the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.source import Assembler
from langswarm_sessions.importing.sql_tables import TableSource

if TYPE_CHECKING:
    from langswarm_sessions.storage.foreign.histories import HistoryTable

__all__ = ["OpenAIAgentsSource"]

_COLUMNS = ("id", "session_id", "message_data")
_TIME = "created_at"
_BRANCHES, _IN_BRANCH = "message_structure", ("message_id", "branch_id")


class OpenAIAgentsSource(TableSource):
    """The items of the OpenAI Agents SDK's `SQLiteSession`, or of its `SQLAlchemySession` in any database.

    Of an `AdvancedSQLiteSession` the branch "main" is read.

    What a response consists of (reasoning, texts, calls) becomes one message; each output of a tool becomes one. The
    items are kept whole, so that `langswarm_sessions_frameworks.AgentsSession` gives them back as they were.

    Args:
        url: The database's SQLAlchemy URL.
        table: The table of the items; None looks for it ("agent_messages", unless it was named otherwise).

    Raises:
        ConfigurationError: `url` is none.
        MissingDependencyError: The database's driver is not installed.

    Example:
        >>> source = OpenAIAgentsSource("sqlite:///agents.db")
    """

    kind = "OpenAI Agents session table"
    provider: ClassVar[str] = "framework"
    model: ClassVar[str] = "openai-agents"

    def layout(self, table: str, columns: Sequence[str]) -> HistoryTable | None:
        """Return how a table's rows are read; None when it is no table of this kind."""
        from langswarm_sessions.storage.foreign.histories import HistoryTable

        if columns and not {*_COLUMNS} <= {*columns}:
            return None
        values = ("message_data", _TIME) if _TIME in columns else ("message_data",)
        return HistoryTable(name=table, session="session_id", key="id", values=values)

    def completed(self, found: HistoryTable, tables: Mapping[str, Sequence[str]]) -> HistoryTable:
        """Return how the rows are read where an `AdvancedSQLiteSession` has branches of a conversation."""
        return replace(found, branches=_BRANCHES) if {*_IN_BRANCH} <= {*tables.get(_BRANCHES, ())} else found

    def notes(self, found: HistoryTable, columns: Sequence[str]) -> tuple[str, ...]:
        """Tell that of several branches one is read."""
        return () if found.branches is None else ("not imported: branches of a conversation other than 'main'",)

    def data_of(self, values: Mapping[str, Any]) -> Any:
        """Return the item."""
        return values["message_data"]

    def assembler(self) -> Assembler:
        """Return what makes messages of items."""
        return assembler_of("openai-agents")
