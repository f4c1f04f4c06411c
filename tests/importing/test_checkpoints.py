"""Databases of LangGraph's SqliteSaver, written by graphs that run."""

# pyright: reportMissingTypeStubs=false

from __future__ import annotations

import json
import os
import pickle
import random
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any, TypedDict, cast

import ormsgpack
import pytest
from langchain.agents import AgentState
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    ToolMessage,
    message_to_dict,
    messages_from_dict,
)
from langchain_core.tools import tool
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES, _messages_delta_reducer
from langgraph.types import Overwrite

from langchain import agents
from langswarm_sessions import SessionManager
from langswarm_sessions.importing import CheckpointSource
from langswarm_sessions.importing.checkpoint_values import folded, unpacked
from tests.importing.written import adds_up, as_langchain, digests

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::PendingDeprecationWarning")


class Scripted(GenericFakeChatModel):
    """Answers with what a test lists, whatever tools it is given."""

    def bind_tools(self, tools: Any, **_: Any) -> Any:
        """Return itself."""
        return self


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


class DeltaState(TypedDict):
    """Messages kept as what was written, whole at every third step."""

    messages: Annotated[list[BaseMessage], DeltaChannel(cast(Any, _messages_delta_reducer), snapshot_frequency=3)]


def answer(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Answer with two parallel calls and their results; do what the input says of the messages before."""
    messages: Sequence[BaseMessage] = state["messages"]
    said = str(messages[-1].content)
    if said == "forget the first":
        return {"messages": [RemoveMessage(id=str(messages[0].id))]}
    if said == "forget all":
        return {"messages": [RemoveMessage(id=REMOVE_ALL_MESSAGES), AIMessage("Who are you?")]}
    if said == "correct yourself":
        return {"messages": [AIMessage("corrected", id=messages[-2].id)]}
    if said == "begin anew":
        return {"messages": Overwrite([HumanMessage("fresh", id="fresh")])}
    calls = [{"name": "weather", "args": {"at": [len(messages)]}, "id": f"{said}-{number}"} for number in (1, 2)]
    results = [ToolMessage("sun", tool_call_id=str(call["id"]), artifact={"seen": 1}) for call in calls]
    return {"messages": [AIMessage("", tool_calls=calls), *results, AIMessage(f"to {said}")]}


def graph_of(node: Callable[[Any], Any], state: type[Any], saver: object) -> Any:
    """Return a graph of one node."""
    builder: Any = StateGraph
    return builder(state).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)


def run(said: Mapping[str, Sequence[str]], *, state: type[Any] = MessagesState) -> dict[str, list[BaseMessage]]:
    """Run a graph on threads; return their messages."""
    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        graph = graph_of(answer, state, saver)
        for thread_id, inputs in said.items():
            for text in inputs:
                graph.invoke({"messages": [("user", text)]}, {"configurable": {"thread_id": thread_id}})
        return {
            thread_id: graph.get_state({"configurable": {"thread_id": thread_id}}).values["messages"]
            for thread_id in said
        }


@pytest.mark.parametrize("state", [MessagesState, DeltaState])
async def test_a_thread_becomes_a_session(manager: SessionManager, state: type[Any]) -> None:
    threads = run({"rome": [f"q{number}" for number in range(5)], "oslo": ["hi"]}, state=state)
    before = digests()
    report = await manager.import_from("checkpoints.db", user_id="ada")
    assert digests() == before
    assert adds_up(report)
    assert (report.sessions_imported, report.messages_stored, report.is_complete) == (2, 30, True)
    for thread_id, messages in threads.items():
        assert await as_langchain(manager, thread_id) == messages
    again = await manager.import_from("checkpoints.db", user_id="ada", resume=True)
    assert (again.messages_already_there, again.messages_stored) == (30, 0)
    run({"rome": ["more"]}, state=state)
    assert (await manager.import_from("checkpoints.db", user_id="ada")).messages_stored == 5


@pytest.mark.parametrize("said", ["forget the first", "forget all", "correct yourself", "begin anew"])
async def test_messages_kept_as_writes_are_put_together_as_the_graph_does(manager: SessionManager, said: str) -> None:
    expected = run({"rome": ["one", "two", said, "three"]}, state=DeltaState)["rome"]
    await manager.import_from("checkpoints.db", user_id="ada")
    assert await as_langchain(manager, "rome") == expected


async def test_what_the_graph_forgot_since_stays_in_the_transcript(manager: SessionManager) -> None:
    first = run({"rome": ["one"]})["rome"]
    await manager.import_from("checkpoints.db", user_id="ada")
    second = run({"rome": ["forget all"]})["rome"]
    report = await manager.import_from("checkpoints.db", user_id="ada")
    assert (report.messages_read, report.messages_stored) == (len(second), len(second))
    assert await as_langchain(manager, "rome") == [*first, *second]


async def test_a_thread_without_messages_is_skipped_and_said_so(manager: SessionManager) -> None:
    class Count(TypedDict):
        count: int

    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        graph = graph_of(lambda state: {"count": state["count"] + 1}, Count, saver)
        graph.invoke({"count": 1}, {"configurable": {"thread_id": "counter"}})
    run({"rome": ["hi"]})
    report = await manager.import_from("checkpoints.db", user_id="ada")
    assert adds_up(report)
    assert (report.sessions_found, report.sessions_imported, report.sessions_skipped) == (2, 1, 1)
    assert [(problem.session_id, problem.row) for problem in report.problems] == [("counter", None)]


CONSTRUCTOR: dict[str, Any] = {"lc": 2, "type": "constructor", "id": ["os", "mkdir"], "args": ["trapped"], "kwargs": {}}


class Trap:
    """What runs when it is unpickled, constructed or looked up."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("trapped",))


@pytest.mark.parametrize("kind", ["pickle", "msgpack", "json", "msgpack+aes", "damaged"])
async def test_nothing_in_a_checkpoint_is_run(manager: SessionManager, kind: str) -> None:
    run({"rome": ["hi"], "safe": ["hi"]})
    calls = [
        ormsgpack.Ext(code, ormsgpack.packb(["os", "mkdir", arguments, None]))
        for code, arguments in (
            (0, "trapped"),
            (1, ["trapped"]),
            (2, {"path": "trapped"}),
            (3, "trapped"),
            (4, {"path": "trapped"}),
            (5, {"path": "trapped"}),
        )
    ]
    data = {
        "pickle": pickle.dumps(Trap()),
        "msgpack": ormsgpack.packb({"channel_values": {"messages": calls}}),
        "json": json.dumps({"channel_values": {"messages": [CONSTRUCTOR]}}).encode(),
        "msgpack+aes": b"sealed",
        "damaged": b"\xc1\xff",
    }[kind]
    with closing(sqlite3.connect("checkpoints.db")) as database, database:
        database.execute(
            "UPDATE checkpoints SET type = ?, checkpoint = ? WHERE thread_id = 'rome'",
            ["msgpack" if kind == "damaged" else kind, data],
        )
    report = await manager.import_from("checkpoints.db", user_id="ada")
    assert "trapped" not in os.listdir()
    assert adds_up(report)
    assert (report.sessions_imported, report.sessions_skipped) == (1, 1)
    assert {problem.session_id for problem in report.problems} == {"rome"}


async def test_an_agents_thread_becomes_a_session_with_its_calls(manager: SessionManager) -> None:
    """As `create_agent` keeps it, with a structured response and a state key of the user's own beside the messages."""

    class State(AgentState[Any]):
        visits: int

    calls = [{"name": "weather", "args": {"city": city}, "id": f"call-{city}"} for city in ("Rome", "Oslo")]
    answers = [AIMessage("", tool_calls=calls), AIMessage("Sunny in both.")]
    create_agent: Any = vars(agents)["create_agent"]
    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        agent = create_agent(Scripted(messages=iter(answers)), [weather], state_schema=State, checkpointer=saver)
        asked = {"messages": [HumanMessage([{"type": "text", "text": "Weather?"}])], "visits": 1}
        kept = agent.invoke(asked, {"configurable": {"thread_id": "t"}})["messages"]
    report = await manager.import_from("checkpoints.db", user_id="ada")
    assert (report.messages_stored, report.is_complete) == (5, True)
    assert await as_langchain(manager, "t") == kept
    stored = await (await manager.get_session("t")).get_messages()
    assert [call.id for call in stored[1].tool_calls] == ["call-Rome", "call-Oslo"]
    assert [message.tool_results[0].tool_call_id for message in stored[2:4]] == ["call-Rome", "call-Oslo"]


def test_writes_are_put_together_as_langgraph_does_whatever_they_are() -> None:
    chance = random.Random(1)
    ids = [f"id-{number}" for number in range(12)]

    def message() -> BaseMessage:
        if chance.random() < 0.3:
            return RemoveMessage(id=chance.choice(ids))
        return HumanMessage(str(chance.random()), id=chance.choice([*ids, None]))

    for _ in range(100):
        base = [HumanMessage(name, id=name) for name in ids[:3]]
        writes = [[message() for _ in range(3)] for _ in range(8)]
        expected = _messages_delta_reducer(cast(Any, base), cast(Any, writes))
        plain = folded([message_to_dict(one) for one in base], [[message_to_dict(one) for one in w] for w in writes])
        assert messages_from_dict(plain) == expected


async def test_another_channel_can_be_read(manager: SessionManager) -> None:
    class Chat(TypedDict):
        chat: list[BaseMessage]

    with SqliteSaver.from_conn_string("checkpoints.db") as saver:
        graph = graph_of(lambda state: {"chat": [*state["chat"], AIMessage("yes")]}, Chat, saver)
        asked = {"chat": [HumanMessage("hi"), HumanMessage("hi")]}
        graph.invoke(asked, {"configurable": {"thread_id": "t"}})
    report = await manager.import_from(CheckpointSource("sqlite:///checkpoints.db", channel="chat"), user_id="ada")
    assert report.messages_stored == 3
    assert [message.text for message in await as_langchain(manager, "t")] == ["hi", "hi", "yes"]
    assert (
        await manager.import_from(CheckpointSource("sqlite:///checkpoints.db", channel="chat"), user_id="ada")
    ).messages_already_there == 3


def test_the_old_json_form_is_read() -> None:
    told = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "HumanMessage"]}
    kind, data = "json", json.dumps({**told, "kwargs": {"content": "hi"}}).encode()
    assert unpacked(kind, data)["kwargs"] == {"content": "hi"}
    assert JsonPlusSerializer().loads_typed((kind, data)) == HumanMessage("hi")
