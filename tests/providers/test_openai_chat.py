"""Chat Completions: what is really sent, what is made of the answers, and how other servers are got on with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langswarm_sessions.errors import (
    ContextOverflowError,
    IncompleteStreamError,
    InvalidRequestError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import ReasoningPart, RefusalPart, Role, SessionMessage, TextPart, ToolResult, text_of
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.records import TurnOptions
from tests.support.openai_server import ChatManners, Gate, OpenAIServer, Reply, ToolCall, faults

MODEL = "small-model"
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}
OPTIONS = TurnOptions(tools=(CLOCK,))
ASKED: list[dict[str, Any]] = [{"zone": "UTC", "long": "x" * 30}, {"zone": "CET"}]
TWO_CALLS = tuple(ToolCall("clock", arguments) for arguments in ASKED)

Open = Callable[..., OpenAIProviderSession]


@pytest.fixture
async def connection(openai_server: OpenAIServer) -> AsyncIterator[OpenAIConnection]:
    made = connect_openai({"api_key": openai_server.api_key, "base_url": openai_server.base_url})
    yield made
    await made.aclose()


@pytest.fixture
def opened(connection: OpenAIConnection) -> Open:
    def open_session(**config: Any) -> OpenAIProviderSession:
        config = {"api": "chat", **config}
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(text: str = "hi") -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


async def ask(session: OpenAIProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="openai")


def sent(server: OpenAIServer, at: int = -1) -> dict[str, Any]:
    return dict(server.chats[at].body or {})


async def test_every_setting_reaches_the_wire(opened: Open, openai_server: OpenAIServer) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    session = opened(
        temperature=0.25,
        top_p=0.5,
        max_tokens=99,
        stop=["END"],
        seed=7,
        frequency_penalty=0.5,
        presence_penalty=-0.5,
        user="u-1",
        service_tier="flex",
        reasoning_effort="low",
        verbosity="low",
        response_format={"type": "json_schema", "name": "out", "schema": schema, "strict": True},
        tool_choice="clock",
        parallel_tool_calls=False,
        store=True,
        metadata={"a": "1"},
        timeout=5,
        top_k=3,
    )
    openai_server.script(Reply(tool_calls=(ToolCall("clock"),)))
    await ask(session, user(), options=OPTIONS, instructions="Be brief.")
    assert sent(openai_server) == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.25,
        "top_p": 0.5,
        "max_tokens": 99,
        "stop": ["END"],
        "seed": 7,
        "frequency_penalty": 0.5,
        "presence_penalty": -0.5,
        "user": "u-1",
        "service_tier": "flex",
        "reasoning_effort": "low",
        "verbosity": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "out", "schema": schema, "strict": True}},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "clock",
                    "description": "Tells the time.",
                    "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                },
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "clock"}},
        "parallel_tool_calls": False,
        "store": True,
        "metadata": {"a": "1"},
    }


async def test_what_has_no_effect_is_said_once(
    connection: OpenAIConnection, openai_server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"api": "chat", "metadata": {"a": "1"}, "truncation": "auto", "stop": "END"}
    connection.check(MODEL, config)
    assert "metadata, truncation: kept, but without effect" in caplog.text
    await ask(connection.open("session", MODEL, config), user())
    assert {"metadata", "truncation"}.isdisjoint(sent(openai_server))
    caplog.clear()
    connection.check(MODEL, {"stop": "END"})
    assert "stop: kept" in caplog.text, "the Responses API has no such field"


async def test_the_answer_is_streamed_and_counted(opened: Open, openai_server: OpenAIServer) -> None:
    events = [event async for event in opened().stream_turn(ProviderRequest(messages=(user(),), keep_native=True))]
    assert isinstance(events[0], Started)
    assert events[0].request_id
    completed = events[-1]
    assert isinstance(completed, Completed)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "[1] You said: hi"
    assert completed.parts == (TextPart("[1] You said: hi"),)
    assert (completed.native_id, completed.finish_reason, completed.model) == (None, "stop", MODEL)
    assert completed.provider_message_id == openai_server.chats[0].response_id
    assert completed.usage.input_tokens > 0
    again = await ask(opened(), user(), answer_message(completed), user("more"))
    assert again.usage.cached_tokens > 0


@pytest.mark.parametrize(
    "manners",
    [
        ChatManners(),
        ChatManners(numbers_calls=False),
        ChatManners(names_call_ids=False),
        ChatManners(numbers_calls=False, names_call_ids=False),
        ChatManners(reports_usage=False),
    ],
    ids=["as OpenAI", "one index", "no ids", "neither", "no usage"],
)
async def test_parallel_calls_are_kept_apart(manners: ChatManners, opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.chat.manners = manners
    openai_server.script(Reply(text="Looking.", tool_calls=TWO_CALLS), "noon")
    session = opened()
    asked = await ask(session, user("time?"), options=OPTIONS)
    assert asked.finish_reason == "tool_calls"
    message = answer_message(asked)
    assert [call.arguments for call in message.tool_calls] == ASKED
    assert len({call.id for call in message.tool_calls}) == 2
    results = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="12") for call in message.tool_calls]
    )
    assert text_of((await ask(session, user("time?"), message, results, options=OPTIONS)).parts) == "noon"
    wire = sent(openai_server)["messages"]
    assert [entry["role"] for entry in wire] == ["user", "assistant", "tool", "tool"]
    assert wire[1]["content"] == "Looking."
    assert [call["id"] for call in wire[1]["tool_calls"]] == [entry["tool_call_id"] for entry in wire[2:]]
    assert (asked.usage.total_tokens > 0) is manners.reports_usage


async def test_arguments_that_are_no_json_are_kept_as_they_came(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(tool_calls=(ToolCall("clock", '{"zone": "UT'),)))
    (call,) = answer_message(await ask(opened(), user(), options=OPTIONS)).tool_calls
    assert isinstance(call, Call)
    assert (call.arguments, call.raw_arguments) == ({}, '{"zone": "UT')


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_is_kept_and_goes_back_with_its_calls(
    field: str, opened: Open, openai_server: OpenAIServer
) -> None:
    openai_server.chat.manners = ChatManners(reasoning_field=field)
    openai_server.script(Reply(reasoning="Two of them.", tool_calls=TWO_CALLS), Reply(reasoning="Easy.", text="noon"))
    session = opened()
    asked = answer_message(await ask(session, user("time?"), options=OPTIONS))
    assert asked.parts[0] == ReasoningPart(text="Two of them.")
    results = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="12") for call in asked.tool_calls]
    )
    told = answer_message(await ask(session, user("time?"), asked, results, options=OPTIONS))
    assert sent(openai_server)["messages"][1][field] == "Two of them."
    openai_server.script("bye")
    await ask(session, user("time?"), asked, results, told, user("thanks"), options=OPTIONS)
    assert [entry.get(field) for entry in sent(openai_server)["messages"]] == [None, "Two of them.", *[None] * 4]


async def test_refusals_and_early_ends_are_answers(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(
        Reply(refusal="I cannot."),
        Reply(text="cut", incomplete="max_output_tokens"),
        Reply(text="", incomplete="content_filter"),
    )
    session = opened()
    events = [event async for event in session.stream_turn(ProviderRequest(messages=(user(),)))]
    assert isinstance(events[-1], Completed)
    assert events[-1].parts == (RefusalPart("I cannot."),)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "I cannot."
    assert (await ask(session, user())).finish_reason == "max_output_tokens"
    assert (await ask(session, user())).finish_reason == "content_filter"


@pytest.mark.parametrize("refused", ["max_tokens", "stream_options"])
async def test_a_field_that_is_refused_is_learned(
    refused: str, opened: Open, openai_server: OpenAIServer, connection: OpenAIConnection
) -> None:
    openai_server.chat.manners = ChatManners(refuses=frozenset({refused}))
    assert text_of((await ask(opened(max_tokens=50), user())).parts) == "[1] You said: hi"
    await ask(opened(max_tokens=50), user())
    assert [refused in sent(openai_server, at) for at in range(3)] == [True, False, False]
    if refused == "max_tokens":
        assert sent(openai_server)["max_completion_tokens"] == 50


async def test_reasoning_that_is_refused_is_left_out(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.chat.manners = ChatManners(reasoning_field="reasoning_content")
    openai_server.script(Reply(reasoning="Hm.", tool_calls=TWO_CALLS[:1]), "noon")
    asked = answer_message(await ask(opened(), user("time?"), options=OPTIONS))
    output = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=asked.tool_calls[0].id, content="12")])
    openai_server.chat.manners = ChatManners()  # now it knows no such field
    assert text_of((await ask(opened(), user("time?"), asked, output, options=OPTIONS)).parts) == "noon"
    assert "reasoning_content" not in str(sent(openai_server))
    openai_server.take_violations()


async def test_a_wrong_value_is_not_taken_for_an_unknown_field(opened: Open, openai_server: OpenAIServer) -> None:
    refusal = faults.http_error(400, code="invalid_value", message="max_tokens is too large: 99. At most 50.")
    openai_server.fault(refusal, on="chat")
    with pytest.raises(InvalidRequestError):
        await ask(opened(max_tokens=99), user())
    assert len(openai_server.chats) == 1


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        (faults.error_event(), ProviderUnavailableError, True),
        (faults.corrupt_event(), ProviderUnavailableError, True),
        (faults.cut_stream(), IncompleteStreamError, True),
        (faults.end_stream(), IncompleteStreamError, True),
        (faults.cut_stream(after_events=0), ProviderUnavailableError, True),
        (faults.html_bad_gateway(), ProviderUnavailableError, True),
        (faults.drop(), ProviderUnavailableError, True),
        (faults.empty_body(), SessionError, True),
        (faults.HttpFault(200, b"data: []\n\ndata: 5\n\n", "text/event-stream"), ProviderUnavailableError, True),
        (faults.HttpFault(200, b"<html>sign in</html>", "text/html"), SessionError, True),
        (faults.http_error(404), InvalidRequestError, False),
        (
            faults.http_error(400, message="This model's maximum context length is 4096 tokens."),
            ContextOverflowError,
            False,
        ),
    ],
    ids=["error", "corrupt", "cut", "eof", "cut at once", "502", "drop", "empty", "no object", "html", "404", "long"],
)
async def test_failures_are_classified(
    opened: Open, openai_server: OpenAIServer, fault: faults.Fault, error: type[SessionError], retryable: bool
) -> None:
    openai_server.fault(fault, on="chat")
    with pytest.raises(error) as caught:
        await ask(opened(), user("canary-7f3a"))
    assert caught.value.retryable is retryable
    assert "canary" not in str(caught.value)
    assert len(openai_server.chats) == 1, "only the turn engine retries"
    assert text_of((await ask(opened(), user())).parts) == "[1] You said: hi"


async def test_a_silent_server_times_out(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.delay(Gate()), on="chat")
    with pytest.raises(ProviderTimeoutError):
        await ask(opened(), user(), timeout=0.1)


async def test_cancelling_closes_the_connection(opened: Open, openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.script(Reply(chunks=("one ", "two"), gate=gate))
    session = opened()
    task = asyncio.create_task(session.send_message("hi"))
    await gate.arrived()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    openai_server.wait_until_idle()
    assert openai_server.chats[0].outcome == "client_gone"


async def test_one_connection_serves_many_turns(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    for number in range(5):
        await session.send_message(str(number))
    assert openai_server.open_connections == 1
