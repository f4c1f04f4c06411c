"""SessionRunnable as a Runnable among Runnables: a tool, copies and pickles, types, pictures, events, streams."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import ConfigurableField, RunnableLambda, RunnablePassthrough
from langchain_core.tools import BaseTool, StructuredTool, Tool
from pydantic import BaseModel

from langswarm_sessions import (
    ConfigurationError,
    SessionBusyError,
    SessionManager,
    create_session_manager,
    get_session_manager,
    set_session_manager,
)
from langswarm_sessions_langchain import SessionRunnable
from tests.langchain.chains import Scripted, agent_of, on, stored, summed, told


@pytest.fixture
def runnable(manager: SessionManager) -> SessionRunnable:
    return SessionRunnable(manager=manager, provider="mock", model="mock-model")


@pytest.fixture
def process_wide(tmp_path: Path) -> Iterator[SessionManager]:
    made = create_session_manager(storage="sqlite", storage_config={"db_path": str(tmp_path / "wide.db")})
    set_session_manager(made)
    yield made
    set_session_manager(None)
    made.bridge.call(made.close)
    made.bridge.close()


def answering(manager: SessionManager | None, model: Scripted | None = None) -> SessionRunnable:
    parts: list[Any] = [("system", "Be {style}."), MessagesPlaceholder("past"), ("human", "{q}")]
    bound = ChatPromptTemplate.from_messages(parts) | (model or Scripted())
    return SessionRunnable(bound, manager=manager, input_messages_key="q", history_messages_key="past")


class CallingTools(Scripted):
    """Takes tools, and calls those its script says."""

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self


# ---------------------------------------------------------------- a tool


async def test_a_tool_takes_a_text(runnable: SessionRunnable, manager: SessionManager) -> None:
    tool = runnable.as_tool(name="memory", description="Remembers what it is told.")
    assert isinstance(tool, Tool)
    assert (tool.name, tool.description) == ("memory", "Remembers what it is told.")
    assert await tool.ainvoke("hi", on("s")) == "Mock response to: hi"
    assert tool.invoke("you", on("s")) == "Mock response to: you"
    assert [text for role, text, _ in await told(manager, "s") if role == "user"] == ["hi", "you"]


async def test_a_tool_takes_what_the_prompt_takes(manager: SessionManager) -> None:
    tool = answering(manager).as_tool(name="ask")
    assert isinstance(tool, StructuredTool)
    assert {name: entry["type"] for name, entry in tool.args.items()} == {"q": "string", "style": "string"}
    assert "remembers" in tool.description
    for number in (1, 2):
        assert await tool.ainvoke({"q": "hi", "style": "kind"}, on("s")) == f"answer {number}"
    assert len(await stored(manager, "s")) == 4


async def test_a_tool_with_arguments_of_ones_own(manager: SessionManager) -> None:
    class Question(BaseModel):
        """A question."""

        q: str
        style: str = "kind"

    for tool in (
        answering(manager).as_tool(args_schema=Question, name="ask"),
        answering(manager).as_tool(arg_types={"q": str, "style": str}, name="ask"),
    ):
        assert sorted(tool.args) == ["q", "style"]
        assert tool.invoke({"q": "hi", "style": "kind"}, on("s")) in ("answer 1", "answer 2")


async def test_an_agents_tool_is_in_the_session_its_config_names(manager: SessionManager) -> None:
    tool: BaseTool = SessionRunnable(Scripted(script=["It is 3."]), manager=manager).as_tool(name="ask")
    call = {"name": "ask", "args": {"__arg1": "How many?"}, "id": "c1"}
    model = CallingTools(script=[AIMessage("", tool_calls=[call]), "Three."])
    agent: Any = agent_of(model, [tool])
    state = await agent.ainvoke({"messages": [("human", "count")]}, on("s", user_id="alice"))
    [result] = [message for message in state["messages"] if isinstance(message, ToolMessage)]
    assert result.text == "It is 3."
    assert [(role, text) for role, text, _ in await told(manager, "s")] == [
        ("user", "How many?"),
        ("assistant", "It is 3."),
    ]
    assert (await manager.get_session("s")).user_id == "alice"


# ---------------------------------------------------------------- copies and pickles


def test_copies_share_the_manager(runnable: SessionRunnable, manager: SessionManager) -> None:
    chain = answering(manager)
    piped: Any = chain | StrOutputParser()
    copies = (copy.copy(chain), copy.deepcopy(chain), chain.model_copy(deep=True), copy.deepcopy(piped).first)
    for copied in copies:
        assert isinstance(copied, SessionRunnable)
        assert copied.manager is manager
        assert copied.invoke({"q": "hi", "style": "kind"}, on("s")).text
    assert copy.deepcopy(chain).bound is not chain.bound


def test_a_pickle_finds_the_process_wide_manager(process_wide: SessionManager) -> None:
    for made in (answering(None), answering(process_wide)):
        again = pickle.loads(pickle.dumps(made | StrOutputParser()))
        assert again.first.manager is None
        assert again.first.input_messages_key == "q"
        assert again.invoke({"q": "hi", "style": "kind"}, on("s")) == "answer 1"
    assert len(process_wide.bridge.call(stored, process_wide, "s")) == 4


def test_another_manager_cannot_be_pickled(manager: SessionManager, process_wide: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match=r"SessionRunnable: a manager cannot be pickled.*set_session_manager"):
        pickle.dumps(answering(manager))


_CHILD = """
import pickle, sys
from langswarm_sessions import ConfigurationError, create_session_manager, set_session_manager
runnable = pickle.load(sys.stdin.buffer)
config = {"configurable": {"session_id": "s"}}
try:
    runnable.invoke("lost", config)
