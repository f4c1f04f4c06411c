"""Sessions over the real Anthropic SDK: what goes over the wire, who owns the history, failures on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    ContextOverflowError,
    IncompleteStreamError,
    RateLimitError,
    Session,
    SessionManager,
)
from langswarm_sessions.providers.anthropic import AnthropicConnection
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.e2e.openai_kit import CLOCK, Say, turns_of
from tests.session.kit import OpenManager, rows_of
from tests.support.anthropic_server import AnthropicServer, Gate, Reply, ToolCall, faults
from tests.support.recorded import Recorded

pytest_plugins = ["tests.support.anthropic_server.plugin"]

MODEL = "claude-haiku-5-5"
THREADS = {"native": "ephemeral"}
FIRST_TEXT = 3
"""Events of a stream up to its first piece of text."""

ASKS_TWICE = Reply(thinking="I need two times.", tool_calls=(ToolCall("clock"), ToolCall("clock")))
both_ways = pytest.mark.parametrize("config", [{}, THREADS], ids=["client", "threads"])


@pytest.fixture
async def anthropic_connection(anthropic_environment: AnthropicServer) -> AsyncIterator[AnthropicConnection]:
    """A connection let in by the environment; afterwards every request has come to its end."""
    connection = connect_anthropic(None)
    yield connection
    await connection.aclose()
    anthropic_environment.wait_until_idle()


@pytest.fixture
def server(anthropic_environment: AnthropicServer) -> AnthropicServer:
    """The test's server."""
    return anthropic_environment


@pytest.fixture
def manager(anthropic_connection: AnthropicConnection, open_manager: OpenManager, recorded: Recorded) -> SessionManager:
    """A manager over a database file whose Anthropic is the test's server."""
    return open_manager(providers={"anthropic": anthropic_connection}, telemetry=recorded.telemetry())


def sent(server: AnthropicServer, at: int = -1) -> dict[str, Any]:
    return dict(server.requests[at].body or {})


def said(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def threads(server: AnthropicServer) -> list[str | None]:
    """Return how each request dealt with a thread."""
    bodies = [sent(server, at) for at in range(len(server.requests))]
    return [body["thread"]["type"] if "thread" in body else None for body in bodies]


async def test_each_turn_sends_the_window_and_the_cache_knows_its_beginning(
    manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config={"instructions": "Be brief."})
    for text in ("albatross", "bee"):
        await say(session, text)
    reply = await say(session, "cat")
    assert sent(server)["messages"] == [
        said("user", "albatross"), said("assistant", "[1] You said: albatross"),
        said("user", "bee"), said("assistant", "[2] You said: bee"), said("user", "cat"),
    ]  # fmt: skip
    assert sent(server)["messages"][:3] == sent(server, 1)["messages"]
    assert [sent(server, at)["system"] for at in range(3)] == ["Be brief."] * 3
    assert reply.provider_metadata["usage"]["cached_tokens"] > 0
    assert session.provider_session_id is None
    assert threads(server) == [None] * 3
    assert [(turn["state"], turn["mode"]) for turn in await turns_of(manager, session)] == [("completed", "client")] * 3


async def test_a_thread_carries_what_is_new(manager: SessionManager, server: AnthropicServer, say: Say) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=THREADS)
    for text in ("albatross", "bee", "cat"):
        await say(session, text)
    assert threads(server) == ["create", "continue", "continue"]
    assert [sent(server, at)["messages"] for at in range(3)] == [
        [said("user", text)] for text in ("albatross", "bee", "cat")
    ]
    assert server.model_views[-1].user_texts == ["albatross", "bee", "cat"]
    assert session.provider_session_id == server.requests[-1].response_id
    assert [(turn["state"], turn["mode"]) for turn in await turns_of(manager, session)] == [("completed", "native")] * 3


@both_ways
async def test_parallel_tool_calls_go_round_with_their_thinking(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    server.script(ASKS_TWICE, "noon here, one there")
    asked = await say(session, "what time?", tools=[CLOCK])
    first, second = asked.tool_calls
    results = [{"tool_call_id": second.id, "content": "13"}, {"tool_call_id": first.id, "content": "12"}]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    assert sent(server)["messages"][-1]["content"] == [
        {"type": "tool_result", "tool_use_id": first.id, "content": "12"},
        {"type": "tool_result", "tool_use_id": second.id, "content": "13"},
    ]
    assert threads(server) == (["create", "continue"] if config else [None, None])
    if not config:
        (stored,) = await rows_of(manager, "SELECT provider_payload FROM messages WHERE provider_payload LIKE '%sig_%'")
        thinking = sent(server)["messages"][1]["content"][0]
        assert thinking["thinking"] == "I need two times."
        assert thinking["signature"] in stored["provider_payload"]
    assert (await say(session, "thanks", tools=[CLOCK])).content == "[2] You said: thanks"


@both_ways
async def test_a_call_nobody_answered_is_answered_for_them(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    server.script(Reply(tool_calls=(ToolCall("clock"),)))
    (call,) = (await say(session, "what time?", tools=[CLOCK])).tool_calls
    assert (await say(session, "never mind", tools=[CLOCK])).content == "[2] You said: never mind"
    interrupted = {"type": "tool_result", "tool_use_id": call.id, "content": INTERRUPTED_RESULT, "is_error": True}
    assert sent(server)["messages"][-1]["content"] == [interrupted, {"type": "text", "text": "never mind"}]
    assert len(server.requests) == 2


async def test_a_lost_thread_is_rebuilt_within_the_turn(
    manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=THREADS)
    server.script(ASKS_TWICE, "noon")
    asked = await say(session, "what time?", tools=[CLOCK])
    await session.send_tool_results([{"tool_call_id": call.id, "content": "12"} for call in asked.tool_calls])
    server.forget()
    assert (await say(session, "still there?", tools=[CLOCK])).content == "[2] You said: still there?"
    assert threads(server)[-2:] == ["continue", "create"]
    kinds = [[block["type"] for block in message["content"]] for message in sent(server)["messages"]]
    assert kinds == [["text"], ["thinking", "tool_use", "tool_use"], ["tool_result"] * 2, ["text"], ["text"]]
    await say(session, "good", tools=[CLOCK])
    assert threads(server)[-1] == "continue"
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 0, 1, 0]


async def test_changed_instructions_and_tools_reach_the_model_on_the_next_turn(
    manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=THREADS)
    await say(session, "one")
    await session.provider_session.update_provider_config({"instructions": "Be kind."})
    assert (await say(session, "two", tools=[CLOCK])).content == "[2] You said: two"
    view = server.model_views[-1]
    assert (view.system, view.tool_names) == ("Be kind.", ("clock",))
    assert threads(server) == ["create", "create"], "seen before anything was sent"


async def test_what_cannot_be_threaded_goes_on_without(
    manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=THREADS)
    await say(session, "one")
    server.refuse_threads()
    for number, text in enumerate(("two", "three"), start=2):
        assert (await say(session, text)).content == f"[{number}] You said: {text}"
    assert threads(server) == ["create", "continue", None, None]
    assert session.provider_session_id is None
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 1, 0]


