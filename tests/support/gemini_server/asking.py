"""For tests of the provider alone: sessions on the test's server, and what they ask."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest
from pydantic.alias_generators import to_camel

from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.gemini import GeminiConnection, GeminiProviderSession
from langswarm_sessions.providers.gemini.client import connect_gemini
from langswarm_sessions.records import NativeKind, NativeState

from .server import GeminiServer

MODEL = "gemini-4-carbon"
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}

either_api = pytest.mark.parametrize("native", [True, False], ids=["interactions", "generate_content"])
Open = Callable[..., GeminiProviderSession]


@pytest.fixture
async def connection(gemini_server: GeminiServer) -> AsyncIterator[GeminiConnection]:
    """A connection to the test's server."""
    made = connect_gemini({"api_key": gemini_server.api_key, "base_url": gemini_server.base_url})
    yield made
    await made.aclose()


@pytest.fixture
def opened(connection: GeminiConnection) -> Open:
    """Open sessions with the settings given."""

    def open_session(**config: Any) -> GeminiProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(text: str = "hi") -> SessionMessage:
    """Return a message of the user."""
    return SessionMessage(role=Role.USER, content=text)


async def ask(session: GeminiProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    """Send messages and return the answer."""
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="gemini")


def state(completed: Completed) -> NativeState:
    """Return the native state to continue from."""
    assert completed.native_id is not None
    return NativeState(provider="gemini", kind=NativeKind.NODE, id=completed.native_id, cursor=1, turn_id="turn")


def body_of(server: GeminiServer, at: int = -1) -> dict[str, Any]:
    """Return the body of one request for an answer."""
    record = server.asked[at]
    return dict(record.body or {}) if "interactions" in record.path else camel(record.body)


def camel(value: Any) -> Any:
    """Return JSON with its keys as the API documents them: the SDK sends some as its own types have them."""
    if isinstance(value, dict):
        return {to_camel(key): camel(entry) for key, entry in cast(dict[str, Any], value).items()}
    if isinstance(value, list):
        return [camel(entry) for entry in value]  # pyright: ignore[reportUnknownVariableType]
    return value
