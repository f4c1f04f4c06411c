"""What the Anthropic provider really sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions.errors import (
    ConfigurationError,
    IncompleteStreamError,
    InvalidInputError,
    InvalidRequestError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import (
    OtherPart,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.anthropic import AnthropicConnection, AnthropicProviderSession
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from langswarm_sessions.providers.anthropic.request import DEFAULT_MAX_TOKENS
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.records import TurnOptions
from tests.support.anthropic_server import AnthropicServer, Gate, Reply, ToolCall, faults

pytest_plugins = ["tests.support.anthropic_server.plugin"]

MODEL = "claude-haiku-5-5"
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time.", "strict": True}}
SEARCH: dict[str, Any] = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}}
FOUND: dict[str, Any] = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


@pytest.fixture
async def connection(anthropic_server: AnthropicServer) -> AsyncIterator[AnthropicConnection]:
    made = connect_anthropic({"api_key": anthropic_server.api_key, "base_url": anthropic_server.base_url})
    yield made
    await made.aclose()


Open = Callable[..., AnthropicProviderSession]


@pytest.fixture
def opened(connection: AnthropicConnection) -> Open:
    def open_session(**config: Any) -> AnthropicProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(text: str = "hi") -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


async def ask(session: AnthropicProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="anthropic")


def sent(server: AnthropicServer, at: int = -1) -> dict[str, Any]:
    return dict(server.requests[at].body or {})


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


async def test_a_request_is_streamed_cached_and_bounded(opened: Open, anthropic_server: AnthropicServer) -> None:
    await ask(opened(), user(), instructions="Be brief.")
    assert sent(anthropic_server) == {
        "model": MODEL,
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": [{"role": "user", "content": [text("hi")]}],
        "stream": True,
        "system": "Be brief.",
        "cache_control": {"type": "ephemeral"},
    }
    headers = anthropic_server.requests[-1].headers
    assert "anthropic-beta" not in headers
    assert "traceparent" not in headers


async def test_every_setting_reaches_the_wire(opened: Open, anthropic_server: AnthropicServer) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    session = opened(
        temperature=0.25,
        top_p=0.5,
        top_k=7,
        max_tokens=99,
        stop=["END"],
        user="u-1",
        service_tier="standard_only",
        reasoning_effort="xhigh",
        reasoning_summary="auto",
        response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": schema, "strict": True}},
        tool_choice="required",
        parallel_tool_calls=False,
        metadata={"a": "1"},
        verbosity="low",
        timeout=5,
    )
    await ask(session, user(), options=TurnOptions(tools=(CLOCK,)))
    wanted: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "top_k": 7,
        "max_tokens": 99,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "service_tier": "standard_only",
        "output_config": {"effort": "xhigh", "format": {"type": "json_schema", "schema": schema}},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "tools": [
            {
                "name": "clock",
                "description": "Tells the time.",
                "input_schema": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                "strict": True,
            }
        ],
    }
    body = sent(anthropic_server)
    assert {name: body.get(name) for name in wanted} == wanted
    assert set(body) == {*wanted, "model", "messages", "stream", "cache_control"}


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        ("auto", {"type": "auto"}),
        ("any", {"type": "any"}),
        ("none", {"type": "none"}),
        ("clock", {"type": "tool", "name": "clock"}),
        ({"type": "function", "function": {"name": "clock"}}, {"type": "tool", "name": "clock"}),
        ({"type": "tool", "name": "clock"}, {"type": "tool", "name": "clock"}),
    ],
)
async def test_tool_choices(choice: Any, wire: Any, opened: Open, anthropic_server: AnthropicServer) -> None:
    await ask(opened(tool_choice="none"), user(), options=TurnOptions(tools=(CLOCK,), tool_choice=choice))
    assert sent(anthropic_server)["tool_choice"] == wire
    await ask(opened(tool_choice="none"), user(), options=TurnOptions(tool_choice=choice))
    assert "tool_choice" not in sent(anthropic_server), "without tools there is nothing to choose"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"native": "node"}, "native must be one of 'ephemeral', 'none'"),
        ({"reasoning_effort": "minimal"}, "'low', 'medium', 'high', 'xhigh', 'max'"),
        ({"service_tier": "flex"}, "'standard_only'"),
        ({"temperature": 1.5}, "from 0 to 1"),
        ({"response_format": "json_object"}, "json_schema"),
        ({"response_format": {"type": "json_schema"}}, "'schema'"),
        ({"budget": 1}, "budget"),
    ],
)
def test_what_the_api_would_refuse_is_refused_at_once(config: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        connect_anthropic("sk-ant").check(MODEL, config)


async def test_thinking_goes_back_signed_and_in_its_place(opened: Open, anthropic_server: AnthropicServer) -> None:
    session, options = opened(), TurnOptions(tools=(CLOCK,))
    anthropic_server.script(
        Reply(thinking="I need the time.", redacted=True, text="Let me see.", tool_calls=(ToolCall("clock"),))
    )
    asked = await ask(session, user("time?"), options=options)
    assert [type(part) for part in asked.parts] == [ReasoningPart, TextPart, Call]
    assert asked.usage.reasoning_tokens > 0
    message = answer_message(asked)
    output = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id=message.tool_calls[0].id, content="12:00", is_error=True)]
    )
    await ask(session, user("time?"), message, output, options=options)
    _, answer, results = sent(anthropic_server)["messages"]
    assert [block["type"] for block in answer["content"]] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert answer["content"] == (message.provider_payload or {})["items"]
    assert results["content"] == [
        {"type": "tool_result", "tool_use_id": message.tool_calls[0].id, "content": "12:00", "is_error": True}
    ]
    elsewhere = replace(message, provider_payload={**(message.provider_payload or {}), "model": "claude-opus-5-5"})
    edited = replace(message, content="Let me look.", parts=[], tool_calls=message.tool_calls)
    for changed in (elsewhere, edited):
        await ask(session, user("time?"), changed, output, options=options)
        kinds = [block["type"] for block in sent(anthropic_server)["messages"][1]["content"]]
        assert kinds == ["text", "tool_use"]


async def test_thinking_that_led_to_nothing_stays_behind(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply(thinking="And so on and", stop_reason="max_tokens"))
    cut = await ask(opened(), user("prove it"))
    assert cut.finish_reason == "max_output_tokens"
    await ask(opened(), user("prove it"), answer_message(cut), user("go on"))
    assert sent(anthropic_server)["messages"] == [{"role": "user", "content": [text("prove it"), text("go on")]}]


@pytest.mark.parametrize(
    ("why", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "max_output_tokens"),
        ("model_context_window_exceeded", "model_context_window_exceeded"),
    ],
)
async def test_finish_reasons(why: Any, finish: str, opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply(text="so far", stop_reason=why))
    completed = await ask(opened(), user())
    assert (completed.finish_reason, text_of(completed.parts)) == (finish, "so far")


@pytest.mark.parametrize("said", ["Well, ", None])
async def test_a_refusal_is_an_answer(said: str | None, opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply(text=said, refusal="I cannot help with that."))
    events = [event async for event in opened().stream_turn(ProviderRequest(messages=(user(),)))]
    completed = events[-1]
    assert isinstance(completed, Completed)
    told = said or "I cannot help with that."
    assert completed.finish_reason == "refusal"
    assert completed.parts == (RefusalPart(told),)
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == told
    await ask(opened(), user(), answer_message(completed), user("why?"))
    assert sent(anthropic_server)["messages"][1] == {"role": "assistant", "content": [text(told)]}


async def test_usage_counts_what_the_cache_had(opened: Open, anthropic_server: AnthropicServer) -> None:
    long = "word " * 400
    first = await ask(opened(), user(long), instructions="Be brief.")
    second = await ask(opened(), user(long), answer_message(first), user("more"), instructions="Be brief.")
    assert first.usage.cached_tokens == 0
    assert first.usage.input_tokens > 400
    assert second.usage.cached_tokens >= first.usage.input_tokens - 3, "the prefix is the same, byte for byte"
    assert second.usage.input_tokens > second.usage.cached_tokens
    assert second.usage.total_tokens == second.usage.input_tokens + second.usage.output_tokens


async def test_a_paused_turn_is_gone_on_with(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(
        Reply(text="Searching. ", blocks=(SEARCH,), stop_reason="pause_turn"), Reply(blocks=(FOUND,), text="Nothing.")
    )
    options = TurnOptions(tools=({"type": "web_search_20260209", "name": "web_search"},))
    anthropic_server.answer_with(lambda _: Reply(text="ok"))
    completed = await ask(opened(), user("look it up"), options=options)
    assert text_of(completed.parts) == "Searching. Nothing."
    assert [part.data["type"] for part in completed.parts if isinstance(part, OtherPart)] == [
        "server_tool_use",
        "web_search_tool_result",
    ]
    assert completed.usage.output_tokens > 0
    assert len(anthropic_server.requests) == 2
    await ask(opened(), user("look it up"), answer_message(completed), user("thanks"), options=options)
    assert len(sent(anthropic_server)["messages"]) == 3


async def test_broken_arguments_are_kept_as_they_came(opened: Open, anthropic_server: AnthropicServer) -> None:
    options = TurnOptions(tools=(CLOCK,))
    anthropic_server.script(Reply(tool_calls=(ToolCall("clock", '{"zone": "U'),), stop_reason="max_tokens"))
    asked = await ask(opened(), user(), options=options)
    (call,) = [part for part in asked.parts if isinstance(part, Call)]
    assert (call.raw_arguments, call.arguments) == ('{"zone": "U', {})
    output = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="?", is_error=True)])
    await ask(opened(), user(), answer_message(asked), output, options=options)
    assert sent(anthropic_server)["messages"][1]["content"][0]["input"] == {"raw_arguments": '{"zone": "U'}


async def test_a_model_that_answers_less_is_asked_for_less(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.api.output_limit = 8192
    assert text_of((await ask(opened(), user())).parts) == "[1] You said: hi"
    await ask(opened(), user())
    assert [sent(anthropic_server, at)["max_tokens"] for at in range(3)] == [DEFAULT_MAX_TOKENS, 8192, 8192]
    with pytest.raises(InvalidRequestError):
        await ask(opened(max_tokens=9000), user())
    assert len(anthropic_server.requests) == 4, "what the user asked for is not changed"


async def test_system_messages_stand_in_their_place_where_the_model_takes_them(
    opened: Open, anthropic_server: AnthropicServer
) -> None:
    first = SessionMessage(role=Role.SYSTEM, content="Speak English.")
    later = SessionMessage(role=Role.SYSTEM, content="Speak French.")
    said = SessionMessage(role=Role.ASSISTANT, content="Hello.")
    messages = (first, user("one"), said, later, user("two"))
    await ask(opened(), *messages, instructions="Be brief.")
    body = sent(anthropic_server)
    assert body["system"] == "Be brief.\n\nSpeak English."
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user", "system"]
    anthropic_server.refuse_system_messages(MODEL)
    for _ in range(2):
        assert text_of((await ask(opened(), *messages)).parts) == "[2] You said: two"
        assert sent(anthropic_server)["system"] == "Speak English.\n\nSpeak French."
    assert len(anthropic_server.requests) == 4, "asked once, remembered"


async def test_leaving_early_ends_the_request(opened: Open, anthropic_server: AnthropicServer) -> None:
    gate = Gate()
    anthropic_server.script(Reply(chunks=("one ", "two"), gate=gate))
    gate.permit()
    async with aclosing(opened().stream_turn(ProviderRequest(messages=(user(),)))) as events:
        assert isinstance(await anext(events), Started)
        assert await anext(events) == TextDelta("one ")
    await asyncio.to_thread(anthropic_server.wait_until_idle)
    assert anthropic_server.requests[-1].outcome == "client_gone"


async def test_answers_one_after_the_other_share_a_connection(opened: Open, anthropic_server: AnthropicServer) -> None:
    for _ in range(3):
        await ask(opened(), user())
    assert anthropic_server.open_connections == 1


async def test_a_stream_that_ends_before_its_last_event_is_no_answer(
    opened: Open, anthropic_server: AnthropicServer
) -> None:
    anthropic_server.fault(faults.end_stream(after_events=99))
    with pytest.raises(IncompleteStreamError):
        await ask(opened(), user())


async def test_schemas_of_answers_are_brought_into_the_apis_subset(
    opened: Open, anthropic_server: AnthropicServer
) -> None:
    maybe = {"type": ["string", "null"], "maxLength": 9, "description": "a name"}
    point = {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}, "required": ["x"]}
    given = {
        "type": "object",
        "properties": {"name": maybe, "at": {"$ref": "#/$defs/Point"}, "kind": {"type": ["string"], "enum": ["a"]}},
        "$defs": {"Point": point},
    }
    answer_in = TurnOptions(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": given}})
    await ask(opened(), user(), options=answer_in)
    schema = sent(anthropic_server)["output_config"]["format"]["schema"]
    assert schema["additionalProperties"] is schema["$defs"]["Point"]["additionalProperties"] is False
    assert schema["$defs"]["Point"]["properties"]["x"] == {"type": "integer", "description": "{minimum: 1}"}
    name = {"description": "a name", "anyOf": [{"type": "string", "description": "{maxLength: 9}"}, {"type": "null"}]}
    assert schema["properties"] == {"name": name, "at": {"$ref": "#/$defs/Point"}, "kind": {"enum": ["a"]}}
    assert "additionalProperties" not in given, "what was given is left as it is"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"anything": {}}},
        {"type": "decimal"},
        {"type": "object", "properties": []},
        {"type": "array", "items": 1},
    ],
)
async def test_a_schema_the_api_has_no_words_for_is_refused(schema: Any, opened: Open) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    with pytest.raises(InvalidInputError, match="response_format: anthropic takes a schema only if"):
        await ask(opened(), user(), options=TurnOptions(response_format=form))
