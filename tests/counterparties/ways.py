"""The ways a session asks its providers, as the servers of other projects know them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager, SessionMessage, ToolResult

__all__ = [
    "CLIENT_WAYS",
    "NATIVE_WAYS",
    "WEATHER",
    "Way",
    "as_text",
    "open_session",
    "results_for",
    "say",
    "shown_before",
]

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "Tells the weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@dataclass(frozen=True, slots=True)
class Way:
    """One API of one provider.

    Attributes:
        provider: The provider's name.
        model: A model of it.
        settings: What `provider_config` needs.
        strategy: Who owns the history.
    """

    provider: str
    model: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    strategy: str = "client"


# The stand-ins serve Gemini's v1beta alone; the SDK would ask for v1.
_GEMINI = {"api_version": "v1beta"}
CLIENT_WAYS = {
    "openai responses": Way("openai", "gpt-6.1-terra"),
    "openai chat": Way("openai", "gpt-6.1-terra", {"api": "chat"}),
    "anthropic": Way("anthropic", "claude-sonnet-5-5"),
    "gemini": Way("gemini", "gemini-3.8-flash", _GEMINI),
    "mistral": Way("mistral", "mistral-small-latest"),
    "cohere": Way("cohere", "command-a-03-2025"),
}
NATIVE_WAYS = {
    "openai responses": Way("openai", "gpt-6.1-terra", strategy="native"),
    "gemini interactions": Way("gemini", "gemini-3.8-flash", _GEMINI, "native"),
}


async def open_session(manager: SessionManager, way: Way) -> Session:
    """Begin a conversation that way."""
    return await manager.create_session(
        "ada", way.provider, way.model, provider_config=dict(way.settings), strategy=way.strategy
    )


async def say(session: Session, text: str, *, as_stream: bool, **options: Any) -> SessionMessage:
    """Say something and return the answer, which a stream must have told as it is stored."""
    if not as_stream:
        return await session.send_message(text, **options)
    stream = session.send_message_stream(text, **options)
    read = "".join([chunk async for chunk in stream])
    assert read == stream.message.content
    return stream.message


async def shown_before(
    failure: type[Exception] | tuple[type[Exception], ...], session: Session, text: str, **options: Any
) -> str:
    """Read a stream that must fail; return what it showed before."""
    shown: list[str] = []

    async def read() -> None:
        async for chunk in session.send_message_stream(text, **options):
            shown.append(chunk)

    with pytest.raises(failure):
        await read()
    return "".join(shown)


def results_for(message: SessionMessage, told: Mapping[str, str]) -> list[ToolResult]:
    """Answer every weather call with what is told of its city."""
    return [ToolResult(tool_call_id=call.id, content=told[call.arguments["city"]]) for call in message.tool_calls]


def as_text(body: object) -> str:
    """Return a request's body as text in which what was said is found as it was said."""
    return json.dumps(body, ensure_ascii=False)
