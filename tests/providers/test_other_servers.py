"""The OpenAI provider, in both its APIs, against two servers of other projects: their replies prove what was sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from llmock.pytest_plugin import LLMock

from langswarm_sessions.errors import (
    ContextOverflowError,
    IncompleteStreamError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage, ToolResult, text_of
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.records import TurnOptions
from tests.support.aimock import Aimock

MODEL = "gpt-5.4"
TOOLS = TurnOptions(tools=({"name": "weather", "parameters": {"type": "object"}}, {"name": "clock"}))


def user(text: str) -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


@pytest.fixture(params=["responses", "chat"])
def api(request: pytest.FixtureRequest) -> str:
    """The API that is spoken."""
    name: str = request.param
    return name


async def ask(connection: OpenAIConnection, api: str, *messages: SessionMessage, **fields: Any) -> Completed:
    session: OpenAIProviderSession = connection.open("session", MODEL, {"api": api})
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="openai")


@pytest.fixture
async def at_aimock(aimock: Aimock) -> AsyncIterator[OpenAIConnection]:
    connection = connect_openai({"api_key": "test", "base_url": aimock.base_url})
    yield connection
    await connection.aclose()


@pytest.fixture
async def at_llmock(llmock: LLMock) -> AsyncIterator[OpenAIConnection]:
    connection = connect_openai(None)  # the fixture sets the environment
    yield connection
    await connection.aclose()


async def test_aimock_hears_the_history(aimock: Aimock, at_aimock: OpenAIConnection, api: str) -> None:
    aimock.reply("Hello Zed.", to="my name is Zed", turn=0)
    aimock.reply("It is Zed.", to="what is my name", turn=1)
    told = user("my name is Zed")
    first = answer_message(await ask(at_aimock, api, told))
    second = await ask(at_aimock, api, told, first, user("what is my name"))
    assert (first.content, text_of(second.parts)) == ("Hello Zed.", "It is Zed.")


async def test_aimock_calls_tools_at_once(aimock: Aimock, at_aimock: OpenAIConnection, api: str) -> None:
    aimock.call_tools([("weather", {"city": "Oslo"}), ("clock", {})], to="weather")
    asked = answer_message(await ask(at_aimock, api, user("weather?"), options=TOOLS))
    assert [(call.name, call.arguments) for call in asked.tool_calls] == [("weather", {"city": "Oslo"}), ("clock", {})]
    aimock.reset()
    aimock.reply("Rain.")
    parts = [ToolResult(tool_call_id=call.id, content="rain") for call in asked.tool_calls]
    results = SessionMessage(role=Role.TOOL, parts=list(parts))
    assert text_of((await ask(at_aimock, api, user("weather?"), asked, results, options=TOOLS)).parts) == "Rain."
    roles = [message["role"] for message in aimock.requests()[-1]["messages"]]  # aimock keeps them in chat form
    answers = ["assistant"] if api == "chat" else ["assistant", "assistant"]
    assert roles == ["user", *answers, "tool", "tool"]


async def test_aimock_fails_and_recovers(aimock: Aimock, at_aimock: OpenAIConnection, api: str) -> None:
    aimock.reply("fine")
    aimock.fail_next(429, message="slow down")
    with pytest.raises(RateLimitError):
        await ask(at_aimock, api, user("hi"))
    aimock.chaos(disconnectRate=1)
    with pytest.raises(ProviderError) as caught:
        await ask(at_aimock, api, user("hi"))
    assert caught.value.retryable
    aimock.reset()
    aimock.reply("fine")
    assert text_of((await ask(at_aimock, api, user("hi"))).parts) == "fine"


async def test_llmock_answers_and_calls_tools(llmock: LLMock, at_llmock: OpenAIConnection, api: str) -> None:
    llmock.reply("Hello from there.")
    completed = await ask(at_llmock, api, user("hi"))
    assert text_of(completed.parts) == "Hello from there."
    assert completed.usage.total_tokens > 0
    llmock.call_tool("weather", {"city": "Oslo"})
    asked = await ask(at_llmock, api, user("weather?"), options=TOOLS)
    assert [(call.name, call.arguments) for call in answer_message(asked).tool_calls] == [("weather", {"city": "Oslo"})]


async def test_llmock_faults_are_classified(llmock: LLMock, at_llmock: OpenAIConnection, api: str) -> None:
    llmock.reply("a text of several words, to be cut", times=None)
    llmock.rate_limit(times=1, retry_after=1.0)
    with pytest.raises(RateLimitError) as caught:
        await ask(at_llmock, api, user("hi"))
    assert caught.value.retry_after == 1.0
    llmock.fail(503, times=1)
    with pytest.raises(ProviderUnavailableError):
        await ask(at_llmock, api, user("hi"))
    llmock.context_overflow(times=1)
    with pytest.raises(ContextOverflowError):
        await ask(at_llmock, api, user("hi"))
    for fault in (llmock.disconnect, llmock.truncate):
        fault(after_chunks=2, times=1)
        with pytest.raises(IncompleteStreamError):
            await ask(at_llmock, api, user("hi"))
    llmock.corrupt(after_chunks=2, times=1)
    with pytest.raises(ProviderUnavailableError):
        await ask(at_llmock, api, user("hi"))
    assert len(llmock.requests) == 6, "nobody but the turn engine retries"
    assert text_of((await ask(at_llmock, api, user("hi"))).parts) == "a text of several words, to be cut"
