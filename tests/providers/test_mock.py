"""What the mock provider can be told to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from langswarm_sessions.errors import (
    ConfigurationError,
    ContentRefusedError,
    IncompleteStreamError,
    InvalidInputError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderTimeoutError,
    QuotaExceededError,
    RateLimitError,
)
from langswarm_sessions.interfaces.provider import ProviderRequest, TextDelta
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult
from langswarm_sessions.providers import MockFault, MockProviderSession
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.mock import MockConnection
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS


def tool_results(*ids: str) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=name, content=f"of {name}") for name in ids])


async def test_it_answers_and_remembers() -> None:
    mock = MockProviderSession()
    assert mock.provider_session_id is None
    assert (await mock.send_message("hello")).content == "Mock response to: hello"
    assert [piece async for piece in mock.send_message_stream("two  words\n")] == [
        "Mock ", "response ", "to: ", "two  ", "words\n",
    ]  # fmt: skip
    assert [text for _, text in mock.seen] == [
        "hello", "Mock response to: hello", "two  words\n", "Mock response to: two  words\n",
    ]  # fmt: skip
    assert mock.provider_session_id is not None


async def test_usage_counts_what_it_sees() -> None:
    mock = MockProviderSession()
    first = (await mock.send_message("a" * 40)).provider_metadata["usage"]
    second = (await mock.send_message("b" * 40)).provider_metadata["usage"]
    assert (first["input_tokens"], first["cached_tokens"]) == (10, 0)
    assert second["cached_tokens"] == first["total_tokens"]
    assert second["input_tokens"] == first["total_tokens"] + 10


async def test_patterns_of_object_and_configuration() -> None:
    mock = MockProviderSession(config={"response_pattern": "configured: {input} {braces}"})
    assert (await mock.send_message("x")).content == "configured: x {braces}"
    mock.set_response_pattern("custom: {input}")
    assert (await mock.send_message("x")).content == "custom: x"


async def test_an_answer_may_be_text_and_calls_and_nothing_else() -> None:
    mock = MockProviderSession()
    mock.set_responses([cast("Any", [42]), cast("Any", 42), ["I look. ", ToolCall(id="c", name="clock")]])
    for _ in range(2):
        with pytest.raises(InvalidInputError, match="a text, a tool call or a list of these"):
            await mock.send_message("what time?")
    answer = await mock.send_message("what time?")
    assert answer.content == "I look. "
    assert [call.id for call in answer.tool_calls] == ["c"]


async def test_scripted_answers_come_once_each() -> None:
    async def later(request: ProviderRequest) -> str:
        await asyncio.sleep(0)
        return request.messages[-1].content.upper()

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    mock = MockProviderSession()
    mock.set_responses(
        ["one", lambda request: f"{len(request.messages)} message", later, pieces(), ToolCall(id="", name="clock")]
    )
    assert (await mock.send_message("x")).content == "one"
    assert (await mock.send_message("x")).content == "1 message"
    assert (await mock.send_message("shout")).content == "SHOUT"
    assert [piece async for piece in mock.send_message_stream("x")] == ["a", "b"]
    called = await mock.send_message("time?")
    assert called.content == ""
    assert called.provider_metadata["finish_reason"] == "tool_calls"
    assert called.tool_calls[0].id.startswith("call_")


async def test_tool_results_are_answered_and_must_fit() -> None:
    mock = MockProviderSession()
    calls = [ToolCall(id="a", name="clock"), ToolCall(id="b", name="clock")]

    async def send(*messages: SessionMessage) -> str:
        completed = await collect(mock.stream_turn(ProviderRequest(messages=messages)), provider="mock")
        return completed.parts[0].text  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]

    asked = [SessionMessage(role=Role.USER, content="time?"), SessionMessage(role=Role.ASSISTANT, parts=[*calls])]
    assert await send(*asked, tool_results("b"), tool_results("a")) == "Mock response to: of b, of a"
    with pytest.raises(InvalidRequestError, match="no result"):
        await send(*asked, tool_results("a"))
    with pytest.raises(InvalidRequestError, match="no tool call"):
        await send(tool_results("c"))
    mock.set_responses([calls])
    await mock.send_message("time?")
    with pytest.raises(InvalidRequestError, match="send_tool_results"):
        await mock.send_message("never mind")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (MockFault.TIMEOUT, ProviderTimeoutError),
        ("quota", QuotaExceededError),
        ("refused", ContentRefusedError),
        (ZeroDivisionError("mine"), ZeroDivisionError),
    ],
)
async def test_faults_befall_as_many_requests_as_asked(fault: Any, error: type[Exception]) -> None:
    mock = MockProviderSession()
    mock.fail_next(fault, times=2)
    for _ in range(2):
        with pytest.raises(error):
            await mock.send_message("x")
    assert (await mock.send_message("x")).content == "Mock response to: x"
    assert len(mock.requests) == 3


async def test_faults_inside_the_answer() -> None:
    mock = MockProviderSession()
    mock.fail_next("rate_limit", after_chunks=2, retry_after=1.5)
    heard: list[str] = []

    async def hear() -> None:
        async for piece in mock.send_message_stream("x"):
            heard.append(piece)

    with pytest.raises(RateLimitError) as caught:
        await hear()
    assert (heard, caught.value.retry_after) == (["Mock ", "response "], 1.5)
    mock.fail_next("drop", after_chunks=99)
    with pytest.raises(IncompleteStreamError):
        await mock.send_message("short")
    mock.fail_next("eof")
    events = [event async for event in mock.stream_turn(ProviderRequest(messages=()))]
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Mock "]


async def test_lost_state_waits_for_a_request_that_continues() -> None:
    mock = MockProviderSession()
    mock.fail_next(MockFault.LOST)
    await mock.send_message("first")
    with pytest.raises(NativeStateLostError):
        await mock.send_message("second")
    mock.forget()
    with pytest.raises(NativeStateLostError, match="process"):
        await mock.send_message("third")


async def test_pace_waits_before_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("langswarm_sessions.providers.mock.session.asyncio.sleep", note)
    mock = MockProviderSession(config={"pace": 0.25})
    await mock.send_message("x")
    mock.set_pace(0.5)
    await mock.send_message("x")
    assert waits == [0.25] * 4 + [0.5] * 4


async def test_sessions_of_one_connection_share_nothing_but_it() -> None:
    connection = MockConnection()
    one, two = connection.open("1", "m", {}), connection.open("2", "m", {})
    one.set_response_pattern("one")
    assert (await two.send_message("x")).content == "Mock response to: x"
    again = connection.open("1", "m", {})
    assert (await again.send_message("x")).content == "one", "reopened, it still knows what it was told"
    await again.cleanup_provider_resources()
    assert (await one.send_message("x")).content == "Mock response to: x"


def test_every_documented_setting_is_accepted() -> None:
    connection = MockConnection()
    values: dict[str, Any] = dict.fromkeys(DOCUMENTED_SETTINGS)
    connection.check("mock-model", {**values, "temperature": 0.5, "pace": 0, "response_pattern": ""})


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("fail_next", {"fault": "no such fault"}),
        ("fail_next", {"fault": "drop", "times": 0}),
        ("fail_next", {"fault": "drop", "after_chunks": -1}),
        ("set_responses", {"responses": "one text"}),
        ("set_pace", {"seconds": -1}),
    ],
)
def test_misuse_is_said(method: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=method):
        getattr(MockProviderSession(), method)(**arguments)


def test_a_wrong_setting_is_refused_at_construction() -> None:
    with pytest.raises(ConfigurationError, match="pace"):
        MockProviderSession(config={"pace": -1})


async def test_of_a_session_the_newest_thousand_answers_are_remembered() -> None:
    connection = MockConnection()
    mock = MockProviderSession(connection=connection)
    other = MockProviderSession("other", connection=connection)
    await other.send_message("hi")
    for number in range(1005):
        await mock.send_message(str(number))
    assert len(connection.nodes) == 1001
    assert len(mock.seen) == 2000
    assert mock.seen[-1] == ("assistant", "Mock response to: 1004")
    await mock.cleanup_provider_resources()
    assert len(connection.nodes) == 1
    assert [text for _, text in other.seen] == ["hi", "Mock response to: hi"]
