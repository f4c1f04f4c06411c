"""Metadata by which LangChain's tracers group runs: on every run inside a session, and never over the caller's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import RunnableLambda

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain import LangChainProvider, SessionAgentMiddleware, SessionChatModel, SessionRunnable
from tests.langchain.chains import Scripted, agent_of, on

NAMES = ("session_id", "thread_id", "conversation_id")


class Seen(BaseCallbackHandler):
    """Every run that a tracer hears of, with its metadata."""

    def __init__(self) -> None:
        self.runs: list[tuple[str, dict[str, Any]]] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        name: str = kwargs.get("name") or serialized["name"]
        self.runs.append((name, kwargs.get("metadata") or {}))

    def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
        self.on_chain_start(serialized, messages, **kwargs)

    def named(self, name: str) -> list[Any]:
        """Return what the runs of a name are grouped by."""
        return [tuple(metadata.get(key) for key in NAMES) for each, metadata in self.runs if each == name]


@pytest.fixture
def seen() -> Seen:
    return Seen()


def chain(manager: SessionManager) -> Any:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("past"), ("human", "{q}")])
    bound = SessionRunnable(
        prompt | Scripted(), manager=manager, input_messages_key="q", history_messages_key="past", name="memory"
    )
    asked: Any = RunnableLambda(_question)
    return asked | bound


def _question(text: str) -> dict[str, str]:
    return {"q": text}


INSIDE = ("memory", "RunnableSequence", "ChatPromptTemplate", "Scripted")


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream", "astream_events"])
async def test_every_run_inside_a_session_is_grouped(manager: SessionManager, seen: Seen, how: str) -> None:
    runnable: Any = chain(manager)
    config: Any = {**on("s"), "callbacks": [seen]}
    match how:
        case "invoke":
            await asyncio.to_thread(runnable.invoke, "hi", config)
        case "ainvoke":
            await runnable.ainvoke("hi", config)
        case "stream":
            await asyncio.to_thread(lambda: list(runnable.stream("hi", config)))
        case "astream":
            assert [_ async for _ in runnable.astream("hi", config)]
        case _:
            events = [event async for event in runnable.astream_events("hi", config, version="v2")]
            inside = [event for event in events if event["name"] in INSIDE[2:]]
            assert inside
            assert all(event["metadata"]["session_id"] == "s" for event in inside)
    for name in INSIDE:
        assert ("s",) * 3 in seen.named(name), name


@pytest.mark.parametrize("how", ["batch", "abatch"])
async def test_a_batch_is_grouped_one_by_one(manager: SessionManager, seen: Seen, how: str) -> None:
    runnable, configs = chain(manager), [{**on(name), "callbacks": [seen]} for name in ("a", "b")]
    if how == "batch":
        await asyncio.to_thread(runnable.batch, ["hi", "you"], configs)
    else:
        await runnable.abatch(["hi", "you"], configs)
    for name in ("ChatPromptTemplate", "Scripted"):
        assert sorted(seen.named(name)) == [("a",) * 3, ("b",) * 3], name


async def test_what_the_caller_gave_stays(manager: SessionManager, seen: Seen) -> None:
    config: Any = {**on("s"), "callbacks": [seen], "metadata": {"thread_id": "mine", "team": "red"}}
    await chain(manager).ainvoke("hi", config)
    assert seen.named("Scripted") == [("s", "mine", "s")]
    assert seen.runs[-1][1]["team"] == "red"


async def test_a_session_within_another_is_its_own(manager: SessionManager, seen: Seen) -> None:
    inner = SessionRunnable(Scripted(), manager=manager, name="inner")

    async def ask(messages: Any) -> Any:
        return await inner.ainvoke("and?", {"configurable": {"session_id": "inside"}})

    outer = SessionRunnable(RunnableLambda(ask), manager=manager, name="outer")
    await outer.ainvoke("hi", {**on("s"), "callbacks": [seen]})
    assert (seen.named("outer"), seen.named("inner")) == ([("s",) * 3], [("inside",) * 3])
    assert seen.named("Scripted") == [("inside",) * 3]


async def test_a_chat_model_and_a_provider_are_grouped(manager: SessionManager, seen: Seen) -> None:
    model = SessionChatModel(manager=manager, provider="mock", model="mock-model", session_id="s")
    config: Any = {"callbacks": [seen], "metadata": {"conversation_id": "mine"}}
    await model.ainvoke("hi", config)
    assert [_ async for _ in model.astream("hi", config)]
    assert seen.named("SessionChatModel") == [("s", "s", "mine")] * 2


async def test_a_provider_groups_its_models_runs(seen: Seen) -> None:
    providers = {"chat": LangChainProvider(Scripted(), name="chat")}
    async with SessionManager("memory", providers=providers) as manager:
        settings = {"metadata": {"thread_id": "mine"}}
        session = await manager.create_session("ada", "chat", "m", session_id="s", provider_config=settings)

        async def send(text: str) -> str:
            return (await session.send_message(text)).content

        await RunnableLambda(send).ainvoke("hi", {"callbacks": [seen], "metadata": {"thread_id": "outer"}})
    assert seen.named("Scripted") == [("s", "mine", "s")]


async def test_an_agents_runs_are_grouped(manager: SessionManager, seen: Seen) -> None:
    agent = agent_of(Scripted(), middleware=[SessionAgentMiddleware(manager=manager)])
    config: Any = {"configurable": {"thread_id": "t"}, "callbacks": [seen]}
    await agent.ainvoke({"messages": [("human", "hi")]}, config)
    inside = [metadata for name, metadata in seen.runs if name == "Scripted"]
    assert [(metadata["session_id"], metadata["thread_id"]) for metadata in inside] == [("t", "t")]
