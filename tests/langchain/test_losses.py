"""What RunnableWithMessageHistory loses, shown, and that SessionRunnable does not lose it."""

from __future__ import annotations

import asyncio
import logging
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core._api import LangChainDeprecationWarning
from langchain_core.chat_history import BaseChatMessageHistory, InMemoryChatMessageHistory
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ChatMessage, FunctionMessage, HumanMessage
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory

from langswarm_sessions import (
    InMemorySessionStorage,
    InvalidInputError,
    SessionManager,
    SessionNotFoundError,
    StorageError,
    create_session_manager,
)
from langswarm_sessions.records import Finished, FinishTurn
from langswarm_sessions_langchain import SessionRunnable, to_langchain
from tests.langchain.chains import Scripted, Unavailable, on, stored, told

Chain = Runnable[Any, Any]


class Theirs:
    """RunnableWithMessageHistory over LangChain's own history, its deprecation notices silenced."""

    def __init__(self) -> None:
        self.histories: dict[Any, BaseChatMessageHistory] = {}
        self.make: Callable[[], BaseChatMessageHistory] = InMemoryChatMessageHistory

    def wrap(self, bound: Chain, **keys: Any) -> RunnableWithMessageHistory:
        return RunnableWithMessageHistory(bound, self.history, **keys)

    def history(self, session_id: str) -> BaseChatMessageHistory:
        if session_id not in self.histories:
            self.histories[session_id] = self.make()
        return self.histories[session_id]

    def kept(self, session_id: Any = "s") -> list[BaseMessage]:
        return list(self.history(session_id).messages)


@pytest.fixture
def theirs() -> Iterator[Theirs]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LangChainDeprecationWarning)
        yield Theirs()


async def ours(manager: SessionManager) -> list[BaseMessage]:
    return [to_langchain(message) for message in await stored(manager, "s")]


# ---------------------------------------------------------------- a stream that was read to its end


async def test_they_keep_a_chunk_for_an_answer(theirs: Theirs) -> None:
    chain = theirs.wrap(Scripted(script=["one two"]))
    assert [chunk.content async for chunk in chain.astream([HumanMessage("hi")], on("s"))]
    assert type(theirs.kept()[-1]) is AIMessageChunk


async def test_we_keep_the_answer(manager: SessionManager) -> None:
    chain = SessionRunnable(Scripted(script=["one two"]), manager=manager)
    assert [chunk.content async for chunk in chain.astream([HumanMessage("hi")], on("s"))]
    assert [(type(message), message.text) for message in await ours(manager)] == [
        (HumanMessage, "hi"),
        (AIMessage, "one two "),
    ]


# ---------------------------------------------------------------- a turn that did not come to its end


async def break_off(chain: Chain) -> None:
    stream: Any = chain.astream([HumanMessage("hi")], on("s"))
    async for _ in stream:
        break
    await stream.aclose()


async def cancel(chain: Chain) -> None:
    first = asyncio.Event()

    async def read() -> None:
        async for _ in chain.astream([HumanMessage("hi")], on("s")):
            first.set()

    reading = asyncio.create_task(read())
    await first.wait()
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def one_word(inputs: AsyncIterator[Any]) -> AsyncIterator[str]:
    async for _ in inputs:
        yield "one "
    await asyncio.Event().wait()


async def fail(chain: Chain) -> None:
    with pytest.raises(Unavailable):
        await chain.ainvoke([HumanMessage("hi")], on("s"))


UNFINISHED = [
    (break_off, Scripted(script=["one two"]), [("user", "hi", "interrupted"), ("assistant", "one ", "interrupted")]),
    (cancel, RunnableGenerator(one_word), [("user", "hi", "interrupted"), ("assistant", "one ", "interrupted")]),
    (fail, Scripted(script=[Unavailable()]), [("user", "hi", "failed")]),
]


@pytest.mark.parametrize(("end", "bound", "expected"), UNFINISHED)
async def test_they_lose_a_turn_that_did_not_end(theirs: Theirs, end: Any, bound: Chain, expected: Any) -> None:
    await end(theirs.wrap(bound))
    assert theirs.kept() == []


@pytest.mark.parametrize(("end", "bound", "expected"), UNFINISHED)
async def test_we_keep_a_turn_that_did_not_end(manager: SessionManager, end: Any, bound: Chain, expected: Any) -> None:
    await end(SessionRunnable(bound, manager=manager))
    assert await told(manager, "s") == expected


# ---------------------------------------------------------------- a storage that fails


class FullHistory(InMemoryChatMessageHistory):
    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        raise OSError("disk full")

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        raise OSError("disk full")


class FullStorage(InMemorySessionStorage):
    async def finish_turn(self, finish: FinishTurn) -> Finished:
        raise StorageError("The disk is full; free some space.")


async def test_they_answer_although_nothing_was_kept(theirs: Theirs, caplog: pytest.LogCaptureFixture) -> None:
    theirs.make = FullHistory
    with caplog.at_level(logging.CRITICAL):
        answer = await theirs.wrap(Scripted()).ainvoke([HumanMessage("hi")], on("s"))
    assert answer.text == "answer 1"
    assert theirs.kept() == []


