"""A session as a BaseChatMessageHistory: sync and async, whole, in LangChain's own wrapper."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import pytest
from langchain_core._api import LangChainDeprecationWarning
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from langchain_core.tracers.run_collector import RunCollectorCallbackHandler

from langswarm_sessions import (
    ConfigurationError,
    InMemorySessionStorage,
    InvalidInputError,
    SessionManager,
    SessionMessage,
    SessionNotFoundError,
    StorageError,
    create_session_manager,
)
from langswarm_sessions.records import Finished, Lease
from langswarm_sessions_langchain import SessionChatMessageHistory, SessionRunnable
from tests.langchain.chains import Scripted, Unavailable, on, stored, told


def texts(messages: Sequence[BaseMessage]) -> list[tuple[str, str]]:
    return [(message.type, str(message.text)) for message in messages]


@pytest.fixture
def history(durable: SessionManager) -> SessionChatMessageHistory:
    return SessionChatMessageHistory(manager=durable, session_id="s")


async def test_any_manager_will_do_and_nothing_else() -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        history = SessionChatMessageHistory(manager=manager, session_id="s")
        await history.aadd_messages([HumanMessage("hi")])
        assert texts(await asyncio.to_thread(lambda: history.messages)) == [("human", "hi")]
    for wrong in (None, "sqlite", SessionManager):
        with pytest.raises(ConfigurationError, match="manager must be a SessionManager, not"):
            SessionChatMessageHistory(manager=wrong, session_id="s")  # type: ignore[arg-type]


def test_the_blocking_methods(history: SessionChatMessageHistory, durable: SessionManager) -> None:
    assert isinstance(history, BaseChatMessageHistory)
    assert history.messages == []
    history.add_messages([HumanMessage("hi"), AIMessage("hello", id="a1")])
    history.add_message(HumanMessage("more"))
    history.add_user_message("and more")
    history.add_ai_message("done")
    assert texts(history.messages) == [
        ("human", "hi"),
        ("ai", "hello"),
        ("human", "more"),
        ("human", "and more"),
        ("ai", "done"),
    ]
    assert str(history).startswith("Human: hi\nAI: hello")
    history.clear()
    assert history.messages == []
    history.add_messages([])
    session = durable.bridge.call(durable.get_session, "s")
    assert (session.user_id, session.provider, session.model) == ("user", "runnable", "runnable")


async def test_the_async_methods(history: SessionChatMessageHistory) -> None:
    assert await history.aget_messages() == []
    await history.aadd_messages([HumanMessage("hi", id="h1"), ToolMessage("42", tool_call_id="c", artifact=[1])])
    got = await history.aget_messages()
    assert got[0] == HumanMessage("hi", id="h1")
    assert isinstance(got[1], ToolMessage)
    assert got[1].artifact == [1]
    await history.aclear()
    assert await history.aget_messages() == []


async def test_the_blocking_methods_work_inside_a_running_loop(history: SessionChatMessageHistory) -> None:
    history.add_messages([HumanMessage("hi")])
    assert texts(history.messages) == texts(await history.aget_messages()) == [("human", "hi")]


def test_what_is_returned_is_the_callers_own(history: SessionChatMessageHistory) -> None:
    history.add_messages([HumanMessage("hi")])
    got = history.messages
    got[0].content = "changed"
    got.clear()
    assert texts(history.messages) == [("human", "hi")]


def test_many_threads_write_whole_lists(history: SessionChatMessageHistory) -> None:
    def write(at: int) -> None:
        history.add_messages([HumanMessage(f"q{at}"), AIMessage(f"a{at}")])

    threads = [threading.Thread(target=write, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = [str(message.text) for message in history.messages]
    assert sorted(said[::2]) == [f"q{at}" for at in range(8)]
    assert [text.replace("a", "q") for text in said[1::2]] == said[::2]


async def test_two_loops_one_after_the_other_use_one_history(history: SessionChatMessageHistory) -> None:
    await asyncio.to_thread(lambda: asyncio.run(history.aadd_messages([HumanMessage("one")])))
    await asyncio.to_thread(lambda: asyncio.run(history.aadd_messages([HumanMessage("two")])))
    assert texts(await history.aget_messages()) == [("human", "one"), ("human", "two")]


async def test_inputs_of_failed_turns_are_left_out(manager: SessionManager) -> None:
    chain = SessionRunnable(Scripted(script=["fine", Unavailable(), "again"]), manager=manager)
    await chain.ainvoke([SystemMessage("rules"), HumanMessage("one")], on("s"))
    with pytest.raises(Unavailable):
        await chain.ainvoke("two", on("s"))
    await chain.ainvoke("three", on("s"))
    history = SessionChatMessageHistory(manager=manager, session_id="s")
    assert texts(await history.aget_messages()) == [
        ("system", "rules"),
        ("human", "one"),
        ("ai", "fine"),
        ("human", "three"),
        ("ai", "again"),
    ]
    assert ("user", "two", "failed") in await told(manager, "s")


class FullStorage(InMemorySessionStorage):
    async def append_messages(
        self,
        session_id: str,
        messages: Sequence[SessionMessage],
        *,
        held: Lease | None = None,
        after_seq: int | None = None,
    ) -> Finished:
        raise StorageError("The disk is full; free some space.")


async def test_errors_are_raised() -> None:
    storage = FullStorage()
    async with create_session_manager(storage=storage) as manager:
        history = SessionChatMessageHistory(manager=manager, session_id="s")
        with pytest.raises(StorageError, match="disk is full"):
            await history.aadd_messages([HumanMessage("hi")])
    await storage.close()


async def test_whose_history_it_is(manager: SessionManager) -> None:
    hers = SessionChatMessageHistory(manager=manager, session_id="s", user_id="alice")
    await hers.aadd_messages([HumanMessage("hi")])
    assert (await manager.get_session("s")).user_id == "alice"
    with pytest.raises(SessionNotFoundError):
        await SessionChatMessageHistory(manager=manager, session_id="s", user_id="bob").aget_messages()
    anybody = SessionChatMessageHistory(manager=manager, session_id="s")
    assert texts(await anybody.aget_messages()) == [("human", "hi")]


@pytest.mark.parametrize("wrong", ["", " ", None, 3])
def test_a_history_needs_a_session_id(manager: SessionManager, wrong: str) -> None:
    with pytest.raises(InvalidInputError, match="session_id must be a non-empty string"):
        SessionChatMessageHistory(manager=manager, session_id=wrong)


# ---------------------------------------------------------------- in LangChain's own wrapper


def wrapped(manager: SessionManager, model: Scripted) -> RunnableWithMessageHistory:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])

    def get_session_history(session_id: str) -> SessionChatMessageHistory:
        return SessionChatMessageHistory(manager=manager, session_id=session_id)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainDeprecationWarning)  # of the wrapper, not of ours
        return RunnableWithMessageHistory(
            prompt | model,
            get_session_history,
            input_messages_key="question",
            history_messages_key="history",
        )


def test_it_works_in_the_wrapper(durable: SessionManager) -> None:
    model, runs = Scripted(), RunCollectorCallbackHandler()
    chain = wrapped(durable, model)
    for question in ("one", "two"):
        chain.invoke({"question": question}, {**on("s"), "callbacks": [runs]})
    assert list(chain.stream({"question": "three"}, on("s")))
    assert texts(model.asked[2]) == [
        ("human", "one"),
        ("ai", "answer 1"),
        ("human", "two"),
        ("ai", "answer 2"),
        ("human", "three"),
    ]
    kept = durable.bridge.call(stored, durable, "s")
    assert [message.content for message in kept][-2:] == ["three", "answer 3 "]
    assert [run.error for run in runs.traced_runs] == [None, None]


async def test_it_works_in_the_wrapper_async(durable: SessionManager) -> None:
    model, runs = Scripted(), RunCollectorCallbackHandler()
    chain = wrapped(durable, model)
    for question in ("one", "two"):
        await chain.ainvoke({"question": question}, {**on("s"), "callbacks": [runs]})
    assert texts(model.asked[1]) == [("human", "one"), ("ai", "answer 1"), ("human", "two")]
    assert len(await stored(durable, "s")) == 4


async def test_using_it_warns_of_nothing(manager: SessionManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "langswarm_sessions_langchain.history")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module: Any = import_module("langswarm_sessions_langchain.history")  # the class is made anew
        history = module.SessionChatMessageHistory(manager=manager, session_id="s")
        history.add_user_message("hi")
        assert len(history.messages) == len(await history.aget_messages()) == 1


def test_a_langchain_without_histories_is_named() -> None:
    program = """
import sys
sys.modules["langchain_core.chat_history"] = None
from langswarm_sessions_langchain import SessionRunnable, from_langchain
from langswarm_sessions import MissingDependencyError
try:
    from langswarm_sessions_langchain import SessionChatMessageHistory
except MissingDependencyError as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.startswith("SessionChatMessageHistory needs langchain-core 1.x"), ran.stderr
    assert "SessionRunnable" in ran.stdout
