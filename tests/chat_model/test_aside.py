"""What agents and graphs ask beside a conversation is no turn of it; one message may be asked in several ways."""

from __future__ import annotations

from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import pytest
from langchain.agents.middleware import LLMToolSelectorMiddleware, SummarizationMiddleware
from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions_langchain import SessionChatModel
from langswarm_sessions_langchain.chat_model.aside import session_in_graph
from tests.chat_model.brain import ThinkingServer
from tests.langchain.chains import Scripted, agent_of, on, told

HELLO = "Hello there, you said: "


@pytest.fixture
async def llm(thinking: ThinkingServer) -> AsyncIterator[SessionChatModel]:
    made = create_session_manager(storage="memory", providers={"openai": thinking.credential})
    yield SessionChatModel(manager=made, provider="openai", model="gpt-6-astra")
    await made.close()


def manager_of(llm: SessionChatModel) -> SessionManager:
    assert isinstance(llm.manager, SessionManager)
    return llm.manager


async def talk(agent: Any, *texts: str) -> list[BaseMessage]:
    state: dict[str, Any] = {}
    for text in texts:
        state = await agent.ainvoke({"messages": [HumanMessage(text)]}, {"configurable": {"thread_id": "T"}})
    found: list[BaseMessage] = state["messages"]
    return found


async def conversation(llm: SessionChatModel, session_id: str = "T") -> list[tuple[str, str]]:
    return [(role, text) for role, text, _ in await told(manager_of(llm), session_id)]


async def others(llm: SessionChatModel) -> list[str]:
    sessions = await manager_of(llm).get_user_sessions("user")
    return [session.session_id for session in sessions if session.session_id != "T"]


# ---------------------------------------------------------------- one message, asked in several ways


class Verdict(BaseModel):
    """What it is."""

    kind: str


async def test_steps_of_a_graph_ask_one_message_in_several_ways(llm: SessionChatModel) -> None:
    graphs: Any = import_module("langgraph.graph")

    async def classify(state: dict[str, Any]) -> dict[str, Any]:
        verdict: Any = await llm.with_structured_output(Verdict).ainvoke(state["messages"])
        assert verdict == Verdict(kind="tea")
        told_apart = await llm.ainvoke([SystemMessage("Say it again."), *state["messages"]])
        assert told_apart.text == f"{HELLO}'tea', please"
        return {}

    async def answer(state: dict[str, Any]) -> dict[str, Any]:
        return {"messages": [await llm.ainvoke([SystemMessage("Answer."), *state["messages"]])]}

    graph = graphs.StateGraph(graphs.MessagesState)
    graph.add_node("classify", classify)
    graph.add_node("answer", answer)
    graph.add_edge(graphs.START, "classify")
    graph.add_edge("classify", "answer")
    messages = await talk(graph.compile(checkpointer=InMemorySaver()), "'tea', please", "'tea', please")
    assert [message.text for message in messages] == ["'tea', please", f"{HELLO}'tea', please"] * 2
    answers = [text for role, text in await conversation(llm) if role == "assistant"]
    assert answers == ['{"kind": "tea"}', f"{HELLO}'tea', please", f"{HELLO}'tea', please"] * 2


async def test_a_turn_broken_off_is_resumed_under_new_instructions() -> None:
    chat = Scripted(script=["one two three", "whole"])
    other = create_session_manager(storage="memory", providers={"chat": chat})
    model = SessionChatModel(manager=other, provider="chat", model="fake", session_id="s")
    question = HumanMessage("hi", id="m1")
    async for _ in model.astream([SystemMessage("It is noon."), question]):
        break
    answer = await model.ainvoke([SystemMessage("It is one o'clock."), question])
    assert answer.text.strip() == "whole"
    assert [role for role, *_ in await told(other, "s")].count("user") == 1
    assert [message.text for message in chat.asked[-1]] == ["It is one o'clock.", "hi"]
    await other.close()


# ---------------------------------------------------------------- middleware and tools