async def test_we_raise_when_nothing_was_kept() -> None:
    storage = FullStorage()
    async with create_session_manager(storage=storage) as manager:
        with pytest.raises(StorageError, match="disk is full"):
            await SessionRunnable(Scripted(), manager=manager).ainvoke("hi", on("s"))
    await storage.close()


# ---------------------------------------------------------------- turns at once


async def test_they_lose_inputs_of_turns_at_once(theirs: Theirs) -> None:
    everybody = asyncio.Barrier(4)

    async def answer(messages: list[BaseMessage]) -> AIMessage:
        await everybody.wait()
        return AIMessage(f"to {messages[-1].text}")

    chain = theirs.wrap(RunnableLambda(answer))
    await asyncio.gather(*(chain.ainvoke([HumanMessage(f"q{at}")], on("s")) for at in range(4)))
    kinds = [message.type for message in theirs.kept()]
    assert (kinds.count("ai"), kinds.count("human")) == (4, 1)


async def test_we_keep_ordered_pairs_of_sixteen_turns_at_once(durable: SessionManager) -> None:
    chain = SessionRunnable(RunnableLambda(lambda messages: AIMessage(f"to {messages[-1].text}")), manager=durable)
    await asyncio.gather(*(chain.ainvoke([HumanMessage(f"q{at}")], on("s")) for at in range(16)))
    said = [message.text for message in await ours(durable)]
    assert sorted(said[::2]) == sorted(f"q{at}" for at in range(16))
    assert said[1::2] == [f"to {question}" for question in said[::2]]


def test_we_keep_ordered_pairs_of_a_batch(manager: SessionManager) -> None:
    chain = SessionRunnable(RunnableLambda(lambda messages: AIMessage(f"to {messages[-1].text}")), manager=manager)
    chain.batch([[HumanMessage(f"q{at}")] for at in range(16)], on("s"))
    said = [message.content for message in manager.bridge.call(stored, manager, "s")]
    assert sorted(said[::2]) == sorted(f"q{at}" for at in range(16))
    assert said[1::2] == [f"to {question}" for question in said[::2]]


# ---------------------------------------------------------------- a graph that returns its whole state


def graph(given: Any) -> dict[str, Any]:
    state: dict[str, list[BaseMessage]] = given if hasattr(given, "keys") else {"messages": given}
    messages = state["messages"]
    return {"messages": [*messages, AIMessage(f"answer to {messages[-1].text}", id=f"answer-{len(messages)}")]}


async def test_they_double_everything_of_a_whole_state(theirs: Theirs) -> None:
    chain = theirs.wrap(RunnableLambda(graph), input_messages_key="messages", output_messages_key="messages")
    await chain.ainvoke({"messages": [HumanMessage("one")]}, on("s"))
    await chain.ainvoke({"messages": [HumanMessage("two")]}, on("s"))
    assert len(theirs.kept()) > 4


@pytest.mark.parametrize("keys", [{}, {"input_messages_key": "messages"}])
async def test_we_keep_what_is_new_of_a_whole_state(manager: SessionManager, keys: dict[str, str]) -> None:
    chain = SessionRunnable(RunnableLambda(graph), manager=manager, **keys)
    await chain.ainvoke({"messages": [HumanMessage("one")]}, on("s"))
    answer = await chain.ainvoke({"messages": [HumanMessage("two", id="mine")]}, on("s"))
    assert answer.text == "answer to two"
    assert [message.text for message in await ours(manager)] == ["one", "answer to one", "two", "answer to two"]


# ---------------------------------------------------------------- messages of the older types


@pytest.mark.parametrize("message", [ChatMessage(role="critic", content="hm"), FunctionMessage(name="f", content="1")])
async def test_they_lose_the_turn_of_an_older_message(
    theirs: Theirs, message: BaseMessage, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.CRITICAL), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (await theirs.wrap(Scripted()).ainvoke([message], on("s"))).text == "answer 1"
    assert theirs.kept() == []


@pytest.mark.parametrize("message", [ChatMessage(role="critic", content="hm"), FunctionMessage(name="f", content="1")])
async def test_we_keep_an_older_message(manager: SessionManager, message: BaseMessage) -> None:
    model = Scripted()
    await SessionRunnable(model, manager=manager).ainvoke([message], on("s"))
    kept = await ours(manager)
    assert kept[0].model_copy(update={"id": None}) == message
    assert model.asked[0] == [kept[0]]
    assert kept[1].text == "answer 1"


# ---------------------------------------------------------------- no session at all


@pytest.mark.parametrize("session_id", ["", None])
async def test_they_share_a_session_with_no_name(theirs: Theirs, session_id: Any) -> None:
    chain = theirs.wrap(Scripted())
    await chain.ainvoke([HumanMessage("alice")], on(session_id))
    await chain.ainvoke([HumanMessage("bob")], on(session_id))
    assert [message.text for message in theirs.kept(session_id)][::2] == ["alice", "bob"]


@pytest.mark.parametrize("session_id", ["", None, " ", 3])
async def test_we_refuse_a_session_with_no_name(manager: SessionManager, session_id: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"session_id'\] must be a non-empty string; for example"):
        await SessionRunnable(Scripted(), manager=manager).ainvoke("hi", on(session_id))
    with pytest.raises(SessionNotFoundError):
        await stored(manager, "s")
