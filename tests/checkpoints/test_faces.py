"""Both faces of a saver, stock agents on it, and what it tells tracing backends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, cast

import pytest
from langchain.agents import create_agent  # pyright: ignore[reportUnknownVariableType]
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, ToolCall
from langchain_core.tools import tool
from langgraph.types import Command, interrupt

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    SessionManager,
    SessionStorage,
    create_session_manager,
    set_session_manager,
)
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import Chat, chat, in_a_row, say, steps, sync_chat, texts, thread
from tests.support.recorded import Recorded


def test_every_method_has_a_blocking_twin(saver: SessionCheckpointSaver) -> None:
    graph = sync_chat(saver)
    graph.invoke(say("one"), {**thread("t"), "metadata": {"run_id": "r1"}})
    graph.invoke(say("two"), {**thread("t"), "metadata": {"run_id": "r2"}})
    assert texts(graph.get_state(thread("t")).values) == ["one", "re: one", "two", "re: two"]
    assert len(list(saver.list(thread("t")))) == 6
    assert len(list(saver.list(thread("t"), limit=2, filter={"source": "input"}))) == 2
    assert saver.get(thread("t")) is not None
    assert "messages" in saver.get_delta_channel_history(config=thread("t"), channels=["messages"])
    saver.copy_thread("t", "copy")
    saver.delete_for_runs(["r1"])
    assert len(list(saver.list(thread("t")))) == 3
    saver.prune(["copy"])
    assert len(list(saver.list(thread("copy")))) == 1
    saver.delete_thread("t")
    assert saver.get_tuple(thread("t")) is None
    with saver.turn("t"):
        graph.update_state(thread("t"), say("alone"), as_node="answer")


async def test_a_blocking_manager_will_do(saver: SessionCheckpointSaver) -> None:
    with create_session_manager(storage="memory", blocking=True) as manager:
        sync_chat(SessionCheckpointSaver(manager)).invoke(say("one"), thread("t"))


async def test_without_a_manager_the_process_wide_one_is_used(manager: SessionManager) -> None:
    saver = SessionCheckpointSaver()
    set_session_manager(manager)
    try:
        await chat(saver).ainvoke(say("one"), thread("t"))
    finally:
        set_session_manager(None)
    assert texts((await chat(SessionCheckpointSaver(manager)).aget_state(thread("t"))).values) == ["one", "re: one"]


class Simple(SessionStorage):
    async def create_session(self, *_: Any, **__: Any) -> None: ...
    async def get_session(self, session_id: str) -> None: ...
    async def add_message(self, session_id: str, message: Any) -> None: ...
    async def get_messages(self, *_: Any, **__: Any) -> None: ...
    async def health_check(self) -> bool:
        return True

    async def close(self) -> None: ...


async def test_a_storage_without_checkpoints_says_what_to_use() -> None:
    async with SessionManager(Simple()) as manager:
        with pytest.raises(ConfigurationError, match="storage='sqlite'"):
            await SessionCheckpointSaver(manager).aget_tuple(thread("t"))


async def test_only_a_graph_can_be_ordered(saver: SessionCheckpointSaver) -> None:
    with pytest.raises(InvalidInputError, match="compiled graph"):
        saver.ordered(lambda: None)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="strategy"):
        await saver.aprune(["t"], strategy="keep_some")


async def test_a_stock_agent_with_tools_keeps_its_thread(saver: SessionCheckpointSaver) -> None:
    @tool
    def weather(city: str) -> str:
        """Tell the weather."""
        return f"sunny in {city}"

    calls = [ToolCall(name="weather", args={"city": city}, id=f"c-{city}") for city in ("Rome", "Oslo")]
    answers = iter([AIMessage("", tool_calls=calls), AIMessage("both sunny"), AIMessage("as I said")])

    class Scripted(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **_: Any) -> Any:
            return self

    stock = cast("Any", create_agent(Scripted(messages=answers), [weather], checkpointer=saver))
    agent = saver.ordered(stock)
    await agent.ainvoke(say("weather?"), thread("t"))
    await agent.ainvoke(say("again?"), thread("t"))
    said = texts((await agent.aget_state(thread("t"))).values)
    assert said == ["weather?", "", "sunny in Rome", "sunny in Oslo", "both sunny", "again?", "as I said"]


async def test_a_subgraph_that_waits_for_a_human_goes_on_where_it_was(saver: SessionCheckpointSaver) -> None:
    asked: list[str] = []

    def ask(state: Chat) -> dict[str, Any]:
        asked.append("asked")
        return {"messages": [AIMessage(f"human: {interrupt('well?')}")]}

    def think(_: Chat) -> dict[str, Any]:
        return {"messages": [AIMessage("thinking")]}

    inner = in_a_row(Chat, None, think=think, ask=ask)
    graph = in_a_row(Chat, saver, inner=inner)
    waiting = await graph.ainvoke(say("hi"), thread("t"))
    assert waiting["__interrupt__"][0].value == "well?"
    graph = in_a_row(Chat, SessionCheckpointSaver(saver.manager), inner=inner)
    done = await graph.ainvoke(Command(resume="yes"), thread("t"))
    assert texts(done) == ["hi", "thinking", "human: yes"]
    assert len(asked) == 2, "the node that waited ran again, the one before it did not"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def traced(recorded: Recorded) -> AsyncIterator[SessionManager]:
    async with SessionManager("memory", telemetry=recorded.telemetry()) as manager:
        yield manager


async def test_what_is_stored_is_told_within_the_callers_trace(traced: SessionManager, recorded: Recorded) -> None:
    saver = SessionCheckpointSaver(traced)
    with recorded.tracer_provider.get_tracer("app").start_as_current_span("the app") as root:
        await chat(saver).ainvoke(say("canary"), {**thread("canary-thread"), "metadata": {"x": "canary"}})
        await saver.aprune(["canary-thread"])
        await saver.adelete_thread("canary-thread")
    spans = [span for span in recorded.spans if span.name.startswith("langswarm.storage.")]
    assert {span.name.rpartition(".")[2] for span in spans} == {"load", "append", "delete"}
    assert {span.context.trace_id for span in spans if span.context} == {root.get_span_context().trace_id}
    assert all((span.attributes or {})["langswarm.storage.backend"] == "memory" for span in spans)
    assert "canary" not in json.dumps([json.loads(span.to_json()) for span in spans])
    points = recorded.points("langswarm.storage.operation.duration")
    assert {str((point.attributes or {})["langswarm.storage.operation"]) for point in points} == {
        "load",
        "append",
        "delete",
    }


async def test_an_operation_is_never_the_root_of_a_trace(traced: SessionManager, recorded: Recorded) -> None:
    await chat(SessionCheckpointSaver(traced)).ainvoke(say("hi"), thread("t"))
    assert recorded.spans == ()
    assert recorded.points("langswarm.storage.operation.duration")


def test_a_graph_may_be_run_within_a_running_loop(saver: SessionCheckpointSaver) -> None:
    async def notebook() -> list[str]:
        return list(steps(saver, "one", "two").invoke({"entries": []}, thread("t"))["entries"])

    assert saver.manager.bridge.call(_elsewhere, notebook) == ["one", "two"]


async def _elsewhere(func: Any) -> Any:
    import asyncio

    return await asyncio.to_thread(asyncio.run, func())


@pytest.fixture(autouse=True)
def no_process_wide_manager() -> Iterator[None]:
    yield
    set_session_manager(None)
