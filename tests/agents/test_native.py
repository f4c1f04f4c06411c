"""Agents whose model calls a session's provider answers: OpenAI keeps the thread, only what is new is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from langchain.agents.middleware import ModelRetryMiddleware, dynamic_prompt, wrap_model_call
from langchain.agents.structured_output import ToolStrategy
from langchain_core.language_models import FakeListChatModel
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel

from langswarm_sessions import (
    ConfigurationError,
    InvalidInputError,
    RetryPolicy,
    SessionManager,
    create_session_manager,
)
from langswarm_sessions_langchain import SessionAgentMiddleware
from tests.agents.kit import add, make_agent, on_thread, said
from tests.support.openai_server import OpenAIServer, Reply, ToolCall
from tests.support.openai_server.faults import http_error

MODEL = "gpt-6-astra"
PLACEHOLDER = FakeListChatModel(responses=["never asked"])
ASKS = Reply(tool_calls=(ToolCall("add", {"a": 1, "b": 2}), ToolCall("add", {"a": 3, "b": 4})))


class Weather(BaseModel):
    """The weather."""

    sunny: bool


@pytest.fixture
def server(openai_environment: OpenAIServer) -> OpenAIServer:
    return openai_environment


@pytest.fixture
async def manager(tmp_path: Path, server: OpenAIServer) -> AsyncIterator[SessionManager]:
    made = create_session_manager(
        storage="sqlite",
        storage_config={"db_path": str(tmp_path / "chat.db")},
        retry=RetryPolicy(max_attempts=2, initial_delay=0, jitter=0),
    )
    yield made
    made.bridge.close()
    await made.close()


def agent_on(manager: SessionManager, **arguments: Any) -> Any:
    """Return an agent whose sessions OpenAI answers."""
    inner = arguments.pop("middleware", [])
    memory = SessionAgentMiddleware(manager=manager, provider="openai", model=MODEL)
    return make_agent(PLACEHOLDER, tools=arguments.pop("tools", [add]), middleware=[memory, *inner], **arguments)


async def ask(agent: Any, text: str, *, blocking: bool = False) -> Any:
    given = {"messages": [{"role": "user", "content": text}]}
    config = on_thread("t")
    return await (asyncio.to_thread(agent.invoke, given, config) if blocking else agent.ainvoke(given, config))


def kinds(server: OpenAIServer, at: int = -1) -> list[str]:
    """Return what the items of a request are."""
    body: Any = server.creates[at].body
    return [str(item["type"]) for item in body["input"]]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("checkpointed", [False, True])
async def test_a_tool_loop_in_a_native_thread(
    manager: SessionManager, server: OpenAIServer, blocking: bool, checkpointed: bool
) -> None:
    prompts = iter(["Be brief.", "Be brief.", "Be long."])

    @dynamic_prompt
    def prompt(_: Any) -> str:
        return next(prompts)

    checkpointer = InMemorySaver() if checkpointed else None
    agent = agent_on(manager, middleware=[prompt], checkpointer=checkpointer)
    server.script(ASKS, "3 and 7.", "Yes.")
    first = await ask(agent, "both", blocking=blocking)
    assert first["messages"][-1].text == "3 and 7."
    assert first["messages"][-1].usage_metadata["total_tokens"] > 0
    await ask(agent, "sure?", blocking=blocking)
    assert [kinds(server, at) for at in range(3)] == [
        ["message"],
        ["function_call_output", "function_call_output"],
        ["message"],
    ]
    bodies: list[Any] = [request.body for request in server.creates]
    issued = [request.response_id for request in server.creates]
    assert [body.get("previous_response_id") for body in bodies] == [None, *issued[:2]]
    assert [body["instructions"] for body in bodies] == ["Be brief.", "Be brief.", "Be long."]
    assert [[tool["name"] for tool in body["tools"]] for body in bodies] == [["add"]] * 3
    kept = [line for line in await said(manager, "t") if not line.startswith("system")]
    assert [line.partition(":")[0] for line in kept] == [
        "user", "assistant", "tool", "tool", "assistant", "user", "assistant",
    ]  # fmt: skip


async def test_a_lost_thread_is_healed_in_the_loop(manager: SessionManager, server: OpenAIServer) -> None:
    def forget() -> str:
        """Lose the thread."""
        server.forget()
        return "forgotten"

    agent = agent_on(manager, tools=[forget])
    server.script(Reply(tool_calls=(ToolCall("forget", {}),)), "Still here.")
    assert (await ask(agent, "go"))["messages"][-1].text == "Still here."
    assert kinds(server) == ["message", "function_call", "function_call_output"]
    assert (await (await manager.get_session("t")).get_metrics()).rebuilds == 1


@pytest.mark.parametrize("blocking", [False, True])
async def test_tokens_reach_the_graphs_stream(manager: SessionManager, server: OpenAIServer, blocking: bool) -> None:
    agent = agent_on(manager)
    server.script(ASKS, "three and seven it is")
    given = {"messages": [{"role": "user", "content": "both"}]}
    if blocking:
        chunks = await asyncio.to_thread(lambda: list(agent.stream(given, on_thread("t"), stream_mode="messages")))
    else:
        chunks = [chunk async for chunk in agent.astream(given, on_thread("t"), stream_mode="messages")]
    texts = [chunk.text for chunk, told in chunks if told["langgraph_node"] == "model" and chunk.text]
    assert "".join(texts) == "three and seven it is"
    assert len(texts) > 1
    assert (await said(manager, "t"))[-1] == "assistant: three and seven it is"


async def test_a_reader_that_leaves_interrupts_the_turn(manager: SessionManager, server: OpenAIServer) -> None:
    agent = agent_on(manager)
    server.script("one two three four five six")
    stream = agent.astream({"messages": [{"role": "user", "content": "count"}]}, on_thread("t"), stream_mode="messages")
    async for _ in stream:
        break
    await stream.aclose()
    kept = await said(manager, "t")
    assert kept[0] == "user: count [interrupted]"


@pytest.mark.parametrize("strategy", ["auto", "tool"])
async def test_structured_answers(manager: SessionManager, server: OpenAIServer, strategy: str) -> None:
    agent = agent_on(manager, response_format=Weather if strategy == "auto" else ToolStrategy(Weather))
    if strategy == "auto":
        server.script('{"sunny": true}')
    else:
        server.script(Reply(tool_calls=(ToolCall("Weather", {"sunny": True}),)), "Fine.")
    assert (await ask(agent, "weather?"))["structured_response"] == Weather(sunny=True)
    body: Any = server.creates[0].body
    assert (body.get("text", {}).get("format", {}).get("type") == "json_schema") == (strategy == "auto")
    if strategy == "tool":
        plain = agent_on(manager)
        await ask(plain, "thanks")
        assert kinds(server) == ["function_call_output", "message"]


async def test_a_call_that_is_retried_says_nothing_twice(manager: SessionManager, server: OpenAIServer) -> None:
    retrying = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False, on_failure="error")
    agent = agent_on(manager, middleware=[retrying])
    server.fault(http_error(401))
    assert (await ask(agent, "hi"))["messages"][-1].text == "[1] You said: hi"
    assert await said(manager, "t") == ["user: hi", "assistant: [1] You said: hi"]


async def test_a_session_that_has_a_provider_answers_the_agent(manager: SessionManager, server: OpenAIServer) -> None:
    await manager.create_session("user", "openai", MODEL, session_id="t")
    memory = SessionAgentMiddleware(manager=manager)
    agent = make_agent(PLACEHOLDER, tools=[add], middleware=[memory])
    server.script("From OpenAI.")
    assert (await ask(agent, "hi"))["messages"][-1].text == "From OpenAI."
    assert memory.history_owner == "session"
    session = await manager.get_session("t")
    assert (await session.send_message("and you?")).content == "[2] You said: and you?"


async def test_contradictions_are_refused(manager: SessionManager, server: OpenAIServer) -> None:
    with pytest.raises(ConfigurationError, match="history"):
        SessionAgentMiddleware(manager=manager, provider="openai", model=MODEL, history="graph")
    with pytest.raises(ConfigurationError, match="belong together"):
        SessionAgentMiddleware(manager=manager, provider="openai")
    await manager.create_session("user", "openai", MODEL, session_id="t")
    memory = SessionAgentMiddleware(manager=manager, history="graph")
    with pytest.raises(ConfigurationError, match="history='graph'"):
        await ask(make_agent(PLACEHOLDER, middleware=[memory]), "hi")
    other = SessionAgentMiddleware(manager=manager, provider="mock", model="m")
    with pytest.raises(ConfigurationError, match="was created with"):
        await ask(make_agent(PLACEHOLDER, middleware=[other]), "hi")
    assert server.creates == []


async def test_settings_of_the_model_are_the_sessions(manager: SessionManager, server: OpenAIServer) -> None:
    @wrap_model_call
    async def cooler(request: Any, handler: Any) -> Any:
        return await handler(request.override(model_settings={"temperature": 0.1}))

    memory = SessionAgentMiddleware(
        manager=manager, provider="openai", model=MODEL, provider_config={"temperature": 0.7}
    )
    await ask(make_agent(PLACEHOLDER, middleware=[memory]), "hi")
    body: Any = server.creates[-1].body
    assert body["temperature"] == 0.7
    with pytest.raises(InvalidInputError, match=r"model_settings: 'temperature'.*provider_config"):
        await ask(make_agent(PLACEHOLDER, middleware=[memory, cooler]), "hi")
    with pytest.raises(ConfigurationError, match="provider_config= belongs to provider="):
        SessionAgentMiddleware(manager=manager, provider_config={"temperature": 0.7})