async def test_a_choice_of_tools_is_no_answer(llm: SessionChatModel) -> None:
    selector = LLMToolSelectorMiddleware(model=llm, max_tools=1)

    @tool
    def clock() -> str:
        """Tell the time."""
        return "noon"

    agent = agent_of(llm, [clock], middleware=[selector], checkpointer=InMemorySaver())
    messages = await talk(agent, "hello", "bye")
    assert [message.text for message in messages] == ["hello", f"{HELLO}hello", "bye", f"{HELLO}bye"]
    assert await conversation(llm) == [
        ("user", "hello"),
        ("assistant", f"{HELLO}hello"),
        ("user", "bye"),
        ("assistant", f"{HELLO}bye"),
    ]
    assert len(await others(llm)) == 2


async def test_a_summary_is_asked_for_beside_the_conversation(llm: SessionChatModel) -> None:
    fixed = llm.model_copy(update={"session_id": "T"})
    summing = SummarizationMiddleware(model=fixed, trigger=("messages", 3), keep=("messages", 1))
    agent = agent_of(fixed, [], middleware=[summing], checkpointer=InMemorySaver())
    await talk(agent, "hello", "bye")
    texts = [text for role, text in await conversation(llm) if role == "user"]
    assert (texts[0], texts[-1], len(texts)) == ("hello", "bye", 3)
    assert texts[1].startswith("Here is a summary")
    [aside] = await others(llm)
    assert len(await conversation(llm, aside)) == 2


@pytest.mark.parametrize("nested", [False, True], ids=["model", "agent"])
async def test_what_a_tool_asks_is_no_part_of_the_conversation(llm: SessionChatModel, nested: bool) -> None:
    expert: Any = agent_of(llm, [])

    @tool
    async def research(topic: str) -> str:
        """Look something up."""
        if not nested:
            return str((await llm.ainvoke(f"Rewrite {topic}")).text)
        state = await expert.ainvoke({"messages": [HumanMessage(topic)]})
        return str(state["messages"][-1].text)

    agent = agent_of(llm, [research], checkpointer=InMemorySaver())
    messages = await talk(agent, "Use the tool for 'cats'.")
    said = "cats" if nested else "Rewrite cats"
    assert [message.text for message in messages][2:] == [f"{HELLO}{said}", f"{HELLO}Use the tool for 'cats'."]
    assert [role for role, _ in await conversation(llm)] == ["user", "assistant", "tool", "assistant"]
    [aside] = await others(llm)
    assert await conversation(llm, aside) == [("user", said), ("assistant", f"{HELLO}{said}")]
    assert aside.startswith("T/tools:") is nested


@pytest.mark.parametrize(
    ("namespace", "session_id"),
    [
        ("", "T"),
        ("model:1", "T"),
        ("assistant:1|model:2", "T"),
        ("tools:1", None),
        ("guard.before_model:1", None),
        ("tools:1|model:2", "T/tools:1"),
        ("tools:1|assistant:2|model:3", "T/tools:1"),
        ("tools:1|tools:2|model:3", "T/tools:1|tools:2"),
        ("tools:1|tools:2", None),
    ],
)
def test_sessions_by_the_nodes_around(namespace: str, session_id: str | None) -> None:
    assert session_in_graph({"configurable": {"checkpoint_ns": namespace}}, "T") == session_id


async def test_a_call_that_names_its_session_has_it_everywhere(manager: SessionManager) -> None:
    model = SessionChatModel(manager=manager, provider="mock", model="m")
    inside: RunnableConfig = {"configurable": {"thread_id": "T", "checkpoint_ns": "tools:1"}}
    await model.ainvoke("hi", inside, session_id="named")
    await model.bind(session_id="named").ainvoke("hi", inside)
    await model.model_copy(update={"session_id": "named"}).ainvoke("hi", inside)
    assert len(await told(manager, "named")) == 6
    own = await model.ainvoke("hi", on("T"), session_id=None)
    assert own.response_metadata["session_id"] not in ("T", "named")


async def test_a_config_that_is_given_leaves_nothing_of_the_one_around(manager: SessionManager) -> None:
    model = SessionChatModel(manager=manager, provider="mock", model="m")

    def ask(text: str) -> str:
        return str(model.invoke(text, on("inner")).text)

    await RunnableLambda(ask).ainvoke("hi", on("outer", user_id="alice"))
    assert (await manager.get_session("inner")).user_id == "user"
