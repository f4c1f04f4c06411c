"""Tables of LangChain's SQLChatMessageHistory, written by it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, message_to_dict
from sqlalchemy import Column, DateTime, Integer, Text
from sqlalchemy.orm import declarative_base

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import ConfigurationError, ImportFormatError
from langswarm_sessions.importing import SQLChatHistorySource
from langswarm_sessions_langchain import SessionRunnable
from tests.importing.written import (
    CONVERSATION,
    adds_up,
    as_langchain,
    digests,
    sql_history,
    without_ids,
    write_rows,
    write_table,
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


async def test_a_table_becomes_sessions_and_stays_as_it_is(manager: SessionManager) -> None:
    write_table("chat.db", {"rome": CONVERSATION, "oslo": CONVERSATION[:2]})
    before = digests()
    report = await manager.import_from("sqlite:///chat.db", user_id="ada")
    assert digests() == before
    assert (report.sessions_found, report.sessions_imported, report.messages_stored) == (2, 2, 8)
    assert adds_up(report)
    assert report.is_complete
    assert without_ids(await as_langchain(manager, "rome")) == without_ids(CONVERSATION)
    session = await manager.get_session("rome")
    assert (session.user_id, session.provider, session.message_count) == ("ada", "runnable", 6)
    stored = await session.get_messages()
    assert [message.role for message in stored] == ["system", "user", "assistant", "tool", "tool", "assistant"]
    assert [call.id for call in stored[2].tool_calls] == [result.tool_results[0].tool_call_id for result in stored[3:5]]
    assert stored[2].message_id == "run-1"
    assert stored[2].provider_metadata["usage"]["total_tokens"] == 7


async def test_a_chain_goes_on_where_its_table_ended(manager: SessionManager) -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    await manager.import_from("chat.db", user_id="ada")
    seen: list[list[BaseMessage]] = []

    def answer(messages: list[BaseMessage]) -> AIMessage:
        seen.append(messages)
        return AIMessage("done")

    from langchain_core.runnables import RunnableLambda

    chain = SessionRunnable(RunnableLambda(answer), manager=manager)
    await chain.ainvoke([HumanMessage("and now?")], {"configurable": {"session_id": "rome", "user_id": "ada"}})
    assert [message.text for message in seen[0]] == [*(message.text for message in CONVERSATION), "and now?"]


async def test_an_import_is_done_once_and_brings_what_was_added(manager: SessionManager) -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    await manager.import_from("chat.db", user_id="ada")
    again = await manager.import_from("chat.db", user_id="ada")
    assert (again.sessions_already_there, again.messages_already_there, again.messages_stored) == (1, 6, 0)
    write_table("chat.db", {"rome": [HumanMessage("more")], "new": [HumanMessage("hi")]})
    for resume in (True, False):
        grown = await manager.import_from("chat.db", user_id="ada", resume=resume)
        assert adds_up(grown)
        assert grown.messages_read == 8
        assert (grown.sessions_extended, grown.sessions_imported, grown.messages_stored) == (
            (1, 1, 2) if resume else (0, 0, 0)
        )
    assert [message.text for message in await as_langchain(manager, "rome")][-2:] == ["Sunny in Rome.", "more"]
    assert (await manager.get_session("rome")).message_count == 7


async def test_resuming_reads_no_conversation_that_is_there_whole(manager: SessionManager) -> None:
    write_table("chat.db", dict.fromkeys("abcd", CONVERSATION))
    await manager.import_from("chat.db", user_id="ada")
    write_table("chat.db", {"c": [HumanMessage("more")]})
    with closing(sqlite3.connect("chat.db")) as database, database:  # would be refused, were they read
        database.execute("UPDATE message_store SET message = 'broken' WHERE session_id IN ('a', 'b')")
    report = await manager.import_from("chat.db", user_id="ada", resume=True)
    assert (report.sessions_already_there, report.sessions_extended, report.messages_stored) == (3, 1, 1)
    assert (report.messages_read, report.messages_refused) == (25, 0)
    assert adds_up(report)
    thorough = await manager.import_from("chat.db", user_id="ada")
    assert (thorough.messages_refused, thorough.messages_already_there) == (12, 13)
    assert "not what was imported" in thorough.problems[0].reason


async def test_resuming_tells_again_what_was_refused(manager: SessionManager) -> None:
    good = json.dumps(message_to_dict(HumanMessage("hi")))
    write_rows("chat.db", [("a", good), ("a", "{"), ("a", good), ("b", good)])
    for stored in (3, 0):
        report = await manager.import_from("chat.db", user_id="ada", resume=True)
        assert adds_up(report)
        assert (report.messages_stored, report.messages_refused, report.is_complete) == (stored, 1, False)


async def test_a_dry_run_tells_the_same_and_stores_nothing(manager: SessionManager) -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    write_rows("chat.db", [("rome", "{"), ("oslo", json.dumps(message_to_dict(HumanMessage("hi"))))])
    dry = await manager.import_from("chat.db", user_id="ada", dry_run=True)
    assert not await manager.get_user_sessions("ada")
    real = await manager.import_from("chat.db", user_id="ada")
    assert dry.dry_run
    assert {**dry.to_json(), "dry_run": False} == real.to_json()
    assert (real.messages_stored, real.messages_refused) == (7, 1)


async def test_a_row_that_cannot_be_read_is_told_and_passed_by(manager: SessionManager) -> None:
    good = json.dumps(message_to_dict(HumanMessage("secret words")))
    half = json.dumps(message_to_dict(HumanMessage("secret \ud800")))
    write_rows(
        "chat.db",
        [("a", good), ("a", "secret {"), ("a", '["secret"]'), ("a", '{"type": "human", "data": {"content": 5}}')],
    )
    write_rows("chat.db", [("a", half), ("a", good), (None, good), ("", good), ("b", '{"secret": 1}')])
    report = await manager.import_from("chat.db", user_id="ada")
    assert adds_up(report)
    assert (report.messages_read, report.messages_stored, report.messages_refused) == (9, 2, 7)
    assert (report.sessions_imported, report.sessions_skipped) == (1, 2)
    told = {(problem.session_id, problem.row): problem.reason for problem in report.problems}
    assert {row for session, row in told if session == "a"} == {"2", "3", "4", "5"}
    assert "surrogate" in told["a", "5"]
    assert told["b", None] == "none of its messages could be imported"
    assert "non-empty" in told["", None]
    assert "secret" not in str(report.to_json())
    assert len(await as_langchain(manager, "a")) == 2


async def test_a_row_that_is_no_text_is_told_and_passed_by(manager: SessionManager) -> None:
    good = json.dumps(
        message_to_dict(
            HumanMessage("caf\u00e9"),
        ),
        ensure_ascii=False,
    )
    odd: list[Any] = [
        good.encode("latin-1").decode("latin-1"),
        None,
        5,
        good.encode(),
        '{"lc": 1, "id": [], "kwargs": {}}',
        '{"type": "remove", "data": {"tool_calls": 5}}',
        "[" * 100_000,
    ]
    write_rows("chat.db", [("a", row) for row in odd])
    with closing(sqlite3.connect("chat.db")) as database, database:
        database.execute("UPDATE message_store SET message = CAST(? AS TEXT) WHERE id = 1", [good.encode("latin-1")])
        database.execute("INSERT INTO message_store (session_id, message) SELECT CAST(x'61ff' AS TEXT), ?", [good])
    report = await manager.import_from("chat.db", user_id="ada")
    assert adds_up(report)
    assert (report.messages_read, report.messages_stored, report.messages_refused) == (8, 2, 6)
    reasons = {problem.row: problem.reason for problem in report.problems}
    assert reasons["1"] == "it is not UTF-8 text"
    assert set(reasons) == {"1", "2", "3", "5", "6", "7"}
    assert [message.text for message in await as_langchain(manager, "a")] == ["caf\u00e9"]
    assert [message.text for message in await as_langchain(manager, "a\\udcff")] == ["caf\u00e9"]


async def test_a_strict_import_stops_at_the_first_row_that_cannot_be_read(manager: SessionManager) -> None:
    good = json.dumps(message_to_dict(HumanMessage("secret")))
    write_rows("chat.db", [("a", good), ("b", good), ("b", "secret {"), ("c", good)])
    with pytest.raises(
        ImportFormatError, match=r"^conversation 'b', row 3: it is not JSON\. Without strict"
    ) as refused:
        await manager.import_from("chat.db", user_id="ada", strict=True)
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert [session.session_id for session in await manager.get_user_sessions("ada")] == ["a"]


async def test_whatever_histories_keep_is_read(manager: SessionManager) -> None:
    """Streamed chunks, fields of old versions, the constructor form, a dict of an API."""
    chunk = message_to_dict(AIMessageChunk(content="streamed", id="run-9"))
    old: dict[str, Any] = {"type": "human", "data": {"content": "old", "additional_kwargs": {}, "example": False}}
    made: dict[str, Any] = {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": "made"},
    }
    write_rows(
        "chat.db", [("a", json.dumps(told)) for told in (chunk, old, made, {"role": "user", "content": "plain"})]
    )
    report = await manager.import_from("chat.db", user_id="ada")
    assert report.is_complete, report
    read = await as_langchain(manager, "a")
    assert [(message.type, message.text) for message in read] == [
        ("ai", "streamed"),
        ("human", "old"),
        ("ai", "made"),
        ("human", "plain"),
    ]


async def test_ids_that_are_taken_are_kept_as_the_providers(manager: SessionManager) -> None:
    write_table(
        "chat.db",
        {"a": [AIMessage("one", id="run-1"), AIMessage("two", id="run-1")], "b": [AIMessage("three", id="run-1")]},
    )
    report = await manager.import_from("chat.db", user_id="ada")
    assert report.messages_stored == 3
    ours = [message for name in "ab" for message in await (await manager.get_session(name)).get_messages()]
    assert [message.provider_message_id for message in ours] == ["run-1"] * 3
    assert [message.message_id == "run-1" for message in ours] == [True, False, False]
    assert [message.id for message in await as_langchain(manager, "a")] == ["run-1", "run-1"]
    assert (await manager.import_from("chat.db", user_id="ada")).messages_already_there == 3


async def test_other_tables_and_columns_are_found(manager: SessionManager) -> None:
    base = declarative_base()

    class Kept(base):  # type: ignore[misc,valid-type]
        __tablename__ = "kept"
        id = Column(Integer, primary_key=True)
        thread = Column(Text)
        message = Column(Text)

    class Converter:
        def from_sql_model(self, sql_message: Any) -> BaseMessage:
            raise AssertionError

        def to_sql_model(self, message: BaseMessage, session_id: str) -> Any:
            return Kept(thread=session_id, message=json.dumps(message_to_dict(message)))

        def get_sql_model_class(self) -> Any:
            return Kept

    history = sql_history(
        "sqlite:///chat.db", "t", session_id_field_name="thread", custom_message_converter=Converter()
    )
    history.add_messages(list(CONVERSATION))
    history.engine.dispose()
    with pytest.raises(ConfigurationError, match="nothing that is known"):
        await manager.import_from("chat.db", user_id="ada")
    source = SQLChatHistorySource("sqlite:///chat.db", session_id_field="thread")
    report = await manager.import_from(source, user_id="ada")
    assert (report.messages_stored, report.source.split()[3]) == (6, "kept")
    assert without_ids(await as_langchain(manager, "t")) == without_ids(CONVERSATION)


async def test_a_custom_converters_table_is_read_as_far_as_it_goes_and_the_loss_told(manager: SessionManager) -> None:
    """The table of the custom converter in langchain-community's own documentation."""
    base = declarative_base()

    class Custom(base):  # type: ignore[misc,valid-type]
        __tablename__ = "custom_message_store"
        id = Column(Integer, primary_key=True, autoincrement=True)
        session_id = Column(Text)
        type = Column(Text)
        content = Column(Text)
        created_at = Column(DateTime)
        author_email = Column(Text)

    class Converter:
        def to_sql_model(self, message: BaseMessage, session_id: str) -> Any:
            moment = datetime(2025, 1, 2, 3, 4, 5)
            email = message.additional_kwargs.get("author_email")
            return Custom(
                session_id=session_id, type=message.type, content=message.content, created_at=moment, author_email=email
            )

        def get_sql_model_class(self) -> Any:
            return Custom

    history = sql_history("sqlite:///chat.db", "a", custom_message_converter=Converter())
    history.add_messages([HumanMessage("hi", additional_kwargs={"author_email": "a@b"}), AIMessage("hello")])
    history.engine.dispose()
    report = await manager.import_from("chat.db", user_id="ada")
    assert report.messages_stored == 2
    assert report.notes == ("not imported, for a session has no place for them: the columns author_email",)
    stored = await (await manager.get_session("a")).get_messages()
    assert [message.content for message in stored] == ["hi", "hello"]
    assert stored[0].timestamp == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert stored[1].timestamp > stored[0].timestamp


async def test_of_two_tables_one_must_be_named(manager: SessionManager) -> None:
    write_table("chat.db", {"a": [HumanMessage("one")]}, table_name="first")
    write_table("chat.db", {"a": [HumanMessage("two")]}, table_name="second")
    with pytest.raises(ConfigurationError, match="more than one source: first, second"):
        await manager.import_from("chat.db", user_id="ada")
    with pytest.raises(ConfigurationError, match=r"no chat history table 'third'.*first, second"):
        await manager.import_from(SQLChatHistorySource("sqlite:///chat.db", table="third"), user_id="ada")
    await manager.import_from(SQLChatHistorySource("sqlite:///chat.db", table="second"), user_id="ada")
    assert [message.text for message in await as_langchain(manager, "a")] == ["two"]