except ConfigurationError as error:
    print(error)
manager = create_session_manager(storage="sqlite", storage_config={"db_path": sys.argv[1]})
set_session_manager(manager)
print(runnable.invoke("there", config).text)
"""


def test_a_pickle_goes_on_with_the_session_in_another_process(
    process_wide: SessionManager, tmp_path: Path, own_folder: Path
) -> None:
    runnable = SessionRunnable(provider="mock", model="mock-model")
    runnable.invoke("here", on("s"))
    before = sorted(own_folder.iterdir())
    command = [sys.executable, "-c", _CHILD, str(tmp_path / "wide.db")]
    done = subprocess.run(command, input=pickle.dumps(runnable), capture_output=True, check=False)
    refused, answered = done.stdout.decode().splitlines()
    assert "Call set_session_manager(manager) here" in refused, done.stderr.decode()
    assert answered == "Mock response to: there"
    assert sorted(own_folder.iterdir()) == before  # no database was made in the place of the one that is missing
    assert [text for role, text, _ in process_wide.bridge.call(told, process_wide, "s") if role == "user"] == [
        "here",
        "there",
    ]


def test_a_pickle_of_all_defaults_needs_nothing(own_folder: Path) -> None:
    set_session_manager(None)
    try:
        again = pickle.loads(pickle.dumps(SessionRunnable(provider="mock", model="mock-model")))
        assert again.invoke("hi", on("s")).text == "Mock response to: hi"
        manager = get_session_manager()
        manager.bridge.call(manager.close)
        manager.bridge.close()
    finally:
        set_session_manager(None)
    assert (own_folder / "langswarm_sessions.db").exists()


# ---------------------------------------------------------------- types and pictures


def test_types_and_schemas(runnable: SessionRunnable, manager: SessionManager) -> None:
    assert runnable.get_output_jsonschema()["title"] == "AIMessage"
    assert runnable.get_input_jsonschema()
    assert list(answering(manager).get_input_jsonschema()["properties"]) == ["q"]
    typed = runnable.with_types(input_type=str, output_type=AIMessage)
    assert typed.get_input_jsonschema()["type"] == "string"
    assert typed.invoke("hi", on("s")).text == "Mock response to: hi"
    assert typed.config_schema().model_json_schema()
    assert [spec.id for spec in (typed | StrOutputParser()).config_specs] == ["session_id", "user_id"]


def test_fields_that_can_be_chosen_later(manager: SessionManager) -> None:
    runnable: Any = SessionRunnable(manager=manager, provider="mock", model="a").configurable_fields(
        model=ConfigurableField(id="which")
    )
    assert runnable.invoke("hi", on("s", which="b")).response_metadata["model_name"] == "b"


def test_pictures(runnable: SessionRunnable, manager: SessionManager) -> None:
    plain = runnable.get_graph()
    ids = list(plain.nodes)
    assert [(edge.source, edge.target) for edge in plain.edges] == list(pairwise(ids))
    drawn = (answering(manager) | StrOutputParser()).get_graph().draw_mermaid()
    for before, after in (
        ("SessionRunnable", "ChatPromptTemplate"),
        ("ChatPromptTemplate", "Scripted"),
        ("Scripted", "StrOutputParser"),
    ):
        assert f"{before} --> {after};" in drawn, drawn
    one = SessionRunnable(RunnableLambda(str, name="say"), manager=manager).get_graph()
    assert [node.name for node in one.nodes.values()][1:3] == ["SessionRunnable", "say"]


# ---------------------------------------------------------------- events and streams


async def test_events_and_logs_of_a_stream(runnable: SessionRunnable) -> None:
    chain = runnable | StrOutputParser()
    events: list[Any] = [event async for event in chain.astream_events("hi there", on("s"), version="v2")]
    streamed = [event for event in events if (event["event"], event["name"]) == ("on_chain_stream", "SessionRunnable")]
    assert "".join(event["data"]["chunk"].text for event in streamed) == "Mock response to: hi there"
    with pytest.warns(DeprecationWarning, match="astream_log"):
        patches = [patch async for patch in chain.astream_log("hi", on("s"))]
    assert any("streamed_output" in operation["path"] for patch in patches for operation in patch.ops)


async def test_transforms(runnable: SessionRunnable) -> None:
    async def given() -> AsyncIterator[str]:
        for piece in ("hi", " ", "there"):
            yield piece

    assert summed([chunk async for chunk in runnable.atransform(given(), on("a"))]).text == "Mock response to: hi there"
    assert summed(list(runnable.transform(iter(["hi", " you"]), on("b")))).text == "Mock response to: hi you"


def question(given: dict[str, str]) -> str:
    return given["q"]


async def test_steps_around(manager: SessionManager, runnable: SessionRunnable) -> None:
    assigned: Any = RunnablePassthrough.assign(answer=RunnableLambda(question) | runnable)
    assert (await assigned.ainvoke({"q": "hi"}, on("s")))["answer"].text == "Mock response to: hi"
    assert (await assigned.pick("answer").ainvoke({"q": "you"}, on("s"))).text == "Mock response to: you"
    mapped = runnable.map()
    answers = await mapped.ainvoke(["a", "b"], on("s"))
    assert sorted(answer.text for answer in answers) == ["Mock response to: a", "Mock response to: b"]
    done = dict(runnable.batch_as_completed(["a", "b"], [on("x"), on("y")]))
    assert [done[at].response_metadata["session_id"] for at in (0, 1)] == ["x", "y"]
    assert len(await stored(manager, "s")) == 8


async def test_a_session_within_itself_is_refused_at_once(manager: SessionManager) -> None:
    inner = SessionRunnable(Scripted(), manager=manager)
    outer = SessionRunnable(inner, manager=manager)
    with pytest.raises(SessionBusyError, match="session_id of its own"):
        await outer.ainvoke("hi", on("s"))
    with pytest.raises(SessionBusyError, match="session_id of its own"):
        outer.invoke("hi", on("s"))

    def elsewhere(text: Any) -> Any:
        return inner.invoke(text, on("inner"))

    assert SessionRunnable(RunnableLambda(elsewhere), manager=manager).invoke("hi", on("t")).text == "answer 1"
    assert (await inner.ainvoke("hi", on("s"))).text == "answer 2"
