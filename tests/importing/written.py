"""What people have: stores written by the libraries whose stores they are."""

from __future__ import annotations

import hashlib
import importlib
import sqlite3
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langswarm_sessions import SessionManager
from langswarm_sessions.importing import ImportReport
from langswarm_sessions_langchain import SessionChatMessageHistory

CONVERSATION: tuple[BaseMessage, ...] = (
    SystemMessage("Be brief."),
    HumanMessage("Weather in Rome and Oslo?", name="ada"),
    AIMessage(
        "",
        id="run-1",
        tool_calls=[
            {"name": "weather", "args": {"city": "Rome"}, "id": "call-1"},
            {"name": "weather", "args": {"city": "Oslo"}, "id": "call-2"},
        ],
        usage_metadata={"input_tokens": 5, "output_tokens": 2, "total_tokens": 7},
        response_metadata={"model_name": "gpt-5", "finish_reason": "tool_calls"},
    ),
    ToolMessage("sun ☀", tool_call_id="call-1", name="weather"),
    ToolMessage("no such city", tool_call_id="call-2", status="error", artifact={"code": 404}),
    AIMessage([{"type": "text", "text": "Sunny in Rome."}], id="run-2"),
)
"""A conversation with whatever can be lost."""


def sql_history(url: str, session_id: str, **options: Any) -> Any:
    """Return a history of langchain-community, as its users make one."""
    histories: Any = quietly(lambda: importlib.import_module("langchain_community.chat_message_histories"))
    return histories.SQLChatMessageHistory(session_id, connection=url, **options)


def write_table(path: str, conversations: Mapping[str, Iterable[BaseMessage]], **options: Any) -> None:
    """Write conversations with langchain-community's SQLChatMessageHistory."""
    for session_id, messages in conversations.items():
        history = sql_history(f"sqlite:///{path}", session_id, **options)
        history.add_messages(list(messages))
        history.engine.dispose()


def write_rows(path: str, rows: Iterable[tuple[str | None, str]]) -> None:
    """Write rows as they are into the table of SQLChatMessageHistory."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS message_store (id INTEGER PRIMARY KEY, session_id, message)")
        database.executemany("INSERT INTO message_store (session_id, message) VALUES (?, ?)", rows)


async def as_langchain(manager: SessionManager, session_id: str) -> Sequence[BaseMessage]:
    """Return a session's messages as LangChain reads them."""
    return await SessionChatMessageHistory(manager=manager, session_id=session_id).aget_messages()


def without_ids(messages: Iterable[BaseMessage]) -> Sequence[Mapping[str, Any]]:
    """Return messages as dicts, without the ids of those that had none."""
    found = [message.model_dump() for message in messages]
    for told in found:
        if not str(told["id"]).startswith("run-"):
            told["id"] = None
    return found


def adds_up(report: ImportReport) -> bool:
    """Whether a report's numbers do."""
    sessions = (
        report.sessions_imported + report.sessions_extended + report.sessions_already_there + report.sessions_skipped
    )
    messages = report.messages_stored + report.messages_already_there + report.messages_refused
    return (report.sessions_found, report.messages_read) == (sessions, messages)


def digests(folder: Path = Path()) -> Mapping[str, str]:
    """Return the digest of every file of a folder but our own database."""
    files = [file for file in folder.iterdir() if file.is_file() and not file.name.startswith("ours.db")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def connected(url: str) -> Any:
    """Return a client of a server that speaks Redis' protocol, the version langchain-redis' search understands."""
    from redis import Redis

    client: Any = Redis
    return client.from_url(url, protocol=2)


def quietly(work: Callable[[], Any]) -> Any:
    """Do something without the warnings of a library that is on its way out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work()
