"""Sessions of the OpenAI Agents SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.importing.formats import assembler_of
from langswarm_sessions.importing.source import Assembler
from langswarm_sessions.importing.sql_tables import TableSource

if TYPE_CHECKING:
    from langswarm_sessions.storage.foreign.histories import HistoryTable

__all__ = ["OpenAIAgentsSource"]

_COLUMNS = ("id", "session_id", "message_data")
_TIME = "created_at"


class OpenAIAgentsSource(TableSource):
    """The items of the OpenAI Agents SDK's `SQLiteSession`, or of its `SQLAlchemySession` in any database.

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

    def data_of(self, values: Mapping[str, Any]) -> Any:
        """Return the item."""
        return values["message_data"]

    def assembler(self) -> Assembler:
        """Return what makes messages of items."""
        return assembler_of("openai-agents")
