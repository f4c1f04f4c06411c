"""The Cohere provider against two servers of other projects: their replies prove what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock

from langswarm_sessions.errors import (
    ContextOverflowError,
    IncompleteStreamError,
    ProviderUnavailableError,
    RateLimitError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage, ToolResult, text_of
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.cohere import CohereConnection
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.records import TurnOptions
from tests.support.aimock import Aimock

MODEL = "command-a-03-2025"
TOOLS = TurnOptions(tools=({"name": "weather", "parameters": {"type": "object"}}, {"name": "clock"}))


def user(text: str) -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


async def ask(connection: CohereConnection, *messages: SessionMessage, **fields: Any) -> Completed:
    session = connection.open("session", MODEL, {})
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="cohere")


@pytest.fixture
async def at_aimock(aimock: Aimock) -> AsyncIterator[CohereConnection]:
    connection = connect_cohere({"api_key": "test", "base_url": aimock.url})
    yield connection
    await connection.aclose()


@pytest.fixture
async def at_llmock(llmock: LLMock) -> AsyncIterator[CohereConnection]:
    connection = connect_cohere(None)  # the fixture sets the environment
    yield connection
    await connection.aclose()


async def test_aimock_hears_the_history(aimock: Aimock, at_aimock: CohereConnection) -> None:
    aimock.reply("Hello Zed.", to="my name is Zed", turn=0)
    aimock.reply("It is Zed.", to="what is my name", turn=1)
    told = user("my name is Zed")
    first = answer_message(await ask(at_aimock, told))
    second = await ask(at_aimock, told, first, user("what is my name"))
    assert (first.content, text_of(second.parts)) == ("Hello Zed.", "It is Zed.")


async def test_aimock_calls_tools_at_once(aimock: Aimock, at_aimock: CohereConnection) -> None:
    aimock.call_tools([("weather", {"city": "Oslo"}), ("clock", {})], to="weather")
    asked = answer_message(await ask(at_aimock, user("weather?"), options=TOOLS))
    assert [(call.name, call.arguments) for call in asked.tool_calls] == [("weather", {"city": "Oslo"}), ("clock", {})]
    aimock.reset()
    aimock.reply("Rain.")
    parts = [ToolResult(tool_call_id=call.id, content="rain") for call in asked.tool_calls]
    results = SessionMessage(role=Role.TOOL, parts=list(parts))
    assert text_of((await ask(at_aimock, user("weather?"), asked, results, options=TOOLS)).parts) == "Rain."
    roles = [message["role"] for message in aimock.requests()[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


async def test_aimock_fails_and_recovers(aimock: Aimock, at_aimock: CohereConnection) -> None:
    aimock.reply("fine")
    aimock.fail_next(429, message="slow down")
    with pytest.raises(RateLimitError):
        await ask(at_aimock, user("hi"))
    assert text_of((await ask(at_aimock, user("hi"))).parts) == "fine"


async def test_llmock_answers_and_calls_tools(llmock: LLMock, at_llmock: CohereConnection) -> None:
    llmock.reply("Hello from there.")
    completed = await ask(at_llmock, user("hi"))
    assert text_of(completed.parts) == "Hello from there."
    assert completed.usage.total_tokens > 0
    llmock.call_tool("weather", {"city": "Oslo"})
    asked = await ask(at_llmock, user("weather?"), options=TOOLS)
    assert [(call.name, call.arguments) for call in answer_message(asked).tool_calls] == [("weather", {"city": "Oslo"})]


async def test_llmock_faults_are_classified(llmock: LLMock, at_llmock: CohereConnection) -> None:
    llmock.reply("a text of several words, to be cut", times=None)
    llmock.rate_limit(times=1, retry_after=1.0)
    with pytest.raises(RateLimitError) as caught:
        await ask(at_llmock, user("hi"))
    assert caught.value.retry_after == 1.0
    llmock.fail(503, times=1)
    with pytest.raises(ProviderUnavailableError):
        await ask(at_llmock, user("hi"))
    llmock.context_overflow(times=1)
    with pytest.raises(ContextOverflowError):
        await ask(at_llmock, user("hi"))
    for fault in (llmock.disconnect, llmock.truncate):
        fault(after_chunks=3, times=1)
        with pytest.raises(IncompleteStreamError):
            await ask(at_llmock, user("hi"))
    llmock.corrupt(after_chunks=3, times=1)
    with pytest.raises(ProviderUnavailableError):
        await ask(at_llmock, user("hi"))
    assert len(llmock.requests) == 6, "nobody but the turn engine retries"
    assert text_of((await ask(at_llmock, user("hi"))).parts) == "a text of several words, to be cut"
