"""Every ordered pair of providers, over HTTP: a conversation with all it may hold is handed over, and back.

The servers judge each request: a body that the provider's own SDK could not have made, a call without its result or a
role out of turn fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import pytest

from langswarm_sessions import ImagePart, Session, SessionManager, TextPart, ToolResult
from langswarm_sessions.providers.registry import _BUILT_IN
from tests.session.kit import OpenManager
from tests.support import anthropic_server, cohere_server, gemini_server, mistral_server, openai_server

CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}},
}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True, slots=True)
class Side:
    """One provider: its model, and how its server is told what to say."""

    model: str
    thinks: Callable[[str], Any]
    calls: Callable[[], Any]


def _calls(kit: Any) -> Callable[[], Any]:
    def reply() -> Any:
        made = (kit.ToolCall("clock", {"zone": "UTC"}), kit.ToolCall("clock", {"zone": "CET"}))
        return kit.Reply(tool_calls=made)

    return reply


SIDES = {
    "anthropic": Side(
        "claude-sonnet-5-5",
        lambda text: anthropic_server.Reply(text=text, thinking="hidden thought"),
        _calls(anthropic_server),
    ),
    "cohere": Side(
        "command-a-03-2025",
        lambda text: cohere_server.Reply(text=text, thinking="hidden thought"),
        _calls(cohere_server),
    ),
    "gemini": Side(
        "gemini-3.8-flash", lambda text: gemini_server.Reply(text=text, thought="hidden thought"), _calls(gemini_server)
    ),
    "mistral": Side(
        "mistral-small-latest",
        lambda text: mistral_server.Reply(text=text, thinking="hidden thought"),
        _calls(mistral_server),
    ),
    "openai": Side(
        "gpt-6.1-terra", lambda text: openai_server.Reply(text=text, reasoning="hidden thought"), _calls(openai_server)
    ),
}


@pytest.fixture
def server_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Return the server of a provider; it is started, and the SDK sent there, when it is first asked for."""

    def started(name: str) -> Any:
        server: Any = request.getfixturevalue(f"{name}_server")
        for variable, value in getattr(server, "environment", {}).items():
            monkeypatch.setenv(variable, value)
        return server

    return started


def credentials(*names: str, server_of: Callable[[str], Any]) -> dict[str, Any]:
    return {name: getattr(server_of(name), "credential", None) for name in names}


async def talk(session: Session, name: str, server: Any, *, leave_call_open: bool) -> None:
    """Have a conversation that holds reasoning, an image, parallel tools, and perhaps a call nobody answers."""
    side = SIDES[name]
    server.script(side.thinks(f"{name} thought and said this"))
    await session.send_message("question one")
    server.script(f"{name} saw it")
    await session.send_message([TextPart("look at this"), ImagePart(data=PIXEL, media_type="image/png")])
    server.script(side.calls())
    asked = await session.send_message("what time is it?", tools=[CLOCK])
    assert len({call.id for call in asked.tool_calls}) == 2
    if leave_call_open:
        return
    server.script(f"{name} knows the time")
    results = [
        ToolResult(tool_call_id=call.id, content=f"noon in {call.arguments['zone']}") for call in asked.tool_calls
    ]
    await session.send_tool_results(results)


def sent(server: Any) -> str:
    """Return the newest request that has a body, as text."""
    return json.dumps([record.body for record in server.requests if record.body is not None][-1], ensure_ascii=False)


def in_order(text: str, *pieces: str) -> bool:
    places = [text.find(piece) for piece in pieces]
    return -1 not in places and places == sorted(places)


@pytest.mark.parametrize("leave_call_open", [False, True], ids=["whole", "open call"])
@pytest.mark.parametrize(("first", "second"), list(permutations(SIDES, 2)))
async def test_there_and_back(
    first: str, second: str, leave_call_open: bool, open_manager: OpenManager, server_of: Callable[[str], Any]
) -> None:
    manager: SessionManager = open_manager("memory", providers=credentials(first, second, server_of=server_of))
    one, other = server_of(first), server_of(second)
    session = await manager.create_session("user", first, SIDES[first].model)
    await talk(session, first, one, leave_call_open=leave_call_open)
    payloads = [message.provider_payload for message in await session.get_messages()]

    report = await session.handoff(second, SIDES[second].model)
    assert report.crossing.crossed["tool_call"] == 2
    assert {note.part for note in report.crossing.converted} == ({"tool_call"} if leave_call_open else set())
    other.script(f"{second} goes on")
    reply = await session.send_message("go on")
    assert reply.content == f"{second} goes on"
    given = sent(other)
    assert in_order(given, "question one", f"{first} thought and said this", "look at this", f"{first} saw it", "go on")
    assert "hidden thought" not in given, "reasoning is its own model's"
    assert given.count("question one") == 1
    if not leave_call_open:
        assert in_order(given, "what time is it?", "noon in UTC", f"{first} knows the time", "go on")

    assert [message.provider_payload for message in await session.get_messages()][: len(payloads)] == payloads
    await session.handoff(first, SIDES[first].model)
    one.script("back again")
    assert (await session.send_message("and back")).content == "back again"
    back = sent(one)
    assert in_order(back, "question one", f"{first} thought and said this", "go on", f"{second} goes on", "and back")
    assert back.count("go on") == 1, "no item stands twice in what the model is given"


def test_every_provider_is_a_side() -> None:
    assert set(SIDES) == set(_BUILT_IN) - {"mock"}
