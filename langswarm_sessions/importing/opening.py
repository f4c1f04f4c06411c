"""From a URL or a path to the source that is there, by looking at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.importing.checkpoints import CheckpointSource
from langswarm_sessions.importing.openai_agents import OpenAIAgentsSource
from langswarm_sessions.importing.redis_history import RedisChatHistorySource
from langswarm_sessions.importing.source import ImportSource
from langswarm_sessions.importing.sql_history import SQLChatHistorySource
from langswarm_sessions.importing.sql_tables import listed

__all__ = ["open_source"]

_REDIS = ("redis", "rediss", "valkey", "valkeys", "unix")
_OWN = "langswarm_sessions_schema"  # the table that tells the schema of our own databases


async def open_source(where: str, *, table: str | None = None, session_id_field: str | None = None) -> ImportSource:
    """Return the source that is at a URL or in a file.

    Args:
        where: A SQLAlchemy URL, the URL of a Redis server, or the path of a SQLite file.
        table: The table to read, where there are several (in Redis: the prefix of the keys).
        session_id_field: The column that names the conversation, where it is not "session_id".

    Returns:
        A SQLChatHistorySource, OpenAIAgentsSource, CheckpointSource or RedisChatHistorySource.

    Raises:
        ConfigurationError: There is nothing there, or nothing known, or more than one; the message says what is there.

    Example:
        >>> async def look():
        ...     source = await open_source("sqlite:///chat.db")
        ...     return await source.survey()
    """
    scheme, is_url, _ = where.partition("://")
    if is_url and scheme in _REDIS:
        return RedisChatHistorySource(where, key_prefix=table)
    url = where if is_url else _file_url(where)
    from langswarm_sessions.storage.foreign.database import ForeignDatabase

    database = ForeignDatabase(url)
    try:
        columns = await database.columns()
    finally:
        await database.close()
    return _fitting(url, columns, table=table, session_id_field=session_id_field, name=database.name)


def _fitting(
    url: str,
    columns: Mapping[str, Sequence[str]],
    *,
    table: str | None,
    session_id_field: str | None,
    name: str,
) -> ImportSource:
    field = session_id_field or "session_id"
    history = SQLChatHistorySource(url, table=table, session_id_field=field)
    if table is not None and table not in columns and "." in table:
        return history
    if table is not None and table not in columns:
        raise ConfigurationError(f"table: {name} has no table {table!r}. It has {listed(columns)}.")
    wanted = columns if table is None else {table: columns[table]}
    agents = OpenAIAgentsSource(url, table=table)
    found: dict[str, ImportSource] = {}
    for candidate, its_columns in wanted.items():
        if agents.layout(candidate, its_columns) is not None:
            found[candidate] = OpenAIAgentsSource(url, table=candidate)
        elif CheckpointSource.fits(candidate, its_columns) and _OWN not in columns:
            found[candidate] = CheckpointSource(url)
        elif history.layout(candidate, its_columns) is not None:
            found[candidate] = SQLChatHistorySource(url, table=candidate, session_id_field=field)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise ConfigurationError(f"{name} holds more than one source: {listed(found)}. Name one: table={min(found)!r}.")
    if _OWN in columns:
        raise ConfigurationError(f"{name} is a database of this library already: open it with storage=, or as --into.")
    raise ConfigurationError(
        f"{name} holds nothing that is known: no chat history, no OpenAI Agents session, no LangGraph checkpoints. It "
        f"has {listed(columns)}."
    )


def _file_url(path: str) -> str:
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ConfigurationError(f"There is no file {file}. Name a SQLite file, or give a URL.")
    return f"sqlite:///{quote(str(file))}"
