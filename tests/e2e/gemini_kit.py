"""For tests of sessions over the real google-genai SDK: a server that minds who owns the history, two ways to ask."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions.providers.gemini.client import connect_gemini
from tests.session.kit import OpenManager
from tests.support.gemini_server import GeminiServer
from tests.support.gemini_server.plugin import gemini_environment, gemini_server
from tests.support.recorded import Recorded

__all__ = [
    "CLOCK",
    "Item",
    "gemini_environment",
    "gemini_server",
    "manager",
    "sent",
    "server",
    "steps_of",
    "user_content",
    "user_step",
]

CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object"}}

Item = dict[str, Any]


@pytest.fixture
def server(gemini_environment: GeminiServer) -> Iterator[GeminiServer]:
    """The test's server; afterwards no request may have repeated what the state it continued already held."""
    yield gemini_environment
    gemini_environment.wait_until_idle()
    for view in gemini_environment.model_views:
        kept, own = view.entries[: -view.own], view.entries[-view.own :]
        repeated = set(kept) & set(own) if view.previous_id is not None else set[tuple[str, str]]()
        assert not repeated, f"sent again beside previous_interaction_id: {repeated}"


@pytest.fixture
def manager(server: GeminiServer, open_manager: OpenManager, recorded: Recorded) -> SessionManager:
    """A manager over a database file whose Gemini is the test's server."""
    return open_manager(telemetry=recorded.telemetry(), providers={"gemini": connect_gemini(None)})


def sent(server: GeminiServer, at: int = -1) -> Item:
    """Return the body of one request for an answer."""
    body = server.asked[at].body
    assert body is not None
    return dict(body)


def steps_of(body: Item) -> list[str]:
    """Return what the steps of an interaction's input are."""
    return [step["type"] for step in body["input"]]


def user_step(text: str) -> Item:
    """Return a message of the user as a step."""
    return {"type": "user_input", "content": [{"type": "text", "text": text}]}


def user_content(text: str, role: str = "user") -> Item:
    """Return a message as a content of generate_content."""
    return {"role": role, "parts": [{"text": text}]}
