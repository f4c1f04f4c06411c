"""A server that takes requests and says nothing: whoever set a timeout on the client is told in that time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from langswarm_sessions import ProviderTimeoutError, RetryPolicy, TurnState
from tests.session.kit import OpenManager

MODELS = {
    "anthropic": "claude-sonnet-5-5",
    "cohere": "command-a-03-2025",
    "gemini": "gemini-3.8-flash",
    "mistral": "mistral-small-latest",
    "openai": "gpt-6.1-terra",
}


@pytest.fixture
async def silent_address() -> AsyncIterator[str]:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("provider", MODELS)
async def test_the_timeout_of_a_client_holds_within_the_time_of_the_turn(
    provider: str, silent_address: str, open_manager: OpenManager
) -> None:
    credential = {"api_key": "key", "base_url": silent_address, "timeout": 0.05}
    manager = open_manager("memory", providers={provider: credential}, retry=RetryPolicy(max_attempts=1))
    session = await manager.create_session("user", provider, MODELS[provider])
    async with asyncio.timeout(20):
        with pytest.raises(ProviderTimeoutError):
            await session.send_message("anybody there?", timeout=60)
    assert [message.status for message in await session.get_messages()] == [TurnState.FAILED]
