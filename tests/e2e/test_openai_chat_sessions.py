"""Sessions over Chat Completions: the window with every request, tools, failures, and the way to the other API."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, IncompleteStreamError, SessionManager
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.e2e.openai_kit import CLOCK, Say, sent, turns_of
from tests.support.openai_server import ChatManners, OpenAIServer, Reply, ToolCall, faults

MODEL = "small-model"
CHAT: dict[str, Any] = {"api": "chat"}
FIRST_TEXT = 2
"""Chunks of a stream up to its first piece of text."""


def chat(server: OpenAIServer, at: int = -1) -> list[tuple[str, Any]]:
    """Return the messages of one chat request as (role, content)."""
    messages: Any = (server.chats[at].body or {})["messages"]
    return [(message["role"], message["content"]) for message in messages]


@pytest.mark.parametrize("strategy", ["hybrid", "client"])
async def test_the_window_is_sent_with_every_turn(
    strategy: str, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, strategy=strategy, provider_config=CHAT)
    await say(session, "one")
    answer = await say(session, "two")
    assert answer.content == "[2] You said: two"
    assert chat(server) == [("user", "one"), ("assistant", "[1] You said: one"), ("user", "two")]
    assert answer.provider_metadata["usage"]["cached_tokens"] > 0, "the earlier request is this one's prefix"
    assert session.provider_session_id is None
    assert server.creates == []
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["client", "client"]


async def test_native_turns_are_refused(manager: SessionManager) -> None:
    with pytest.raises(ConfigurationError, match="'native'"):
        await manager.create_session("user", "openai", MODEL, strategy="native", provider_config=CHAT)


async def test_tools_go_round_and_an_open_call_is_closed(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    server.chat.manners = ChatManners(reasoning_field="reasoning_content", numbers_calls=False)
    asks_twice = Reply(reasoning="Two.", tool_calls=(ToolCall("clock"), ToolCall("clock")))
    session = await manager.create_session("user", "openai", MODEL, provider_config=CHAT)
    server.script(asks_twice, "noon here, one there", asks_twice, "never mind then")
    asked = await say(session, "what time?", tools=[CLOCK])
    first, second = asked.tool_calls
    results = [{"tool_call_id": second.id, "content": "13"}, {"tool_call_id": first.id, "content": "12"}]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    assert chat(server)[-2:] == [("tool", "12"), ("tool", "13")]
    await say(session, "and now?", tools=[CLOCK])
    assert (await say(session, "forget it")).content == "never mind then"
    assert chat(server)[-3:] == [("tool", INTERRUPTED_RESULT), ("tool", INTERRUPTED_RESULT), ("user", "forget it")]


BREAKS: dict[str, faults.Fault] = {
    "cut": faults.cut_stream(after_events=FIRST_TEXT - 1),
    "ended": faults.end_stream(after_events=FIRST_TEXT - 1),
    "error": faults.error_event(after_events=FIRST_TEXT - 1),
    "dropped": faults.drop(),
    "bad gateway": faults.html_bad_gateway(),
    "rate limit": faults.rate_limit(retry_after=0.05),
}


@pytest.mark.parametrize("how", BREAKS)
async def test_a_failure_nobody_saw_is_retried(
    how: str, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config=CHAT)
    server.fault(BREAKS[how], on="chat")
    assert (await say(session, "one")).content == "[1] You said: one"
    assert [turn["retries"] for turn in await turns_of(manager, session)] == [1]
    assert server.chats[0].body == server.chats[1].body


async def test_a_stream_cut_after_text_fails_the_turn_alone(manager: SessionManager, server: OpenAIServer) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config=CHAT)
    server.fault(faults.end_stream(after_events=FIRST_TEXT + 1), on="chat")
    with pytest.raises(IncompleteStreamError):
        async for _ in session.send_message_stream("one"):
            pass
    assert (await session.send_message("two")).content == "[1] You said: two"


async def test_a_session_may_change_the_api(manager: SessionManager, server: OpenAIServer) -> None:
    session = await manager.create_session("user", "openai", MODEL)
    server.script(Reply(reasoning="Hm.", text="first"))
    await session.send_message("one")
    await session.provider_session.update_provider_config(CHAT)
    await session.send_message("two")
    assert chat(server) == [("user", "one"), ("assistant", "first"), ("user", "two")]
    await session.provider_session.update_provider_config({"api": None})
    assert (await session.send_message("three")).content == "[3] You said: three"
    assert "messages" not in sent(server)
