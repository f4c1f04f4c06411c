"""What an agent says is in its session: losslessly, in order, once, as it happens."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain import SessionAgentMiddleware
from langswarm_sessions_langchain.messages import to_langchain
from tests.agents.kit import ToolScripted, add, agent_of, calling, make_agent, on_thread, said, texts
from tests.langchain.chains import stored

LOOP = [calling(("c1", "add", {"a": 1, "b": 2})), "It is 3."]
TOLD = ["user: what is 1+2?", "assistant: c1", "tool: c1=3", "assistant: It is 3."]


async def run(agent: Any, text: str, config: Any, *, blocking: bool) -> Any:
    given = {"messages": [{"role": "user", "content": text}]}
    return agent.invoke(given, config) if blocking else await agent.ainvoke(given, config)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("checkpointed", [False, True])
async def test_a_tool_loop_is_kept(manager: SessionManager, blocking: bool, checkpointed: bool) -> None:
    agent = agent_of(manager, LOOP, checkpointer=InMemorySaver() if checkpointed else None)
    result = await run(agent, "what is 1+2?", on_thread("t"), blocking=blocking)
    assert await said(manager, "t") == TOLD
    kept = [to_langchain(message) for message in await stored(manager, "t")]
    assert [m.id for m in kept] == [m.id for m in result["messages"]]
    assert [m.content for m in kept] == [m.content for m in result["messages"]]
    assert kept[1].tool_calls == result["messages"][1].tool_calls  # type: ignore[attr-defined]


@pytest.mark.parametrize("blocking", [False, True])
async def test_without_a_checkpointer_the_session_remembers(manager: SessionManager, blocking: bool) -> None:
    model = ToolScripted(script=[*LOOP, "Again 3."])
    agent = agent_of(manager, model=model)
    await run(agent, "what is 1+2?", on_thread("t"), blocking=blocking)
    second = await run(agent, "and?", on_thread("t"), blocking=blocking)
    assert texts(model.asked[-1]) == ["human: what is 1+2?", "ai: c1", "tool: 3", "ai: It is 3.", "human: and?"]
    assert texts(second["messages"]) == ["human: and?", "ai: Again 3."]
    assert await said(manager, "t") == [*TOLD, "user: and?", "assistant: Again 3."]


@pytest.mark.parametrize("blocking", [False, True])
async def test_with_a_checkpointer_nothing_is_sent_twice(manager: SessionManager, blocking: bool) -> None:
    model = ToolScripted(script=[*LOOP, "Again 3."])
    agent = agent_of(manager, model=model, checkpointer=InMemorySaver())
    await run(agent, "what is 1+2?", on_thread("t"), blocking=blocking)
    await run(agent, "and?", on_thread("t"), blocking=blocking)
    assert texts(model.asked[-1]) == ["human: what is 1+2?", "ai: c1", "tool: 3", "ai: It is 3.", "human: and?"]
    assert await said(manager, "t") == [*TOLD, "user: and?", "assistant: Again 3."]


async def test_parallel_tools_are_kept_each(manager: SessionManager) -> None:
    script = [calling(("c1", "add", {"a": 1, "b": 2}), ("c2", "add", {"a": 3, "b": 4})), "3 and 7."]
    model = ToolScripted(script=script)
    await agent_of(manager, model=model).ainvoke({"messages": [HumanMessage("both")]}, on_thread("t"))
    kept = await said(manager, "t")
    assert [*kept[:2], kept[-1]] == ["user: both", "assistant: c1,c2", "assistant: 3 and 7."]
    assert sorted(kept[2:4]) == ["tool: c1=3", "tool: c2=7"]


async def test_what_a_model_is_asked_in_the_loop_is_the_whole_run(manager: SessionManager) -> None:
    model = ToolScripted(script=LOOP)
    await agent_of(manager, model=model, system_prompt="Be brief.").ainvoke({"messages": "1+2?"}, on_thread("t"))
    assert texts(model.asked[-1]) == ["system: Be brief.", "human: 1+2?", "ai: c1", "tool: 3"]


async def test_who_owns_the_history_is_told(manager: SessionManager) -> None:
    for checkpointer, owner in ((None, "session"), (InMemorySaver(), "graph")):
        memory = SessionAgentMiddleware(manager=manager)
        assert memory.history_owner is None
        agent: Any = make_agent(ToolScripted(), tools=[add], middleware=[memory], checkpointer=checkpointer)
        await agent.ainvoke({"messages": [HumanMessage("go")]}, on_thread(owner))
        assert memory.history_owner == owner
    assert SessionAgentMiddleware(history="session").history_owner == "session"
