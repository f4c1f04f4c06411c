"""Sessions over the real OpenAI SDK: what goes over the wire, who owns the history, and what the database has of it."""

from __future__ import annotations

import pytest

from langswarm_sessions import ConfigurationError, SessionManager
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.e2e.openai_kit import CLOCK, Say, kinds, said, sent, turns_of
from tests.session.kit import rows_of
from tests.support.openai_server import OpenAIServer, Reply, ToolCall

MODEL = "gpt-6-astra"
ASKS_TWICE = Reply(reasoning="I need two times.", tool_calls=(ToolCall("clock"), ToolCall("clock")))


async def test_native_turns_send_what_is_new(manager: SessionManager, server: OpenAIServer, say: Say) -> None:
    session = await manager.create_session("user", "openai", MODEL)
    for text in ("albatross", "bee", "cat"):
        await say(session, text)
    bodies = [sent(server, at) for at in range(3)]
    assert [body["input"] for body in bodies] == [[said("user", text)] for text in ("albatross", "bee", "cat")]
    assert "previous_response_id" not in bodies[0]
    issued = [request.response_id for request in server.creates]
    assert [body["previous_response_id"] for body in bodies[1:]] == issued[:2]
    assert session.provider_session_id == issued[2]
    assert server.model_views[-1].user_texts == ["albatross", "bee", "cat"]
    assert [(turn["state"], turn["mode"]) for turn in await turns_of(manager, session)] == [("completed", "native")] * 3


async def test_parallel_tool_calls_are_answered_in_the_thread(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL)
    server.script(ASKS_TWICE, "noon here, one there")
    asked = await say(session, "what time?", tools=[CLOCK])
    first, second = asked.tool_calls
    results = [{"tool_call_id": second.id, "content": "13"}, {"tool_call_id": first.id, "content": "12"}]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    body = sent(server)
    assert body["previous_response_id"] == server.creates[0].response_id
    assert body["input"] == [
        {"type": "function_call_output", "call_id": first.id, "output": "12"},
        {"type": "function_call_output", "call_id": second.id, "output": "13"},
    ]
    assert body["tools"] == sent(server, 0)["tools"], "tools are not inherited"
    assert (await say(session, "thanks")).content == "[2] You said: thanks"
    assert sent(server)["input"] == [said("user", "thanks")]


async def test_client_turns_send_the_window_and_leave_nothing_there(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, strategy="client")
    server.script(ASKS_TWICE)
    asked = await say(session, "what time?", tools=[CLOCK])
    results = [{"tool_call_id": call.id, "content": "12"} for call in asked.tool_calls]
    answer = await session.send_tool_results(results)
    await say(session, "thanks")
    bodies = [sent(server, at) for at in range(3)]
    assert [(body["store"], "previous_response_id" in body) for body in bodies] == [(False, False)] * 3
    calls = ["message", "reasoning", "function_call", "function_call", "function_call_output", "function_call_output"]
    assert [kinds(body) for body in bodies] == [["message"], calls, [*calls, "message", "message"]]
    assert bodies[2]["input"][-2:] == [said("assistant", answer.content), said("user", "thanks")]
    assert bodies[2]["input"][:6] == bodies[1]["input"], "the prompt cache knows what was sent before"
    assert server.stored_ids == []
    assert session.provider_session_id is None
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["client"] * 3


@pytest.mark.parametrize("strategy", ["native", "client"])
async def test_a_call_nobody_answered_is_answered_for_them(
    strategy: str, manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, strategy=strategy)
    server.script(Reply(tool_calls=(ToolCall("clock"),)))
    (call,) = (await say(session, "what time?", tools=[CLOCK])).tool_calls
    assert (await say(session, "never mind")).content == "[2] You said: never mind"
    answered = {"type": "function_call_output", "call_id": call.id, "output": INTERRUPTED_RESULT}
    assert sent(server)["input"][-2:] == [answered, said("user", "never mind")]
    assert len(server.creates) == 2, "repaired before it was sent"
    assert [message.role.value for message in await session.get_messages()] == ["user", "assistant"] * 2
    assert (await say(session, "go on")).content == "[3] You said: go on"


