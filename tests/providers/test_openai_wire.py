"""What the OpenAI provider really sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions.errors import (
    ContentRefusedError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from langswarm_sessions.turns.costs import was_not_billed
from tests.support.openai_server import Gate, OpenAIServer, Reply, ToolCall, faults

MODEL = "gpt-6-astra"
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time.", "strict": True}}


@pytest.fixture
async def connection(openai_server: OpenAIServer) -> AsyncIterator[OpenAIConnection]:
    made = connect_openai({"api_key": openai_server.api_key, "base_url": openai_server.base_url})
    yield made
    await made.aclose()


Open = Callable[..., OpenAIProviderSession]


@pytest.fixture
def opened(connection: OpenAIConnection) -> Open:
    def open_session(**config: Any) -> OpenAIProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(text: str = "hi") -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


async def ask(session: OpenAIProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="openai")


def state(native_id: str | None) -> NativeState:
    assert native_id is not None
    return NativeState(provider="openai", kind=NativeKind.NODE, id=native_id, cursor=1, turn_id="turn")


async def test_configured_instructions_go_with_what_is_asked_directly(
    opened: Open, openai_server: OpenAIServer
) -> None:
    await opened(instructions="Be brief.").send_message("one")
    assert [(record.body or {})["instructions"] for record in openai_server.creates] == ["Be brief."]


async def test_native_turns_carry_the_delta_and_everything_that_is_not_inherited(
    opened: Open, openai_server: OpenAIServer
) -> None:
    session = opened()
    first = await ask(session, user("one"), keep_native=True, instructions="Be brief.")
    await ask(session, user("two"), keep_native=True, native=state(first.native_id), instructions="Be kind.")
    bodies = [record.body or {} for record in openai_server.creates]
    assert [body["store"] for body in bodies] == [True, True]
    assert [body["instructions"] for body in bodies] == ["Be brief.", "Be kind."]
    assert "previous_response_id" not in bodies[0]
    assert bodies[1]["previous_response_id"] == first.native_id
    assert bodies[1]["input"] == [{"type": "message", "role": "user", "content": "two"}]
    assert bodies[0]["prompt_cache_key"] == bodies[1]["prompt_cache_key"]
    assert "session" not in str(bodies[0]["prompt_cache_key"])


async def test_client_turns_have_one_owner_of_the_history(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    first = await ask(session, user("one"))
    await ask(session, user("one"), answer_message(first), user("two"))
    body = openai_server.creates[-1].body or {}
    assert body["store"] is False
    assert "previous_response_id" not in body
    assert "conversation" not in body
    assert body["include"] == ["reasoning.encrypted_content"]
    items: Any = body["input"]
    assert [item["role"] for item in items] == ["user", "assistant", "user"]
    assert openai_server.model_views[-1].user_texts == ["one", "two"]


async def test_store_false_keeps_nothing_at_the_provider(opened: Open, openai_server: OpenAIServer) -> None:
    completed = await ask(opened(store=False), user(), keep_native=True)
    assert (openai_server.creates[-1].body or {})["store"] is False
    assert completed.native_id is None


async def test_every_setting_reaches_the_wire(opened: Open, openai_server: OpenAIServer) -> None:
    schema: dict[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}
    session = opened(
        temperature=0.25,
        top_p=0.5,
        max_tokens=99,
        user="u-1",
        service_tier="flex",
        truncation="auto",
        reasoning_effort="low",
        reasoning_summary="auto",
        verbosity="low",
        response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": schema, "strict": True}},
        tool_choice={"type": "function", "function": {"name": "clock"}},
        parallel_tool_calls=False,
        metadata={"a": "1"},
        thread_metadata={"b": 2},
        conversation_metadata=None,
        timeout=5,
    )
    openai_server.script(Reply(tool_calls=(ToolCall("clock"),)))
    await ask(session, user(), options=TurnOptions(tools=(CLOCK,)))
    body = openai_server.creates[-1].body or {}
    wanted: dict[str, Any] = {
        "temperature": 0.25,
        "top_p": 0.5,
        "max_output_tokens": 99,
        "safety_identifier": "u-1",
        "service_tier": "flex",
        "truncation": "auto",
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {
            "format": {"type": "json_schema", "name": "out", "schema": schema, "strict": True},
            "verbosity": "low",
        },
        "tool_choice": {"type": "function", "name": "clock"},
        "parallel_tool_calls": False,
        "metadata": {"a": "1", "b": "2"},
        "tools": [
            {
                "type": "function",
                "name": "clock",
                "description": "Tells the time.",
                "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
                "strict": True,
            }
        ],
    }
    assert {name: body.get(name) for name in wanted} == wanted


async def test_reasoning_comes_back_sealed_and_paired(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    options = TurnOptions(tools=(CLOCK,))
    openai_server.script(Reply(reasoning="I need the time.", tool_calls=(ToolCall("clock"), ToolCall("clock"))))
    asked = await ask(session, user("time?"), options=options)
    assert [type(part) for part in asked.parts] == [ReasoningPart, Call, Call]
    message = answer_message(asked)
    outputs = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="12:00") for call in message.tool_calls]
    )
    await ask(session, user("time?"), message, outputs, options=options)
    items: Any = (openai_server.creates[-1].body or {})["input"]
    kinds = ["message", "reasoning", "function_call", "function_call", "function_call_output", "function_call_output"]
    assert [item["type"] for item in items] == kinds
    assert items[1]["encrypted_content"] == (message.provider_payload or {})["items"][0]["encrypted_content"]
    assert all("id" not in item for item in items[2:])
    openai_server.script("done")
    edited = replace(message, provider_payload={**(message.provider_payload or {}), "model": "another"})
    await ask(session, user("time?"), edited, outputs, options=options)
    items = (openai_server.creates[-1].body or {})["input"]
    assert "reasoning" not in [item["type"] for item in items]


async def test_a_compaction_is_kept_and_stands_for_what_was_before(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    openai_server.script(Reply(text="long ago", is_compacted=True), "fine")
    message = answer_message(await ask(session, user("one")))
    assert message.content == "long ago"
    compaction = (message.provider_payload or {})["items"][0]
    assert compaction["type"] == "compaction"
    system = SessionMessage(role=Role.SYSTEM, content="be kind")
    await ask(session, system, user("one"), message, user("two"))
    items: Any = (openai_server.creates[-1].body or {})["input"]
    assert items[1] == {"type": "compaction", "encrypted_content": compaction["encrypted_content"]}
    assert [(item["type"], item.get("content")) for item in items] == [
        ("message", "be kind"),
        ("compaction", None),
        ("message", "long ago"),
        ("message", "two"),
    ]
    foreign = replace(message, provider_payload={**(message.provider_payload or {}), "model": "another"})
    await ask(session, user("one"), foreign, user("two"))
    items = (openai_server.creates[-1].body or {})["input"]
    assert [item.get("role") for item in items] == ["user", "assistant", "user"], "only its own model can read it"


async def test_an_edited_answer_is_not_replayed_raw(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    openai_server.script("my number is tulip-4711")
    message = answer_message(await ask(session, user("number?")))
    message.content = "my number is [redacted]"
    message.align()
    await ask(session, user("number?"), message, user("thanks"))
    assert "tulip-4711" not in str(openai_server.creates[-1].body)
    assert "[redacted]" in str(openai_server.creates[-1].body)


async def test_a_model_that_encrypts_nothing_is_asked_once(
    opened: Open, openai_server: OpenAIServer, connection: OpenAIConnection
) -> None:
    refusal = faults.http_error(400, message="Encrypted content is not supported with this model.")
    openai_server.fault(refusal)
    assert text_of((await ask(opened(), user())).parts) == "[1] You said: hi"
    await ask(opened(), user())
    assert ["include" in (record.body or {}) for record in openai_server.creates] == [True, False, False]


async def test_reasoning_of_another_account_is_left_out(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    openai_server.script(Reply(reasoning="thinking", text="yes"))
    message = answer_message(await ask(session, user("one")))
    assert message.provider_payload is not None
    message.provider_payload["items"][0]["encrypted_content"] = "gAAAAforeign"
    openai_server.script("fine")
    assert text_of((await ask(session, user("one"), message, user("two"))).parts) == "fine"
    assert "gAAAAforeign" not in str(openai_server.creates[-1].body)
    openai_server.take_violations()


async def test_pictures_and_files_go_along(opened: Open, openai_server: OpenAIServer) -> None:
    message = SessionMessage(
        role=Role.USER,
        parts=[
            TextPart("look"),
            ImagePart(url="https://example.org/a.png", detail="low"),
            ImagePart(data="aGk=", media_type="image/jpeg"),
            FilePart(file_id="file-1"),
            FilePart(data="aGk=", media_type="application/pdf", name="a.pdf"),
            FilePart(url="https://example.org/a.pdf"),
            AudioPart(data="aGk=", media_type="audio/wav", transcript="spoken"),
        ],
    )
    await ask(opened(), message)
    items: Any = (openai_server.creates[-1].body or {})["input"]
    assert items[0]["content"] == [
        {"type": "input_text", "text": "look"},
        {"type": "input_image", "detail": "low", "image_url": "https://example.org/a.png"},
        {"type": "input_image", "detail": "auto", "image_url": "data:image/jpeg;base64,aGk="},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,aGk=", "filename": "a.pdf"},
        {"type": "input_file", "file_url": "https://example.org/a.pdf"},
        {"type": "input_text", "text": "spoken"},
    ]


async def test_sound_is_refused_when_new_and_skipped_when_old(opened: Open, openai_server: OpenAIServer) -> None:
    sound = SessionMessage(role=Role.USER, parts=[TextPart("listen"), AudioPart(data="aGk=", media_type="audio/wav")])
    with pytest.raises(InvalidRequestError, match="transcript"):
        await ask(opened(), sound)
    assert openai_server.creates == []
    await ask(opened(), sound, SessionMessage(role=Role.ASSISTANT, content="heard"), user("and?"))
    assert "aGk=" not in str(openai_server.creates[-1].body)


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


async def test_arguments_that_are_no_json_are_kept_as_they_came(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(tool_calls=(ToolCall("clock", arguments='{"zone": "UT'),)))
    session, options = opened(), TurnOptions(tools=(CLOCK,))
    message = answer_message(await ask(session, user(), options=options))
    (call,) = message.tool_calls
    assert (call.arguments, call.raw_arguments) == ({}, '{"zone": "UT')
    output = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="?")])
    message.provider_payload = None
    await ask(session, user(), message, output, options=options)
    items: Any = (openai_server.creates[-1].body or {})["input"]
    assert items[1]["arguments"] == '{"zone": "UT'


async def test_the_id_comes_with_the_first_event(opened: Open, openai_server: OpenAIServer) -> None:
    events = [event async for event in opened().stream_turn(ProviderRequest(messages=(user(),), keep_native=True))]
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Completed)
    assert events[0].native_id == events[-1].native_id == openai_server.creates[-1].response_id
    assert events[0].request_id


@pytest.mark.parametrize(
    ("fault", "error", "retryable"),
    [
        (faults.failed_response(), ProviderUnavailableError, True),
        (faults.error_event(), ProviderUnavailableError, True),
        (faults.error_event(nested=True), ProviderUnavailableError, True),
        (faults.error_event(code="invalid_prompt"), ContentRefusedError, False),
        (faults.error_event(code="rate_limit_exceeded"), RateLimitError, True),
        (faults.error_event(code="image_parse_error"), InvalidRequestError, False),
        (faults.error_event(code="429", nested=True), RateLimitError, True),
        (faults.corrupt_event(), ProviderUnavailableError, True),
        (faults.html_bad_gateway(), ProviderUnavailableError, True),
        (faults.drop(), ProviderUnavailableError, True),
        (faults.empty_body(), SessionError, True),
        (faults.HttpFault(200, b"data: []\n\ndata: 5\n\n", "text/event-stream"), ProviderUnavailableError, True),
    ],
    ids=[
        "failed",
        "error",
        "nested-error",
        "refused",
        "rate",
        "image",
        "status",
        "corrupt",
        "html",
        "drop",
        "empty",
        "no-object",
    ],
)
async def test_streams_that_break_are_classified(
    opened: Open, openai_server: OpenAIServer, fault: faults.Fault, error: type[SessionError], retryable: bool
) -> None:
    openai_server.fault(fault)
    with pytest.raises(error) as caught:
        await ask(opened(), user())
    assert caught.value.retryable is retryable
    assert not was_not_billed(caught.value), "tokens may have been made"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert len(openai_server.creates) <= 1, "only the turn engine retries"
    assert text_of((await ask(opened(), user())).parts) == "[1] You said: hi"


async def test_a_silent_provider_times_out(opened: Open, openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.delay(Gate()))
    with pytest.raises(ProviderTimeoutError):
        await ask(opened(), user(), timeout=0.1)


async def test_a_call_nobody_answered_at_the_provider_asks_for_a_rebuild(
    opened: Open, openai_server: OpenAIServer
) -> None:
    session, options = opened(), TurnOptions(tools=(CLOCK,))
    openai_server.script(Reply(tool_calls=(ToolCall("clock"),)))
    first = await ask(session, user(), keep_native=True, options=options)
    with pytest.raises(NativeStateLostError):
        await ask(session, user("never mind"), native=state(first.native_id), keep_native=True, options=options)
    openai_server.take_violations()


async def test_cancelling_closes_the_connection_and_leaves_no_task(opened: Open, openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.script(Reply(chunks=("one ", "two"), gate=gate))
    session = opened()
    task = asyncio.create_task(session.send_message("hi"))
    await asyncio.to_thread(gate.wait_for_arrivals, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.open()
    assert (await session.send_message("again")).content == "[1] You said: again"


async def test_one_connection_serves_many_turns(opened: Open, openai_server: OpenAIServer) -> None:
    session = opened()
    for number in range(5):
        await session.send_message(str(number))
    assert openai_server.open_connections == 1
