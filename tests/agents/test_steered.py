"""Agents that people and other middleware steer: interrupts, structured answers, summaries, injected context."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Annotated, Any

import pytest
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    SummarizationMiddleware,
    after_model,
    dynamic_prompt,
    wrap_model_call,
)
from langchain.agents.structured_output import ProviderStrategy, StructuredOutputValidationError, ToolStrategy
from langchain_core.messages import HumanMessage, RemoveMessage, ToolMessage
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, interrupt
from pydantic import BaseModel

from langswarm_sessions import ConfigurationError, SessionManager, create_session_manager
from langswarm_sessions_langchain import SessionAgentMiddleware, SessionChatModel
from tests.agents.kit import ToolScripted, add, agent_of, calling, make_agent, on_thread, outer_of, said, texts
from tests.langchain.chains import Unavailable, stored

ASKED: dict[str, Any] = {"messages": [HumanMessage("1+2?", id="h1")]}
CALL = calling(("c1", "add", {"a": 1, "b": 2}))
TOLD = ["user: 1+2?", "assistant: c1", "tool: c1=3", "assistant: It is 3."]


class Weather(BaseModel):
    """The weather."""

    sunny: bool


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("mode", ["batched", "per_call"])
@pytest.mark.parametrize("decision", ["approve", "edit", "reject"])
async def test_a_person_decides(manager: SessionManager, blocking: bool, mode: Any, decision: str) -> None:
    person = HumanInTheLoopMiddleware(interrupt_on={"add": True}, interrupt_mode=mode)
    agent = agent_of(manager, [CALL, "It is 3."], middleware=[person], checkpointer=InMemorySaver())
    decisions: dict[str, Any] = {
        "approve": {"type": "approve"},
        "edit": {"type": "edit", "edited_action": {"name": "add", "args": {"a": 5, "b": 5}}},
        "reject": {"type": "reject", "message": "No."},
    }
    given = decisions[decision]
    resume: Command[Any] = Command(resume={"decisions": [given]} if mode == "batched" else given)
    if blocking:
        await asyncio.to_thread(agent.invoke, ASKED, on_thread("t"))
        assert await said(manager, "t") == TOLD[:2]
        await asyncio.to_thread(agent.invoke, resume, on_thread("t"))
    else:
        await agent.ainvoke(ASKED, on_thread("t"))
        assert await said(manager, "t") == TOLD[:2]
        await agent.ainvoke(resume, on_thread("t"))
    kept = await said(manager, "t")
    result = {"approve": "3", "edit": "10", "reject": "No."}[decision]
    assert [*kept[:2], *kept[3:]] == [*TOLD[:2], TOLD[3]]
    assert result in kept[2]


@pytest.mark.parametrize("is_edited", [False, True])
async def test_a_call_that_a_person_edits_in_a_branch_is_another(manager: SessionManager, is_edited: bool) -> None:
    agent = agent_of(manager, [CALL, "3.", "30."], checkpointer=InMemorySaver(), interrupt_before=["tools"])
    await agent.ainvoke(ASKED, on_thread("t"))
    await agent.ainvoke(None, on_thread("t"))
    history = [state async for state in agent.aget_state_history(on_thread("t"))]
    before = next(state for state in history if state.next == ("tools",))
    asked = before.values["messages"][-1]
    args = {"a": 10, "b": 20} if is_edited else asked.tool_calls[0]["args"]
    edited = asked.model_copy(update={"tool_calls": [{**asked.tool_calls[0], "args": args}]})
    branch = await agent.aupdate_state(before.config, {"messages": [edited]})
    came_to = (await agent.ainvoke(None, branch))["messages"]
    assert texts(came_to[-2:]) == (["tool: 30", "ai: 30."] if is_edited else ["tool: 3", "ai: 3."])
    more = ["tool: c1=30", "assistant: 30."] if is_edited else []
    assert await said(manager, "t") == [*TOLD[:3], "assistant: 3.", *more]
    again = (await agent.ainvoke(None, branch))["messages"]
    assert texts(again) == texts(came_to)
    assert await said(manager, "t") == [*TOLD[:3], "assistant: 3.", *more]


async def test_another_process_goes_on_after_an_interrupt(tmp_path: Path) -> None:
    def ask(question: str) -> str:
        """Ask a person."""
        return str(interrupt(question))

    script = [calling(("c1", "ask", {"question": "sure?"}), ("c2", "add", {"a": 1, "b": 2})), "Done."]
    path, config = str(tmp_path / "chat.db"), on_thread("t")
    given: Any
    for given in (ASKED, Command(resume="yes")):
        manager = create_session_manager(storage="sqlite", storage_config={"db_path": path})
        async with manager, AsyncSqliteSaver.from_conn_string(str(tmp_path / "graph.db")) as saver:
            model = ToolScripted(script=script if given is ASKED else script[1:])
            agent = agent_of(manager, model=model, tools=[ask, add], checkpointer=saver)
            await agent.ainvoke(given, config)
            kept = await said(manager, "t")
            if given is ASKED:
                assert kept == ["user: 1+2?", "assistant: c1,c2", "tool: c2=3"]
    assert kept == ["user: 1+2?", "assistant: c1,c2", "tool: c2=3", "tool: c1=yes", "assistant: Done."]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("tools", [[], [add]])
async def test_a_structured_answer_by_tool(manager: SessionManager, blocking: bool, tools: list[Any]) -> None:
    script = [
        calling(("c1", "Weather", {"sunny": "perhaps"})),
        calling(("c2", "Weather", {"sunny": True})),
        calling(("c3", "Weather", {"sunny": False})),
    ]
    agent = agent_of(manager, script, tools=tools, response_format=ToolStrategy(Weather))
    for sunny in (True, False):  # the same words again are a new run: the one before was over
        given = {"messages": [{"role": "user", "content": "weather?"}]}
        result = agent.invoke(given, on_thread("t")) if blocking else await agent.ainvoke(given, on_thread("t"))
        assert result["structured_response"] == Weather(sunny=sunny)
    kept = await said(manager, "t")
    assert [line.partition("=")[0] for line in kept] == [
        "user: weather?",
        "assistant: c1",
        "tool: c1",
        "assistant: c2",
        "tool: c2",
        "user: weather?",
        "assistant: c3",
        "tool: c3",
    ]


async def test_a_structured_answer_by_the_provider(manager: SessionManager) -> None:
    model = ToolScripted(script=["no json", '{"sunny": true}'])
    agent = agent_of(manager, model=model, response_format=ProviderStrategy(Weather))
    with pytest.raises(StructuredOutputValidationError):
        await agent.ainvoke(ASKED, on_thread("t"))
    assert (await agent.ainvoke(ASKED, on_thread("t")))["structured_response"] == Weather(sunny=True)
    assert await said(manager, "t") == ["user: 1+2?", 'assistant: {"sunny": true}']


@pytest.mark.parametrize("form", ["tool", "provider"])
async def test_a_structured_answer_is_read_again_from_the_record(manager: SessionManager, form: str) -> None:
    """The process dies after the answer was stored and before the graph has it."""
    died: list[int] = []

    class Dies(AgentMiddleware[Any, Any, Any]):
        async def awrap_model_call(self, request: Any, handler: Any) -> Any:
            response = await handler(request)
            if not died:
                died.append(1)
                raise ConnectionError
            return response

    # Which form a schema becomes, `create_agent` reads off the model.
    answer = calling(("c1", "Weather", {"sunny": True})) if form == "tool" else '{"sunny": true}'
    model = ToolScripted(script=[answer, "never asked"], profile={"structured_output": form == "provider"})
    memory = SessionAgentMiddleware(manager=manager)
    agent = make_agent(model, tools=[], middleware=[Dies(), memory], response_format=Weather)
    with pytest.raises(ConnectionError):
        await agent.ainvoke(ASKED, on_thread("t"))
    number = len(await said(manager, "t"))
    assert number == (3 if form == "tool" else 2), "the result is stored with the answer"
    assert (await agent.ainvoke(ASKED, on_thread("t")))["structured_response"] == Weather(sunny=True)
    assert len(await said(manager, "t")) == number
    assert len(model.asked) == 1


async def test_a_tool_that_returns_several_things_is_kept(manager: SessionManager) -> None:
    runs: list[str] = []

    @tool
    def look(tool_call_id: Annotated[str, InjectedToolCallId]) -> Any:
        """Look around."""
        runs.append(tool_call_id)
        return [Command(update={"messages": [ToolMessage("seen", tool_call_id=tool_call_id)]}), Command(update={})]

    agent = agent_of(manager, [calling(("c1", "look", {})), Unavailable(), "done"], tools=[look])
    with pytest.raises(Unavailable):
        await agent.ainvoke(ASKED, on_thread("t"))
    await agent.ainvoke(ASKED, on_thread("t"))
    kept = await said(manager, "t")
    assert [kept[0], kept[1], kept[2], kept[-1]] == ["user: 1+2?", "assistant: c1", "tool: c1=seen", "assistant: done"]
    assert runs == ["c1", "c1"], "what its commands did is lost with the graph's state"


async def test_a_session_as_the_model_of_its_own_agent_is_refused(manager: SessionManager) -> None:
    model = SessionChatModel(manager=manager, provider="mock", model="mock-model")
    agent = make_agent(model, middleware=[SessionAgentMiddleware(manager=manager)])
    with pytest.raises(ConfigurationError, match=r"SessionAgentMiddleware\(provider="):
        await agent.ainvoke(ASKED, on_thread("t"))


@pytest.mark.parametrize("checkpointed", [False, True])
async def test_what_a_summary_removes_stays_in_the_transcript(manager: SessionManager, checkpointed: bool) -> None:
    summing = SummarizationMiddleware(ToolScripted(script=["SUMMARY"]), trigger=("messages", 4), keep=("messages", 1))
    model = ToolScripted(script=["one", "two", "three"])
    agent = agent_of(manager, model=model, middleware=[summing], checkpointer=InMemorySaver() if checkpointed else None)
    for text in ("a", "b", "c"):
        result = await agent.ainvoke({"messages": [HumanMessage(text)]}, on_thread("t"))
    assert await said(manager, "t") == [
        "user: a", "assistant: one", "user: b", "assistant: two", "user: c", "assistant: three",
    ]  # fmt: skip
    if checkpointed:
        assert "SUMMARY" in result["messages"][0].text
        assert len(model.asked[-1]) == 2


async def test_context_that_is_injected_reaches_the_model_and_is_not_kept(manager: SessionManager) -> None:
    @wrap_model_call
    async def inject(request: Any, handler: Any) -> Any:
        return await handler(request.override(messages=[*request.messages, {"role": "user", "content": "context"}]))

    @dynamic_prompt
    def prompt(request: Any) -> str:
        return f"Prompt {len(request.messages)}."

    model = ToolScripted(script=[CALL, "It is 3."])
    for number, outside in enumerate((True, False)):
        model = ToolScripted(script=[CALL, "It is 3."])
        if outside:
            agent = outer_of(manager, [CALL, "It is 3."], inject)
        else:
            agent = agent_of(manager, model=model, middleware=[inject, prompt])
        await agent.ainvoke(ASKED, on_thread(f"t{number}"))
        assert [line for line in await said(manager, f"t{number}") if not line.startswith("system")] == TOLD
    assert texts(model.asked[-1]) == ["system: Prompt 4.", "human: 1+2?", "ai: c1", "tool: 3", "human: context"]


async def test_a_guard_that_wants_another_answer_gets_one(manager: SessionManager) -> None:
    @after_model(can_jump_to=["model"])
    def guard(state: Any, runtime: Any) -> Any:
        last = state["messages"][-1]
        if last.text == "bad":
            return {"messages": [RemoveMessage(id=last.id)], "jump_to": "model"}
        return None

    agent = agent_of(manager, ["bad", "good"], middleware=[guard])
    result = await agent.ainvoke(ASKED, on_thread("t"))
    assert result["messages"][-1].text == "good"
    assert await said(manager, "t") == ["user: 1+2?", "assistant: bad", "assistant: good"]


async def test_what_other_middleware_answers_is_kept(manager: SessionManager) -> None:
    limit = ModelCallLimitMiddleware(run_limit=1, exit_behavior="end")
    agent = agent_of(manager, [CALL], middleware=[limit])
    result = await agent.ainvoke(ASKED, on_thread("t"))
    assert "limit" in result["messages"][-1].text
    assert (await said(manager, "t"))[:3] == TOLD[:3]
    assert "limit" in (await said(manager, "t"))[3]


async def test_a_tool_that_returns_directly(manager: SessionManager) -> None:
    @tool(return_direct=True)
    def direct() -> str:
        """Answer."""
        return "direct"

    model = ToolScripted(script=[calling(("c1", "direct", {}))])
    agent = agent_of(manager, model=model, tools=[direct])
    for _ in range(2):
        await agent.ainvoke({"messages": [{"role": "user", "content": "go"}]}, on_thread("t"))
    assert await said(manager, "t") == ["user: go", "assistant: c1", "tool: c1=direct"] * 2


async def test_a_conversation_that_was_there_before_is_taken_over(manager: SessionManager) -> None:
    saver, model = InMemorySaver(), ToolScripted(script=[CALL, "It is 3."])
    stock: Any = make_agent(model, tools=[add], checkpointer=saver)
    await stock.ainvoke(ASKED, on_thread("t"))
    agent = agent_of(manager, ["Yes."], checkpointer=saver)
    await agent.ainvoke({"messages": [HumanMessage("sure?")]}, on_thread("t"))
    assert await said(manager, "t") == [*TOLD, "user: sure?", "assistant: Yes."]


async def test_a_state_that_was_lost_is_told(manager: SessionManager, caplog: pytest.LogCaptureFixture) -> None:
    first = agent_of(manager, ["one"], checkpointer=InMemorySaver())
    await first.ainvoke({"messages": [HumanMessage("a")]}, on_thread("t"))
    model = ToolScripted(script=["two"])
    with caplog.at_level(logging.WARNING):
        again = agent_of(manager, model=model, checkpointer=InMemorySaver())
        await again.ainvoke({"messages": [HumanMessage("b")]}, on_thread("t"))
    assert "history='session'" in caplog.text
    assert texts(model.asked[-1]) == ["human: b"]
    owning = agent_of(manager, model=model, memory={"history": "session"}, checkpointer=InMemorySaver())
    await owning.ainvoke({"messages": [HumanMessage("c")]}, on_thread("t"))
    assert texts(model.asked[-1]) == ["human: a", "ai: one", "human: b", "ai: two", "human: c"]
    await owning.ainvoke({"messages": [HumanMessage("d")]}, on_thread("t"))
    assert len(model.asked[-1]) == 7
    assert len(await stored(manager, "t")) == 8
