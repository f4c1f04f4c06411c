"""Requests that never reached a provider, and those it may have carried out: over real sockets, with the real SDKs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel

from langswarm_sessions import RetryPolicy, SessionManager
from langswarm_sessions.errors import ConfigurationError, InvalidInputError, ProviderError
from tests.cost.kit import CANDIDATES, COHERE, begin
from tests.cost.wire import Wire
from tests.session.kit import OpenManager

ADAPTERS: dict[str, dict[str, Any]] = {
    "openai": {},
    "openai-chat": {"api": "chat"},
    "anthropic": {},
    "gemini": {},
    "mistral": {},
    "cohere": {},
}


@pytest.fixture
async def hangs_up() -> AsyncIterator[str]:
    """The address of a server that reads a request and closes the connection."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


def _ignore(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Serve nobody."""


@pytest.fixture
async def nobody() -> str:
    """An address where nobody listens any more."""
    server = await asyncio.start_server(_ignore, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()
    return address


async def failure(manager: SessionManager, name: str) -> tuple[ProviderError, int]:
    """Fail to say something; return the error, and how many turns may have been billed."""
    config = {**ADAPTERS[name], "timeout": 5.0}
    session = await manager.create_session("u", name.partition("-")[0], "m", strategy="client", provider_config=config)
    with pytest.raises(ProviderError) as caught:
        await session.send_message("hi")
    return caught.value, (await session.get_metrics()).unpriced_turns


@pytest.mark.parametrize("name", ADAPTERS)
async def test_only_what_was_sent_may_be_billed(
    open_manager: OpenManager, nobody: str, hangs_up: str, name: str
) -> None:
    at_once = RetryPolicy(max_attempts=1)
    found: list[tuple[bool, bool, int]] = []
    for url in (f"http://{nobody}", f"https://{hangs_up}", f"http://{hangs_up}"):
        settings = {"api_key": "k", "base_url": url}
        manager = open_manager(providers={name.partition("-")[0]: settings}, retry=at_once, storage="memory")
        error, unpriced = await failure(manager, name)
        found.append((error.was_sent, error.is_ambiguous, unpriced))
    assert found == [(False, False, 0), (False, False, 0), (True, True, 1)]


def place() -> str:
    """Say where."""
    return "here"


@pytest.mark.parametrize(
    ("wire", "options"),
    [
        (Wire("cohere", "command-t", COHERE), {"tools": [{"type": "web_search"}]}),
        (Wire("gemini", "gemini-t", CANDIDATES), {"tools": [place], "tool_choice": {"type": "web"}}),
    ],
    ids=["cohere", "gemini"],
)
async def test_what_this_library_refuses_to_send_was_not_billed(
    open_manager: OpenManager, wire: Wire, options: dict[str, Any]
) -> None:
    manager = open_manager(providers={wire.provider: wire.client()})
    session = await begin(manager, wire)
    with pytest.raises(InvalidInputError):
        await session.send_message("hi", **options)
    assert wire.requests == []
    assert (await session.get_metrics()).unpriced_turns == (await manager.get_analytics()).unpriced_turns == 0


async def test_what_a_chat_model_cannot_be_asked_was_not_billed(open_manager: OpenManager) -> None:
    manager = open_manager(providers={"langchain": FakeListChatModel(responses=["never told"])})
    session = await manager.create_session("u", "langchain", "fake")
    with pytest.raises(ConfigurationError):
        await session.send_message("hi", tools=[place])
    assert (await session.get_metrics()).unpriced_turns == 0
