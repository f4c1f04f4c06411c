"""Sends that run their tools, over HTTP: each provider, each way it is given the conversation, sent and streamed.

Every request is judged by the server: a result without its call, or one out of place, fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager, ToolContext
from langswarm_sessions.providers.registry import _BUILT_IN
from tests.session.kit import OpenManager
from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server

SIDES: dict[str, tuple[str, Any]] = {
    "anthropic": ("claude-sonnet-5-5", anthropic_server),
    "cohere": ("command-a-03-2025", cohere_server),
    "gemini": ("gemini-3.8-flash", gemini_server),
    "mistral": ("mistral-small-latest", mistral_server),
    "openai": ("gpt-6.1-terra", openai_server),
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "anthropic": ("anthropic", {}),
    "cohere": ("cohere", {}),
    "gemini native": ("gemini", {}),
    "gemini client": ("gemini", {"strategy": "client"}),
    "mistral native": ("mistral", {}),
    "mistral client": ("mistral", {"strategy": "client"}),
    "openai node": ("openai", {}),
    "openai log": ("openai", {"provider_config": {"native": "log"}}),
    "openai client": ("openai", {"strategy": "client"}),
    "openai chat": ("openai", {"provider_config": {"api": "chat"}}),
}

runs: list[str] = []


def clock(zone: str) -> str:
    """Tell the time.

    Args:
        zone: A zone's short name.
    """
    runs.append(f"clock {zone}")
    return f"noon in {zone}"


async def who(context: ToolContext) -> dict[str, str]:
    """Tell who asks."""
    runs.append("who")
    return {"user": context.user_id}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> str:
    runs.clear()
    return str(request.param)


@pytest.fixture
def server(way: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The server of this way's provider, with two rounds of calls and an answer to give."""
    name = WAYS[way][0]
    found: Any = request.getfixturevalue(f"{name}_server")
    for variable, value in getattr(found, "environment", {}).items():
        monkeypatch.setenv(variable, value)
    kit = SIDES[name][1]
    calls = (kit.ToolCall("clock", {"zone": "UTC"}), kit.ToolCall("who", {}))
    found.script(
        kit.Reply(text="Let me look. ", tool_calls=calls),
        kit.Reply(text="And there? ", tool_calls=(kit.ToolCall("clock", {"zone": "CET"}),)),
        "It is noon everywhere.",
    )
    return found


@pytest.fixture
async def session(way: str, server: Any, open_manager: OpenManager) -> Session:
    name, arguments = WAYS[way]
    manager: SessionManager = open_manager("memory", providers={name: getattr(server, "credential", None)})
    return await manager.create_session("ada", name, SIDES[name][0], session_id="s", **arguments)


def asked(server: Any) -> list[str]:
    """Return the bodies of the requests for answers, as text."""
    bodies = [record.body for record in server.requests if record.body is not None]
    return [json.dumps(body, ensure_ascii=False) for body in bodies]


async def sent(session: Session) -> str:
    return (
        await session.send_message("What time is it?", tools=[clock, who], tool_choice="required", run_tools=True)
    ).content


async def streamed(session: Session) -> str:
    stream = session.send_message_stream("What time is it?", tools=[clock, who], tool_choice="required", run_tools=True)
    text = "".join([chunk async for chunk in stream])
    assert text == "Let me look. And there? It is noon everywhere.", "every round is heard, in order"
    return stream.message.content


@pytest.mark.parametrize("said", [sent, streamed])
async def test_two_rounds_with_parallel_calls(
    said: Callable[[Session], Any], session: Session, server: Any, way: str
) -> None:
    assert await said(session) == "It is noon everywhere."
    assert sorted(runs) == ["clock CET", "clock UTC", "who"]
    stored = await session.get_messages()
    assert [message.role.value for message in stored] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
        "assistant",
    ]
    first, second, third = asked(server)[-3:]
    assert "A zone's short name." in first
    assert "noon in UTC" in second
    assert "ada" in second
    assert "noon in CET" in third
    kept_by_provider = way in ("gemini native", "mistral native", "openai node", "openai log")
    assert ("noon in UTC" in third) is not kept_by_provider, "what the provider holds is not sent again"
    server.script("You are welcome.")
    assert (await session.send_message("Thank you.")).content == "You are welcome."


def test_every_provider_is_a_side() -> None:
    assert set(SIDES) == set(_BUILT_IN) - {"mock"}
    assert {name for name, _ in WAYS.values()} == set(SIDES)
