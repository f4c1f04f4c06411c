"""What the Cohere provider really sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    Part,
    ReasoningPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.cohere import CohereConnection, CohereProviderSession
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions.records import TurnOptions
from tests.support.cohere_server import CohereServer, Gate, Reply, ToolCall

pytest_plugins = ["tests.support.cohere_server.plugin"]

MODEL = "command-a-03-2025"
CLOCK: dict[str, Any] = {"type": "function", "function": {"name": "clock", "description": "Tells the time."}}
OPTIONS = TurnOptions(tools=(CLOCK,))
CITATION: dict[str, Any] = {
    "start": 3,
    "end": 7,
    "text": "noon",
    "sources": [{"type": "tool", "id": "clock_1:0", "tool_output": {"time": "12:00"}}],
    "type": "TEXT_CONTENT",
}

Open = Callable[..., CohereProviderSession]


@pytest.fixture
async def connection(cohere_server: CohereServer) -> AsyncIterator[CohereConnection]:
    made = connect_cohere({"api_key": cohere_server.api_key, "base_url": cohere_server.base_url})
    yield made
    await made.aclose()


@pytest.fixture
def opened(connection: CohereConnection) -> Open:
    def open_session(**config: Any) -> CohereProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(text: str = "hi", *parts: Part) -> SessionMessage:
    return SessionMessage(role=Role.USER, parts=[TextPart(text), *parts])


def outputs(*calls: Call) -> SessionMessage:
    return SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content="12:00") for call in calls])


async def ask(session: CohereProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="cohere")


def sent(server: CohereServer, at: int = -1) -> dict[str, Any]:
    return dict(server.requests[at].body or {})


async def test_a_tool_round_is_replayed_as_it_came(opened: Open, cohere_server: CohereServer) -> None:
    session = opened()
    calls = (ToolCall("clock", {"zone": "UTC"}), ToolCall("clock", "null"))
    cohere_server.script(
        Reply(thinking="I need the time.", plan="I will look twice.", tool_calls=calls),
        Reply(text="At noon, he said.", citations=(CITATION,), cached_tokens=3.0),
    )
    asked = await ask(session, user("time?"), options=OPTIONS)
    assert asked.parts[:2] == (ReasoningPart(text="I need the time."), ReasoningPart(text="I will look twice."))
    message = answer_message(asked)
    assert [call.arguments for call in message.tool_calls] == [{"zone": "UTC"}, {}]
    results = outputs(*message.tool_calls)
    told = await ask(session, user("time?"), message, results, options=OPTIONS)
    assert told.usage.cached_tokens == 3
    await ask(session, user("time?"), message, results, answer_message(told), user("thanks"), options=OPTIONS)
    first, second = message.tool_calls
    assert sent(cohere_server)["messages"] == [
        {"role": "user", "content": "time?"},
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "I need the time."}],
            "tool_plan": "I will look twice.",
            "tool_calls": [
                {"id": first.id, "type": "function", "function": {"name": "clock", "arguments": '{"zone": "UTC"}'}},
                {"id": second.id, "type": "function", "function": {"name": "clock", "arguments": "null"}},
            ],
        },
        {"role": "tool", "tool_call_id": first.id, "content": "12:00"},
        {"role": "tool", "tool_call_id": second.id, "content": "12:00"},
        {"role": "assistant", "content": "At noon, he said.", "citations": [CITATION]},
        {"role": "user", "content": "thanks"},
    ]
    sleepless = opened(reasoning_effort="none")
    await ask(sleepless, user("time?"), message, results, options=OPTIONS)
    assert "I need the time." not in str(sent(cohere_server))
    assert sent(cohere_server)["thinking"] == {"type": "disabled"}


async def test_answers_of_others_cross_as_text_and_calls(opened: Open, cohere_server: CohereServer) -> None:
    foreign = SessionMessage(
        role=Role.ASSISTANT,
        parts=[ReasoningPart(text="secret"), TextPart("Let me see."), Call(id="call-1/ä", name="clock")],
        provider_payload={"provider": "openai", "model": "gpt-6-astra", "items": [{"type": "reasoning"}]},
    )
    rules = SessionMessage(role=Role.SYSTEM, content="old rules", kind=MessageKind.INSTRUCTIONS)
    note = SessionMessage(role=Role.SYSTEM, content="The user is tired.")
    history = [rules, user("time?"), foreign, outputs(*foreign.tool_calls), note, user("and?")]
    await ask(opened(), *history, instructions="new rules")
    call = {"id": "call-1/ä", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
    assert sent(cohere_server)["messages"] == [
        {"role": "system", "content": "new rules"},
        {"role": "user", "content": "time?"},
        {"role": "assistant", "tool_plan": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call-1/ä", "content": "12:00"},
        {"role": "system", "content": "The user is tired."},
        {"role": "user", "content": "and?"},
    ]


async def test_answers_of_another_model_cross_without_their_thinking(
    opened: Open, cohere_server: CohereServer, connection: CohereConnection
) -> None:
    cohere_server.script(Reply(thinking="hm", text="yes", citations=(CITATION,)))
    message = answer_message(await ask(connection.open("session", "command-a-reasoning-08-2025", {}), user("one")))
    await ask(opened(), user("one"), message, user("two"))
    assert sent(cohere_server)["messages"][1] == {"role": "assistant", "content": "yes"}


async def test_an_edited_answer_is_not_replayed_raw(opened: Open, cohere_server: CohereServer) -> None:
    session = opened()
    cohere_server.script(Reply(text="my number is 4711", citations=(CITATION,)))
    message = answer_message(await ask(session, user("number?")))
    edited = replace(message, content="my number is [redacted]", parts=[])
    await ask(session, user("number?"), edited, user("thanks"))
    answer = sent(cohere_server)["messages"][1]
    assert answer == {"role": "assistant", "content": "my number is [redacted]"}


async def test_pictures_go_along_and_other_media_do_not(opened: Open, cohere_server: CohereServer) -> None:
    seen = user(
        "look",
        ImagePart(url="https://example.org/a.png", detail="low"),
        ImagePart(data="aGk=", media_type="image/jpeg", detail="odd"),
        AudioPart(data="aGk=", media_type="audio/wav", transcript="spoken"),
    )
    await ask(opened(), seen)
    assert sent(cohere_server)["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,aGk="}},
        {"type": "text", "text": "spoken"},
    ]
    for part, remedy in ((FilePart(data="aGk=", name="a.pdf"), "text"), (AudioPart(data="aGk="), "transcript")):
        with pytest.raises(InvalidRequestError, match=remedy):
            await ask(opened(), user("take", part))
    picture = SessionMessage(
        role=Role.TOOL, parts=[ToolResult(tool_call_id="c", content="drawn"), ImagePart(data="aGk=")]
    )
    asked = SessionMessage(role=Role.ASSISTANT, parts=[Call(id="c", name="draw")])
    with pytest.raises(InvalidRequestError, match="user's message"):
        await ask(opened(), user("draw"), asked, picture)
    assert len(cohere_server.requests) == 1
    old = [user("take", FilePart(data="aGk=", name="a.pdf")), asked, picture]
    await ask(opened(), *old, SessionMessage(role=Role.ASSISTANT, content="done"), user("and?"))
    body = sent(cohere_server)["messages"]
    assert [block["text"] for block in body[0]["content"]] == ["take", told_instead(FilePart())]
    assert body[2]["content"] == f"drawn\n{told_instead(ImagePart())}"


async def test_a_model_that_sees_nothing_is_not_shown_earlier_images_again(
    opened: Open, cohere_server: CohereServer
) -> None:
    cohere_server.sees = False
    picture = user("look", ImagePart(data="aGk="))
    history = [picture, SessionMessage(role=Role.ASSISTANT, content="nice"), user("thanks")]
    for _ in range(2):
        assert text_of((await ask(opened(), *history)).parts) == "[2] You said: thanks"
    assert ["image_url" in str(record.body) for record in cohere_server.requests] == [True, False, False]
    noted = ["look", told_instead(ImagePart())]
    assert [block["text"] for block in sent(cohere_server)["messages"][0]["content"]] == noted
    with pytest.raises(InvalidRequestError, match="model that sees"):
        await ask(opened(), picture)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("COMPLETE", "stop"), ("STOP_SEQUENCE", "stop"), ("MAX_TOKENS", "max_output_tokens"), ("NEW_ONE", "new_one")],
)
async def test_why_an_answer_ends(opened: Open, cohere_server: CohereServer, reason: str, finish: str) -> None:
    cohere_server.script(Reply(text="as far as it goes", finish_reason=reason))
    assert (await ask(opened(), user())).finish_reason == finish


async def test_arguments_that_are_no_json_are_kept_as_they_came(opened: Open, cohere_server: CohereServer) -> None:
    cohere_server.script(Reply(tool_calls=(ToolCall("clock", arguments='{"zone": "UT'),)))
    message = answer_message(await ask(opened(), user(), options=OPTIONS))
    (call,) = message.tool_calls
    assert (call.arguments, call.raw_arguments) == ({}, '{"zone": "UT')
    message.provider_payload = None
    await ask(opened(), user(), message, outputs(call), options=OPTIONS)
    assert sent(cohere_server)["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"zone": "UT'


async def test_the_events_of_an_answer(opened: Open, cohere_server: CohereServer) -> None:
    cohere_server.script(Reply(thinking="hm", chunks=("one ", "two")))
    events = [event async for event in opened().stream_turn(ProviderRequest(messages=(user(),), keep_native=True))]
    first, *pieces, last = events
    assert isinstance(first, Started)
    assert (first.native_id, bool(first.request_id)) == (None, True)
    assert pieces == [TextDelta("one "), TextDelta("two")]
    assert isinstance(last, Completed)
    assert last.parts == (ReasoningPart(text="hm"), TextPart("one two"))
    assert (last.model, last.native_id, last.request_id) == (MODEL, None, first.request_id)
    assert last.provider_message_id


async def test_cancelling_closes_the_connection_and_leaves_no_task(opened: Open, cohere_server: CohereServer) -> None:
    gate = Gate()
    cohere_server.script(Reply(chunks=("one ", "two"), gate=gate))
    session = opened()
    task = asyncio.create_task(session.send_message("hi"))
    await gate.arrived()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    cohere_server.wait_until_idle()
    assert [record.outcome for record in cohere_server.requests] == ["client_gone"]
    assert (await session.send_message("again")).content == "[1] You said: again"


async def test_one_connection_serves_many_turns(opened: Open, cohere_server: CohereServer) -> None:
    session = opened()
    for number in range(5):
        await session.send_message(str(number))
    assert cohere_server.open_connections == 1