async def test_a_lost_thread_is_rebuilt_with_its_reasoning(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL)
    server.script(ASKS_TWICE, "noon")
    asked = await say(session, "what time?", tools=[CLOCK])
    await session.send_tool_results([{"tool_call_id": call.id, "content": "12"} for call in asked.tool_calls])
    (stored,) = await rows_of(
        manager, "SELECT provider_payload FROM messages WHERE provider_payload LIKE '%encrypted_content%'"
    )
    server.forget()
    assert (await say(session, "still there?")).content == "[2] You said: still there?"
    refused, rebuilt = sent(server, -2), sent(server)
    assert refused["input"] == [said("user", "still there?")]
    assert "previous_response_id" not in rebuilt
    calls = ["message", "reasoning", "function_call", "function_call", "function_call_output", "function_call_output"]
    assert kinds(rebuilt) == [*calls, "message", "message"]
    assert rebuilt["input"][1]["encrypted_content"] in stored["provider_payload"]
    assert (await session.get_metrics()).rebuilds == 1
    await say(session, "good")
    body = sent(server)
    assert body["previous_response_id"] == server.creates[-2].response_id
    assert body["input"] == [said("user", "good")]
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 0, 1, 0]


async def test_without_store_the_window_is_sent_and_the_turns_say_so(
    manager: SessionManager, server: OpenAIServer, say: Say
) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config={"store": False})
    await say(session, "one")
    await say(session, "two")
    assert [(sent(server, at)["store"], len(sent(server, at)["input"])) for at in range(2)] == [(False, 1), (False, 3)]
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["client", "client"]
    assert (await session.get_provider_metadata())["native"] == "none"
    assert server.stored_ids == []


async def test_native_turns_without_store_are_refused(manager: SessionManager, server: OpenAIServer) -> None:
    with pytest.raises(ConfigurationError, match=r"'native'.*'store': False"):
        await manager.create_session(
            "user", "openai", MODEL, session_id="s", strategy="native", provider_config={"store": False}
        )
    assert await rows_of(manager, "SELECT session_id FROM sessions") == []
    session = await manager.create_session("user", "openai", MODEL, strategy="native")
    with pytest.raises(ConfigurationError, match=r"'native'.*'store': False"):
        await session.provider_session.update_provider_config({"store": False})
    assert (await session.send_message("one")).content == "[1] You said: one"
    assert sent(server).get("store") is not False
    assert await rows_of(manager, "SELECT provider_config FROM sessions") == [{"provider_config": None}]


async def test_settings_that_do_not_go_together_are_refused_also_one_after_the_other(
    manager: SessionManager, server: OpenAIServer
) -> None:
    session = await manager.create_session("user", "openai", MODEL, provider_config={"store": False})
    with pytest.raises(ConfigurationError, match="'log' needs a provider that stores"):
        await session.provider_session.update_provider_config({"native": "log"})
    assert (await session.send_message("one")).content == "[1] You said: one"
    assert server.stored_ids == []


async def test_store_may_be_switched_off_and_on_again(manager: SessionManager, server: OpenAIServer, say: Say) -> None:
    session = await manager.create_session("user", "openai", MODEL)
    await say(session, "one")
    await session.provider_session.update_provider_config({"store": False})
    two = await say(session, "two")
    assert "previous_response_id" not in sent(server)
    assert [item["role"] for item in sent(server)["input"]] == ["user", "assistant", "user"]
    await session.provider_session.update_provider_config({"store": None})
    assert (await say(session, "three")).content == "[3] You said: three"
    assert sent(server)["previous_response_id"] == server.creates[0].response_id
    assert sent(server)["input"] == [said("user", "two"), said("assistant", two.content), said("user", "three")]
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["native", "client", "native"]
