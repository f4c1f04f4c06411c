"""What a new input is to a session: that of a run which was broken off, a conversation sent again, or new words."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langswarm_sessions import SessionManager
from langswarm_sessions.messages import Role, SessionMessage, ToolResult
from langswarm_sessions_langchain.agents import stored
from tests.agents.kit import ToolScripted, agent_of, calling, on_thread, said, texts
from tests.langchain.chains import Unavailable

GO: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}]}


class Counter:
    """A tool that counts its runs, and fails in some."""

    def __init__(self, *failing: int) -> None:
        self.runs = 0
        self._failing = failing

    def count(self) -> str:
        """Count."""
        self.runs += 1
        if self.runs in self._failing:
            raise Unavailable
        return "counted"


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_LOOKED_AT", 3)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("parallel", [False, True])
async def test_a_long_run_goes_on_where_it_was_broken_off(manager: SessionManager, parallel: bool) -> None:
    """It has said more than a page of the transcript holds."""
    counter = Counter()
    calls = [(f"c{at}", "count", dict[str, Any]()) for at in range(4)]
    asked = [calling(*calls)] if parallel else [calling(call) for call in calls]
    model = ToolScripted(script=[*asked, Unavailable(), "done"])
    agent = agent_of(manager, model=model, tools=[counter.count])
    with pytest.raises(Unavailable):
        await agent.ainvoke(GO, on_thread("t"))
    await agent.ainvoke(GO, on_thread("t"))
    kept = await said(manager, "t")
    assert counter.runs == 4
    assert kept.count("user: go") == 1
    assert kept[-1] == "assistant: done"
    assert len(model.asked) == len(asked) + 2


@pytest.mark.usefixtures("small_pages")
async def test_tools_of_a_long_answer_are_not_run_again(manager: SessionManager) -> None:
    """The one that fails is the last of more than a page holds; the graph has none of their results."""
    counter = Counter(5)
    script = [calling(*((f"c{at}", "count", dict[str, Any]()) for at in range(5))), "done"]
    agent = agent_of(manager, script, tools=[counter.count])
    config: Any = {**on_thread("t"), "max_concurrency": 1}
    with pytest.raises(Unavailable):
        await agent.ainvoke(GO, config)
    await agent.ainvoke(GO, config)
    kept = await said(manager, "t")
    assert counter.runs == 6
    assert sum(line.startswith("tool") for line in kept) == 5
    assert kept.count("user: go") == 1


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_graph_left_with_open_calls_goes_on_with_the_same_words(
    manager: SessionManager, blocking: bool
) -> None:
    model, counter = ToolScripted(script=[calling(("c1", "count", {})), "done"]), Counter(1)
    agent = agent_of(manager, model=model, tools=[counter.count], checkpointer=InMemorySaver())
    with pytest.raises(Unavailable):
        await agent.ainvoke(GO, on_thread("t"))
    again = agent.invoke(GO, on_thread("t")) if blocking else await agent.ainvoke(GO, on_thread("t"))
    assert texts(again["messages"]) == ["human: go", "ai: c1", "tool: counted", "ai: done"]
    assert await said(manager, "t") == ["user: go", "assistant: c1", "tool: c1=counted", "assistant: done"]
    assert len(model.asked) == 2


@pytest.mark.parametrize("owner", ["graph", "session"])
async def test_a_call_that_was_broken_off_is_answered_in_what_is_sent(manager: SessionManager, owner: str) -> None:
    """No service takes a call without a result: the thread would be stuck for good."""
    model, counter = ToolScripted(script=[calling(("c1", "count", {})), "fine", "good"]), Counter(1)
    agent = agent_of(
        manager, model=model, tools=[counter.count], memory={"history": owner}, checkpointer=InMemorySaver()
    )
    with pytest.raises(Unavailable):
        await agent.ainvoke(GO, on_thread("t"))
    for text in ("never mind", "thanks"):
        result = await agent.ainvoke({"messages": [HumanMessage(text)]}, on_thread("t"))
    interrupted = "tool: The tool call was interrupted; there is no result."
    told = ["human: go", "ai: c1", interrupted, "human: never mind", "ai: fine", "human: thanks"]
    assert texts(model.asked[-1]) == told
    assert [line for line in texts(result["messages"]) if line.startswith("tool")] == [], "the state stays as it is"
    assert await said(manager, "t") == [
        "user: go", "assistant: c1", "user: never mind", "assistant: fine", "user: thanks", "assistant: good",
    ]  # fmt: skip


async def test_a_person_who_is_waited_for_is_asked_again(manager: SessionManager) -> None:
    model, counter = ToolScripted(script=[calling(("c1", "count", {})), "done"]), Counter()
    ask_first = HumanInTheLoopMiddleware(interrupt_on={"count": True})
    agent = agent_of(manager, model=model, tools=[counter.count], middleware=[ask_first], checkpointer=InMemorySaver())
    for _ in range(2):
        result = await agent.ainvoke(GO, on_thread("t"))
        assert "__interrupt__" in result
    assert counter.runs == 0, "nobody has approved"
    assert await said(manager, "t") == ["user: go", "assistant: c1"]


@pytest.mark.parametrize("form", ["dicts", "pairs", "results"])
async def test_a_conversation_that_is_sent_whole_is_known_again(manager: SessionManager, form: str) -> None:
    """As a client does that keeps the conversation itself."""
    model = ToolScripted(script=[calling(("c1", "add", {"a": 1, "b": 2})), "A1", "A2", "A3"])
    agent = agent_of(manager, model=model)
    sent: list[Any] = []
    for text in ("hi", "hi", "more"):
        asked = {"dicts": {"role": "user", "content": text}, "pairs": ("user", text), "results": HumanMessage(text)}
        sent.append(asked[form])
        result = await agent.ainvoke({"messages": sent}, on_thread("t"))
        answer = result["messages"][-1].text
        told = {"dicts": {"role": "assistant", "content": answer}, "pairs": ("assistant", answer)}
        sent = result["messages"] if form == "results" else [*sent, told[form]]
    assert [line for line in await said(manager, "t") if not line.startswith("tool")] == [
        "user: hi", "assistant: c1", "assistant: A1", "user: hi", "assistant: A2", "user: more", "assistant: A3",
    ]  # fmt: skip
    assert [line for line in texts(model.asked[-1]) if line.startswith("human")] == ["human: hi"] * 2 + ["human: more"]
    assert texts(result["messages"])[-3:] == ["ai: A2", "human: more", "ai: A3"]


async def test_an_id_that_is_used_again_for_other_words_is_new(manager: SessionManager) -> None:
    model = ToolScripted(script=["A1", "A2", "A3"])
    agent = agent_of(manager, model=model)
    for text in ("one", "two"):
        await agent.ainvoke({"messages": [HumanMessage(text, id="1")]}, on_thread("t"))
    await agent.ainvoke({"messages": [HumanMessage("three", id="1")]}, on_thread("other"))
    assert await said(manager, "t") == ["user: one", "assistant: A1", "user: two", "assistant: A2"]
    assert texts(model.asked[1]) == ["human: one", "ai: A1", "human: two"]
    assert await said(manager, "other") == ["user: three", "assistant: A3"]


async def test_results_that_another_framework_keeps_in_one_message_are_read_each(manager: SessionManager) -> None:
    await agent_of(manager, [calling(("a", "add", {"a": 1, "b": 1}), ("b", "add", {"a": 2, "b": 2})), "x"]).ainvoke(
        GO, on_thread("t")
    )
    asking = [message for message in await (await manager.get_session("t")).get_messages() if message.tool_calls]
    await manager.create_session("user", "runnable", "runnable", session_id="adk")
    results = [ToolResult(tool_call_id=call.id, content=f"{call.id}!") for call in asking[0].tool_calls]
    rows = [
        SessionMessage(role=Role.USER, content="both"),
        SessionMessage(role=Role.ASSISTANT, parts=list(asking[0].parts)),
        SessionMessage(role=Role.TOOL, parts=list(results)),
        SessionMessage(role=Role.ASSISTANT, content="a and b"),
    ]
    await manager.append_messages("adk", rows)
    model = ToolScripted(script=["Yes."])
    await agent_of(manager, model=model).ainvoke({"messages": [HumanMessage("sure?")]}, on_thread("adk"))
    assert texts(model.asked[0]) == [
        "human: both", "ai: a,b", "tool: a!", "tool: b!", "ai: a and b", "human: sure?",
    ]  # fmt: skip