@both_ways
async def test_a_system_message_stands_in_its_place(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    await say(session, "one")
    await session.send_system_message("Speak French.")
    await say(session, "two")
    await say(session, "three")
    roles = [message["role"] for message in server.model_views[-1].messages]
    assert roles == ["user", "assistant", "user", "system", "assistant", "user"]


@both_ways
async def test_a_rate_limit_is_waited_out(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer, recorded: Recorded, say: Say
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    await say(session, "one")
    server.fault(faults.rate_limit(retry_after=0.05))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert sent(server) == sent(server, -2), "the same request, not another one"
    server.fault(faults.rate_limit(retry_after=None), times=3)
    with pytest.raises(RateLimitError):
        await say(session, "three")
    assert (await say(session, "four")).content == "[3] You said: four"
    assert [turn["state"] for turn in await turns_of(manager, session)] == [
        "completed", "completed", "failed", "completed",
    ]  # fmt: skip
    (retry, *_) = [event for span in recorded.spans for event in span.events if event.name == "langswarm.turn.retry"]
    assert dict(retry.attributes or {})["langswarm.retry.delay_seconds"] == 0.05


@both_ways
@pytest.mark.parametrize("stored", [True, False])
async def test_a_broken_answer_is_asked_for_again(
    stored: bool, config: dict[str, Any], manager: SessionManager, server: AnthropicServer
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    await session.send_message("one")
    for fault in (faults.drop(stored=stored), faults.cut_stream(stored=stored), faults.end_stream(stored=stored)):
        server.fault(fault)
        number = len(await turns_of(manager, session)) + 1
        assert (await session.send_message("more")).content == f"[{number}] You said: more"
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, *[int(stored and bool(config))] * 3]


@both_ways
async def test_a_cut_stream_is_told_to_its_reader(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    await session.send_message("one")
    server.script(Reply(chunks=("half ", "of it")))
    server.fault(faults.cut_stream(after_events=FIRST_TEXT))
    stream = session.send_message_stream("two")
    with pytest.raises(IncompleteStreamError):
        [chunk async for chunk in stream]
    assert (await session.send_message("three")).content.endswith("You said: three")
    assert "two" not in server.model_views[-1].user_texts, "what failed is not told"


@both_ways
async def test_an_interrupted_answer_is_carried_into_the_next_turn(
    config: dict[str, Any], manager: SessionManager, server: AnthropicServer
) -> None:
    session = await manager.create_session("user", "anthropic", MODEL, provider_config=config)
    await session.send_message("one")
    gate = Gate()
    server.script(Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    async with session.send_message_stream("two") as stream:
        assert await anext(stream) == "half "
    await asyncio.to_thread(server.wait_until_idle)
    assert (await session.send_message("three")).content == "[3] You said: three"
    assert server.model_views[-1].texts[2:] == [("user", "two"), ("assistant", "half "), ("user", "three")]
    states = [turn["state"] for turn in await turns_of(manager, session)]
    assert states == ["completed", "interrupted", "completed"]


async def test_an_overflow_is_trimmed_once(manager: SessionManager, server: AnthropicServer, say: Say) -> None:
    session = await manager.create_session("user", "anthropic", MODEL)
    for text in ("one", "two", "three"):
        await say(session, text)
    server.fault(faults.http_error(400, message="prompt is too long: 3 tokens > 2 maximum"))
    assert (await say(session, "four")).content.endswith("You said: four")
    assert len(sent(server)["messages"]) < len(sent(server, -2)["messages"])
    server.fault(faults.http_error(400, message="prompt is too long: 3 tokens > 2 maximum"), times=2)
    with pytest.raises(ContextOverflowError):
        await say(session, "five")


async def test_kinds_it_has_not_are_refused_before_anything_is_stored(manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="'ephemeral', 'none'"):
        await manager.create_session("user", "anthropic", MODEL, provider_config={"native": "log"})
    with pytest.raises(ConfigurationError, match="'native'"):
        await manager.create_session("user", "anthropic", MODEL, strategy="native")
    assert await rows_of(manager, "SELECT session_id FROM sessions") == []
    assert isinstance(
        await manager.create_session("user", "anthropic", MODEL, strategy="native", provider_config=THREADS), Session
    )
