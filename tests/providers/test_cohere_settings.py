"""How the settings and tools of a session reach Cohere, and which are refused before anything is sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.cohere import CohereConnection, CohereProviderSession
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.records import TurnOptions
from tests.support.cohere_server import CohereServer, Reply, ToolCall

pytest_plugins = ["tests.support.cohere_server.plugin"]

MODEL = "command-a-03-2025"
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}
OPTIONS = TurnOptions(tools=(CLOCK,))

Open = Callable[..., CohereProviderSession]


@pytest.fixture
async def connection(cohere_server: CohereServer) -> AsyncIterator[CohereConnection]:
    made = connect_cohere({"api_key": cohere_server.api_key, "base_url": cohere_server.base_url})
    yield made
    await made.aclose()


@pytest.fixture
def opened(connection: CohereConnection) -> Open:
    def open_session(**config: Any) -> CohereProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


async def ask(session: CohereProviderSession, **fields: Any) -> Completed:
    message = SessionMessage(role=Role.USER, content="hi")
    return await collect(session.stream_turn(ProviderRequest(messages=(message,), **fields)), provider="cohere")


def sent(server: CohereServer) -> dict[str, Any]:
    return dict(server.requests[-1].body or {})


async def test_every_setting_reaches_the_wire(opened: Open, cohere_server: CohereServer) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    session = opened(
        temperature=0.25,
        top_p=0.5,
        top_k=40,
        max_tokens=99,
        seed=7,
        stop="END",
        frequency_penalty=0.1,
        presence_penalty=0.2,
        safety_mode="STRICT",
        citation_mode="OFF",
        reasoning_effort="low",
        thinking_budget=512,
        response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": schema, "strict": True}},
        tool_choice="required",
        timeout=5,
    )
    cohere_server.script(Reply(tool_calls=(ToolCall("clock"),)))
    await ask(session, options=OPTIONS, instructions="Be brief.")
    assert sent(cohere_server) == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "temperature": 0.25,
        "p": 0.5,
        "k": 40,
        "max_tokens": 99,
        "seed": 7,
        "stop_sequences": ["END"],
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "safety_mode": "STRICT",
        "citation_options": {"mode": "OFF"},
        "thinking": {"type": "enabled", "token_budget": 512},
        "response_format": {"type": "json_object", "json_schema": schema},
        "tool_choice": "REQUIRED",
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "clock",
                    "description": "Tells the time.",
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                },
            }
        ],
        "stream": True,
    }


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"top_p": 1}, "0.99"),
        ({"top_k": 501}, "500"),
        ({"frequency_penalty": -1}, "from 0 to 1"),
        ({"presence_penalty": 1.5}, "from 0 to 1"),
        ({"stop": list("abcdef")}, "at most 5"),
        ({"safety_mode": "strict"}, "STRICT"),
        ({"citation_mode": "no"}, "FAST"),
        ({"thinking_budget": 0}, "at least 1"),
        ({"native": "node"}, "'none'"),
        ({"response_format": "json_schema"}, "schema"),
        ({"response_format": {"type": "json_object", "schema": 1}}, "schema"),
        ({"k": 3}, "top_k"),
    ],
)
def test_what_the_api_would_refuse_is_refused_before(opened: Open, config: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        opened(**config)


@pytest.mark.parametrize(
    ("given", "wire"),
    [
        ("json_object", {"type": "json_object"}),
        ("text", {"type": "text"}),
        ({"type": "json_schema", "schema": {"a": 1}, "name": "out"}, {"type": "json_object", "json_schema": {"a": 1}}),
        ({"type": "json_object", "schema": {"a": 1}}, {"type": "json_object", "json_schema": {"a": 1}}),
        ({"type": "json_object", "json_schema": {"a": 1}}, {"type": "json_object", "json_schema": {"a": 1}}),
    ],
)
async def test_each_way_to_ask_for_a_format(
    opened: Open, cohere_server: CohereServer, given: Any, wire: dict[str, Any]
) -> None:
    await ask(opened(response_format=given))
    assert sent(cohere_server)["response_format"] == wire


@pytest.mark.parametrize(
    ("choice", "wire"), [("auto", None), ("none", "NONE"), ("any", "REQUIRED"), ("required", "REQUIRED")]
)
async def test_tool_choices(opened: Open, cohere_server: CohereServer, choice: str, wire: str | None) -> None:
    await ask(opened(), options=TurnOptions(tools=(CLOCK,), tool_choice=choice))
    assert sent(cohere_server).get("tool_choice") == wire


async def test_a_tool_named_is_offered_alone(opened: Open, cohere_server: CohereServer) -> None:
    tools = (CLOCK, {"name": "weather", "strict": True})
    await ask(opened(), options=TurnOptions(tools=tools, tool_choice={"name": "weather"}))
    body = sent(cohere_server)
    assert [tool["function"]["name"] for tool in body["tools"]] == ["weather"]
    assert (body["tool_choice"], body["strict_tools"]) == ("REQUIRED", True)
    with pytest.raises(InvalidInputError, match="not among the tools"):
        await ask(opened(), options=TurnOptions(tools=tools, tool_choice="news"))
    with pytest.raises(InvalidInputError, match="no tools of its own"):
        await ask(opened(), options=TurnOptions(tools=({"type": "web_search"},)))
    assert len(cohere_server.requests) == 1
