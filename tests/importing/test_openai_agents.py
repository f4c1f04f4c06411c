"""Databases of the OpenAI Agents SDK's SQLiteSession, written by it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from agents import TResponseInputItem
from agents.extensions.memory import AdvancedSQLiteSession, SQLAlchemySession
from agents.memory import SQLiteSession
from sqlalchemy.ext.asyncio import create_async_engine

from langswarm_sessions import SessionManager
from langswarm_sessions.importing import OpenAIAgentsSource
from langswarm_sessions.messages import ReasoningPart, TextPart
from langswarm_sessions_frameworks import AgentsSession
from tests.importing.written import adds_up, digests

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Weather in Rome and Oslo?"},
    {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "Two cities."}],
        "encrypted_content": "sealed",
    },
    {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'},
    {"type": "function_call", "id": "fc_2", "call_id": "c2", "name": "weather", "arguments": '{"city": "Oslo"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "sun"},
    {"type": "function_call_output", "call_id": "c2", "output": "rain"},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Sunny in Rome.", "annotations": []}],
    },
    {"role": "user", "content": [{"type": "input_text", "text": "Thanks"}]},
]


async def write(session_id: str, items: list[dict[str, Any]]) -> None:
    """Write items with the SDK."""
    session = SQLiteSession(session_id, "agents.db")
    try:
        await session.add_items(cast("list[TResponseInputItem]", items))
    finally:
        session.close()


async def test_items_become_messages_and_are_given_back_as_they_were(manager: SessionManager) -> None:
    await write("rome", ITEMS)
    before = digests()
    report = await manager.import_from("agents.db", user_id="ada")
    assert digests() == before
    assert adds_up(report)
    assert (report.messages_read, report.messages_stored, report.is_complete) == (8, 8, True)
    session = await manager.get_session("rome")
    assert (session.provider, session.model) == ("framework", "openai-agents")
    stored = await session.get_messages()
    assert [message.role for message in stored] == ["user", "assistant", "tool", "tool", "assistant", "user"]
    answer = stored[1]
    assert [part for part in answer.parts if isinstance(part, ReasoningPart)] == [ReasoningPart(text="Two cities.")]
    assert [(call.id, call.arguments) for call in answer.tool_calls] == [
        ("c1", {"city": "Rome"}),
        ("c2", {"city": "Oslo"}),
    ]
    assert [message.tool_results[0].tool_call_id for message in stored[2:4]] == ["c1", "c2"]
    assert stored[4].parts == [TextPart("Sunny in Rome.")]
    assert stored[4].provider_message_id == "msg_1"
    given_back = await AgentsSession("rome", manager=manager, user_id="ada").get_items()
    assert given_back == ITEMS


async def test_what_the_agent_added_since_is_appended(manager: SessionManager) -> None:
    """Also where the import came between two items of one response."""
    for start, end in ((0, 3), (3, 3), (3, 5), (5, 8)):
        await write("rome", ITEMS[start:end])
        report = await manager.import_from("agents.db", user_id="ada")
        assert report.messages_read == end
        assert adds_up(report)
    assert await AgentsSession("rome", manager=manager, user_id="ada").get_items() == ITEMS
    assert (await manager.import_from("agents.db", user_id="ada")).messages_already_there == 8


async def test_times_are_those_of_the_rows_and_keep_the_order(manager: SessionManager) -> None:
    await write("rome", ITEMS)
    with closing(sqlite3.connect("agents.db")) as database, database:
        database.execute("UPDATE agent_messages SET created_at = '2025-01-02 03:04:05'")
    await manager.import_from("agents.db", user_id="ada")
    session = await manager.get_session("rome")
    times = [message.timestamp for message in await session.get_messages()]
    first = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert times == [first + timedelta(microseconds=at) for at in range(6)]
    assert (session.created_at, session.last_activity) == (first, times[-1])
    assert await manager.cleanup_inactive_sessions(30) == 1


async def test_rows_that_are_no_items_are_told(manager: SessionManager) -> None:
    await write("rome", ITEMS[:2])
    with closing(sqlite3.connect("agents.db")) as database, database:
        for data in ("{", '{"__enc__": 1, "payload": "sealed"}', '{"neither": 1}', '{"type": "message"}', "[]"):
            database.execute("INSERT INTO agent_messages (session_id, message_data) VALUES ('rome', ?)", [data])
    await write("rome", ITEMS[2:])
    report = await manager.import_from("agents.db", user_id="ada")
    assert adds_up(report)
    assert {problem.row for problem in report.problems} == {"3", "4", "5", "6", "7"}
    assert "encrypted" in next(problem.reason for problem in report.problems if problem.row == "4")
    assert await AgentsSession("rome", manager=manager, user_id="ada").get_items() == ITEMS


async def test_a_table_of_another_name_is_found(manager: SessionManager) -> None:
    session = SQLiteSession("rome", "agents.db", sessions_table="s", messages_table="kept")
    await session.add_items(cast("list[TResponseInputItem]", ITEMS))
    session.close()
    assert (await manager.import_from("agents.db", user_id="ada")).messages_stored == 8
    source = OpenAIAgentsSource("sqlite:///agents.db", table="kept")
    assert (await manager.import_from(source, user_id="ada")).messages_already_there == 8
    assert json.dumps(ITEMS[1]) not in repr(source)


async def test_of_branches_the_main_one_is_read(manager: SessionManager) -> None:
    session = AdvancedSQLiteSession(session_id="rome", db_path="agents.db", create_tables=True)
    try:
        await session.add_items(cast("list[TResponseInputItem]", ITEMS))
        await session.create_branch_from_turn(2, "other")
        await session.add_items([{"role": "user", "content": "Only in the other branch"}])
        await session.switch_to_branch("main")
        await session.add_items([{"role": "user", "content": "Later"}])
        expected = await session.get_items()
    finally:
        session.close()
    await write("plain", ITEMS)
    report = await manager.import_from("agents.db", user_id="ada")
    assert adds_up(report)
    assert report.is_complete
    assert "branches" in report.notes[0]
    assert await AgentsSession("rome", manager=manager, user_id="ada").get_items() == expected
    assert await AgentsSession("plain", manager=manager, user_id="ada").get_items() == ITEMS
    again = await manager.import_from("agents.db", user_id="ada", resume=True)
    assert again.messages_already_there == report.messages_read


async def test_a_session_of_sqlalchemy_is_read(manager: SessionManager) -> None:
    engine = create_async_engine("sqlite+aiosqlite:///agents.db")
    session = SQLAlchemySession("rome", engine=engine, create_tables=True)
    await session.add_items(cast("list[TResponseInputItem]", ITEMS))
    await engine.dispose()
    report = await manager.import_from("sqlite+aiosqlite:///agents.db", user_id="ada")
    assert (report.messages_stored, report.is_complete) == (8, True)
    assert await AgentsSession("rome", manager=manager, user_id="ada").get_items() == ITEMS
