"""Agents inside tools of agents, agents as nodes of a graph, and who may see what."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain.agents import AgentState
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph  # pyright: ignore[reportMissingTypeStubs]

from langswarm_sessions import InvalidInputError, SessionBusyError, SessionManager, SessionNotFoundError
from langswarm_sessions_langchain import SessionRunnable
from tests.agents.kit import ToolScripted, agent_of, calling, on_thread, said, texts

ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}]}


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("checkpointed", [False, True])
async def test_an_agent_in_a_tool_keeps_a_session_of_its_own(
    manager: SessionManager, blocking: bool, checkpointed: bool
) -> None:
    inner_model = ToolScripted(script=[calling(("i1", "add", {"a": 1, "b": 2})), "three", "again three"])
    inner = agent_of(manager, model=inner_model, name="adder")

    async def ask_adder(question: str) -> str:
        """Ask the adder."""
        return str((await inner.ainvoke({"messages": [HumanMessage(question)]}))["messages"][-1].text)

    def ask_adder_blocking(question: str) -> str:
        """Ask the adder."""
        return str(inner.invoke({"messages": [HumanMessage(question)]})["messages"][-1].text)

    tool = ask_adder_blocking if blocking else ask_adder
    script = [calling((f"o{n}", tool.__name__, {"question": f"q{n}"})) for n in (1, 2)]
    agent = agent_of(manager, [*script, "done"], tools=[tool], checkpointer=InMemorySaver() if checkpointed else None)
    await (asyncio.to_thread(agent.invoke, ASKED, on_thread("t")) if blocking else agent.ainvoke(ASKED, on_thread("t")))
    assert await said(manager, "t") == [
        "user: go", "assistant: o1", "tool: o1=three", "assistant: o2", "tool: o2=again three", "assistant: done",
    ]  # fmt: skip
    assert await said(manager, "t/adder/o1") == ["user: q1", "assistant: i1", "tool: i1=3", "assistant: three"]
    assert await said(manager, "t/adder/o2") == ["user: q2", "assistant: again three"]
    assert texts(inner_model.asked[-1]) == ["human: q2"]


async def test_agents_in_parallel_tools_do_not_wait_for_each_other(manager: SessionManager) -> None:
    """A conversation of its own for each call, which one that is started again finds again."""
    all_asked, asked = asyncio.Event(), list[str]()

    class Together(ToolScripted):
        async def _agenerate(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(messages[-1].text)
            if len(asked) == 3:
                all_asked.set()
            await all_asked.wait()
            return self._generate(messages, *args, **kwargs)

    inner = agent_of(manager, model=Together(script=["found"] * 3), name="finder", memory={"turn_wait": 0.1})

    async def find(what: str) -> str:
        """Find something."""
        return str((await inner.ainvoke({"messages": [HumanMessage(what)]}))["messages"][-1].text)

    calls = calling(*((f"o{n}", "find", {"what": f"q{n}"}) for n in range(3)))
    async with asyncio.timeout(20):
        await agent_of(manager, [calls, "done"], tools=[find]).ainvoke(ASKED, on_thread("t"))
    for n in range(3):
        assert await said(manager, f"t/finder/o{n}") == [f"user: q{n}", "assistant: found"]
    assert len(await said(manager, "t")) == 6


async def test_agents_deep_in_tools_have_names_that_storage_takes(manager: SessionManager) -> None:
    inner = agent_of(manager, ["found"], name="finder")

    async def find() -> str:
        """Find something."""
        return str((await inner.ainvoke({"messages": [HumanMessage("what?")]}))["messages"][-1].text)

    long = "t" * 250
    await agent_of(manager, [calling(("o1", "find", {})), "done"], tools=[find]).ainvoke(ASKED, on_thread(long))
    kept = {session.session_id for session in await manager.search_sessions()}
    [own] = kept - {long}
    assert await said(manager, own) == ["user: what?", "assistant: found"]


async def test_agents_that_are_nodes_of_a_graph_share_a_session(manager: SessionManager) -> None:
    writer, critic = ToolScripted(script=["draft", "draft 2"]), ToolScripted(script=["good", "better"])
    graph: Any = StateGraph(AgentState)
    graph.add_node("writer", agent_of(manager, model=writer, name="writer"))
    graph.add_node("critic", agent_of(manager, model=critic, name="critic"))
    graph.add_edge(START, "writer")
    graph.add_edge("writer", "critic")
    both: Any = graph.compile()
    await both.ainvoke({"messages": [HumanMessage("write")]}, on_thread("t"))
    await both.ainvoke({"messages": [HumanMessage("more")]}, on_thread("t"))
    assert await said(manager, "t") == [
        "user: write", "assistant: draft", "assistant: good", "user: more", "assistant: draft 2", "assistant: better",
    ]  # fmt: skip
    assert texts(critic.asked[-1]) == ["human: write", "ai: draft", "ai: good", "human: more", "ai: draft 2"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_whose_session_it_is(manager: SessionManager, blocking: bool) -> None:
    agent = agent_of(manager, ["hi"], memory={"user_id": "alice"})

    async def run(config: Any) -> Any:
        return await (asyncio.to_thread(agent.invoke, ASKED, config) if blocking else agent.ainvoke(ASKED, config))

    await run(on_thread("thread", session_id="hers"))
    assert (await manager.get_session("hers")).user_id == "alice"
    for configurable in ({"thread_id": "hers", "user_id": "bob"},):
        with pytest.raises(SessionNotFoundError):
            await run({"configurable": configurable})
    for wrong in ({}, {"configurable": {"thread_id": " "}}, {"configurable": {"thread_id": 7}}):
        with pytest.raises(InvalidInputError, match="configurable"):
            await run(wrong)
    assert len(await said(manager, "hers")) == 2


@pytest.mark.parametrize("blocking", [False, True])
async def test_an_agent_in_a_turn_of_its_own_session_is_refused_at_once(
    manager: SessionManager, blocking: bool
) -> None:
    agent = agent_of(manager, ["never asked"])
    runnable = SessionRunnable(agent, manager=manager, input_messages_key="messages", output_messages_key="messages")
    asked, config = {"messages": [HumanMessage("hi")]}, on_thread("t", session_id="t")
    with pytest.raises(SessionBusyError, match="cannot take a turn of the same session"):
        await (asyncio.to_thread(runnable.invoke, asked, config) if blocking else runnable.ainvoke(asked, config))
    assert await said(manager, "t") == ["user: hi [failed]"]
