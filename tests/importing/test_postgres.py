"""Tables in PostgreSQL: langchain-postgres' histories, LangGraph's checkpoints, langchain-community's tables."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from langchain_core.messages import HumanMessage
from langchain_postgres import PostgresChatMessageHistory
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import MessagesState  # pyright: ignore[reportMissingTypeStubs]
from psycopg import sql

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import StorageError
from langswarm_sessions.importing import CheckpointSource, SQLChatHistorySource
from langswarm_sessions.storage.foreign.database import ForeignDatabase
from tests.importing.test_checkpoints import DeltaState, answer, graph_of
from tests.importing.written import CONVERSATION, adds_up, as_langchain, sql_history, without_ids

pytestmark = [
    pytest.mark.accept,  # a server that root must be able to start as somebody else
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning"),
]


@pytest.fixture
def database(postgres_url: str) -> str:
    """The URL of a database of the test's own."""
    name = f"test_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return postgres_url.replace("/postgres?", f"/{name}?", 1)


async def test_langchain_postgres_histories_become_sessions(manager: SessionManager, database: str) -> None:
    first, second = sorted(str(uuid.uuid4()) for _ in range(2))
    with psycopg.connect(database) as connection:
        PostgresChatMessageHistory.create_tables(connection, "chats")
        for session_id in (first, second):
            PostgresChatMessageHistory("chats", session_id, sync_connection=connection).add_messages(list(CONVERSATION))
    began = datetime.now(UTC)
    report = await manager.import_from(database, user_id="ada")
    assert adds_up(report)
    assert (report.sessions_imported, report.messages_stored, report.is_complete) == (2, 12, True)
    assert without_ids(await as_langchain(manager, second)) == without_ids(CONVERSATION)
    assert (await manager.get_session(first)).created_at < began
    with psycopg.connect(database) as connection:
        history = PostgresChatMessageHistory("chats", second, sync_connection=connection)
        history.add_messages([HumanMessage("more")])
    grown = await manager.import_from(SQLChatHistorySource(database, table="chats"), user_id="ada", resume=True)
    assert (grown.messages_stored, grown.messages_already_there, grown.sessions_extended) == (1, 12, 1)
    qualified = SQLChatHistorySource(database.replace("postgresql://", "postgresql+asyncpg://"), table="public.chats")
    elsewhere = await manager.import_from(qualified, user_id="ada", session_prefix="again-")
    assert elsewhere.messages_stored == 13


@pytest.mark.parametrize("state", [MessagesState, DeltaState])
async def test_checkpoints_become_sessions(manager: SessionManager, database: str, state: type[Any]) -> None:
    with PostgresSaver.from_conn_string(database) as saver:
        saver.setup()
        graph = graph_of(answer, state, saver)
        config: Any = {"configurable": {"thread_id": "rome"}}
        for number in range(5):
            graph.invoke({"messages": [("user", f"q{number}")]}, config)
        messages = graph.get_state(config).values["messages"]
    report = await manager.import_from(CheckpointSource(database), user_id="ada")
    assert (report.messages_stored, report.is_complete) == (25, True)
    assert await as_langchain(manager, "rome") == messages
    assert (await manager.import_from(database, user_id="ada")).messages_already_there == 25


async def test_a_table_of_langchain_community_is_read_in_any_database(manager: SessionManager, database: str) -> None:
    url = database.replace("postgresql://", "postgresql+psycopg://")
    history = sql_history(url, "rome")
    history.add_messages(list(CONVERSATION))
    history.engine.dispose()
    assert (await manager.import_from(url, user_id="ada")).messages_stored == 6


async def test_rows_of_no_conversation_are_told_also_when_it_resumes(manager: SessionManager, database: str) -> None:
    """PostgreSQL sorts NULL last."""
    url = database.replace("postgresql://", "postgresql+psycopg://")
    history = sql_history(url, "rome")
    history.add_messages(list(CONVERSATION))
    history.engine.dispose()
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO message_store (session_id, message) SELECT NULL, message FROM message_store")
    for stored in (6, 0):
        report = await manager.import_from(url, user_id="ada", resume=True)
        assert adds_up(report)
        assert (report.messages_read, report.messages_refused, report.messages_stored) == (12, 6, stored)


async def test_nothing_can_be_written_to_a_source(database: str) -> None:
    source = ForeignDatabase(database)
    try:
        with pytest.raises(StorageError) as refused:
            await source.read(lambda connection: connection.exec_driver_sql("CREATE TABLE t (a int)"))
        assert "read-only" in str(refused.value.__cause__)
    finally:
        await source.close()
