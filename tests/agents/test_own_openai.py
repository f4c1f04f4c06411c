"""Agents with a ChatOpenAI of their own: over Responses their sessions go on in OpenAI's thread."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain import SessionAgentMiddleware
from tests.agents.kit import add, make_agent, on_thread, said
from tests.agents.test_native import ASKS, MODEL, kinds, manager, server
from tests.support.openai_server import OpenAIServer, Reply, ToolCall

__all__ = ["manager", "server"]


class Strict(ChatOpenAI):
    """Says of each tool whether its schema is strict, and answers without an id in one piece, for the server."""

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        payload: dict[str, Any] = cast("Any", super())._get_request_payload(*args, **kwargs)
        for at, item in enumerate(payload["input"]):
            if item.get("role") == "assistant" and "id" not in item:
                payload["input"][at] = {"role": "assistant", "content": item["content"][0]["text"]}
        return payload

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        bind = cast("Any", super().bind_tools)  # pyright: ignore[reportUnknownMemberType]
        return bind(tools, **{"strict": False, **kwargs})


def agent_on(manager: SessionManager, server: OpenAIServer, **arguments: Any) -> Any:
    """Return an agent as LangChain's docs write it, with a session for its memory."""
    settings: dict[str, Any] = {"use_responses_api": True, "max_retries": 0, **arguments.pop("settings", {})}
    model = Strict(model=MODEL, base_url=server.base_url, api_key=server.api_key, **settings)  # type: ignore[arg-type]
    memory = SessionAgentMiddleware(manager=manager, **arguments.pop("memory", {}))
    return make_agent(
        model, tools=arguments.pop("tools", [add]), system_prompt="Be brief.", middleware=[memory], **arguments
    )


async def ask(agent: Any, text: str, *, blocking: bool = False) -> str:
    given = {"messages": [{"role": "user", "content": text}]}
    run = asyncio.to_thread(agent.invoke, given, on_thread("t")) if blocking else agent.ainvoke(given, on_thread("t"))
    return str((await run)["messages"][-1].text)


@pytest.mark.parametrize("blocking", [False, True])
async def test_only_what_is_new_is_sent(manager: SessionManager, server: OpenAIServer, blocking: bool) -> None:
    agent = agent_on(manager, server)
    server.script(ASKS, "3 and 7.", "Yes.")
    assert await ask(agent, "both", blocking=blocking) == "3 and 7."
    assert await ask(agent, "sure?", blocking=blocking) == "Yes."
    assert [kinds(server, at) for at in range(3)] == [["message"], ["function_call_output"] * 2, ["message"]]
    bodies: list[Any] = [request.body for request in server.creates]
    issued = [request.response_id for request in server.creates]
    assert [body.get("previous_response_id") for body in bodies] == [None, *issued[:2]]
    assert [body["instructions"] for body in bodies] == ["Be brief."] * 3
    assert [[tool["name"] for tool in body["tools"]] for body in bodies] == [["add"]] * 3
    assert (await manager.get_session("t")).provider_session_id == issued[2]


async def test_a_thread_lost_in_the_loop_is_healed(manager: SessionManager, server: OpenAIServer) -> None:
    def forget() -> str:
        """Lose the thread."""
        server.forget()
        return "forgotten"

    agent = agent_on(manager, server, tools=[forget])
    server.script(Reply(tool_calls=(ToolCall("forget", {}),)), "Still here.")
    assert await ask(agent, "go") == "Still here."
    assert kinds(server) == ["message", "function_call", "function_call_output"]
    assert (await (await manager.get_session("t")).get_metrics()).rebuilds == 1
    assert [line.partition(":")[0] for line in await said(manager, "t") if not line.startswith("system")] == [
        "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    server.script("Again.")
    assert await ask(agent, "really?") == "Again."
    assert kinds(server) == ["message"], "the thread is a new one, and goes on"


@pytest.mark.parametrize("settings", [{"store": False}, {"use_previous_response_id": True}])
async def test_a_model_that_minds_its_thread_is_left_alone(
    manager: SessionManager, server: OpenAIServer, settings: dict[str, Any]
) -> None:
    agent = agent_on(manager, server, settings=settings)
    await ask(agent, "one")
    assert kinds(server) == ["message", "message"], "the system prompt is the model's own to send"
    assert (await manager.get_session("t")).provider_session_id is None


async def test_where_the_graph_owns_the_history_it_is_sent(manager: SessionManager, server: OpenAIServer) -> None:
    agent = agent_on(manager, server, checkpointer=InMemorySaver())
    server.script(Reply(tool_calls=(ToolCall("add", {"a": 1, "b": 2}),)), "3")
    await ask(agent, "one")
    sent: Any = server.creates[-1].body
    assert len(sent["input"]) == 4
    assert "previous_response_id" not in sent


async def test_a_thread_is_told_what_was_said_while_the_graph_owned_the_history(
    manager: SessionManager, server: OpenAIServer
) -> None:
    by_session = agent_on(manager, server)
    by_graph = agent_on(manager, server, checkpointer=InMemorySaver())
    await ask(by_session, "one")
    await ask(by_graph, "two")
    await ask(by_session, "three")
    body: Any = server.creates[-1].body
    told = [item["content"] for item in body["input"]]
    assert body["previous_response_id"] == server.creates[0].response_id
    assert told == ["two", "[1] You said: two", "three"], "what the thread has not seen, once"
