"""Sessions over the real google-genai SDK: what goes over the wire, who owns the history, what heals."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest

from langswarm_sessions import ConfigurationError, IncompleteStreamError, SessionManager
from langswarm_sessions.messages import ImagePart, TextPart
from langswarm_sessions.window import INTERRUPTED_RESULT
from tests.e2e.gemini_kit import (
    CLOCK,
    gemini_environment,
    gemini_server,
    manager,
    sent,
    server,
    steps_of,
    user_content,
    user_step,
)
from tests.e2e.openai_kit import Say, turns_of
from tests.session.kit import rows_of
from tests.support.gemini_server import Gate, GeminiServer, Reply, ToolCall, faults
from tests.support.gemini_server.state import UNSIGNED

__all__ = ["gemini_environment", "gemini_server", "manager", "server"]

MODEL = "gemini-4-carbon"
ASKS_TWICE = Reply(thought="Two times are needed.", tool_calls=(ToolCall("clock"), ToolCall("clock")))

strategies = pytest.mark.parametrize("strategy", ["native", "client"])


async def test_native_turns_send_what_is_new(manager: SessionManager, server: GeminiServer, say: Say) -> None:
    session = await manager.create_session("user", "gemini", MODEL)
    for text in ("albatross", "bee", "cat"):
        await say(session, text)
    bodies = [sent(server, at) for at in range(3)]
    assert [body["input"] for body in bodies] == [[user_step(text)] for text in ("albatross", "bee", "cat")]
    assert "previous_interaction_id" not in bodies[0]
    issued = [request.response_id for request in server.asked]
    assert [body["previous_interaction_id"] for body in bodies[1:]] == issued[:2]
    assert session.provider_session_id == issued[2]
    assert server.model_views[-1].user_texts == ["albatross", "bee", "cat"]
    assert [(turn["state"], turn["mode"]) for turn in await turns_of(manager, session)] == [("completed", "native")] * 3
    server.wait_for_connections(1)


async def test_parallel_tool_calls_are_answered_in_the_thread(
    manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL)
    server.script(ASKS_TWICE, "noon here, one there")
    asked = await say(session, "what time?", tools=[CLOCK])
    first, second = asked.tool_calls
    results = [{"tool_call_id": second.id, "content": "13"}, {"tool_call_id": first.id, "content": "12"}]
    assert (await session.send_tool_results(results)).content == "noon here, one there"
    body = sent(server)
    assert body["previous_interaction_id"] == server.asked[0].response_id
    assert [(step["call_id"], step["result"]) for step in body["input"]] == [(first.id, "12"), (second.id, "13")]
    assert body["tools"] == sent(server, 0)["tools"], "tools are not inherited"
    assert (await say(session, "thanks")).content == "[2] You said: thanks"


@pytest.mark.parametrize("has_ids", [True, False], ids=["ids", "no ids"])
async def test_client_turns_send_the_window_and_leave_nothing_there(
    has_ids: bool, manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    server.state.has_call_ids = has_ids
    session = await manager.create_session("user", "gemini", MODEL, strategy="client")
    server.script(ASKS_TWICE)
    asked = await say(session, "what time?", tools=[CLOCK])
    first, second = asked.tool_calls
    assert first.id != second.id
    results = [{"tool_call_id": call.id, "content": text} for call, text in ((second, "13"), (first, "12"))]
    answer = await session.send_tool_results(results)
    assert answer.content == "[1] Tools said: 12, 13"
    await say(session, "thanks")
    bodies = [sent(server, at) for at in range(3)]
    assert [len(body["contents"]) for body in bodies] == [1, 3, 5]
    assert bodies[2]["contents"][:3] == bodies[1]["contents"], "the prompt cache knows what was sent before"
    assert bodies[2]["contents"][3:] == [user_content(answer.content, "model"), user_content("thanks")]
    calls = [part["functionCall"] for part in bodies[1]["contents"][1]["parts"] if "functionCall" in part]
    assert [("id" in call) for call in calls] == [has_ids] * 2, "an id made here is none of Gemini's"
    assert server.state.kept_ids() == []
    assert session.provider_session_id is None
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["client"] * 3


@strategies
async def test_a_call_nobody_answered_is_answered_for_them(
    strategy: str, manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL, strategy=strategy)
    server.script(Reply(tool_calls=(ToolCall("clock"),)))
    await say(session, "what time?", tools=[CLOCK])
    assert (await say(session, "never mind")).content == "[2] You said: never mind"
    assert ("result", INTERRUPTED_RESULT) in server.model_views[-1].entries
    assert len(server.asked) == 2, "repaired before it was sent"
    assert (await say(session, "go on")).content == "[3] You said: go on"


async def test_a_lost_thread_is_rebuilt_with_its_thoughts(
    manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL)
    server.script(ASKS_TWICE, "noon")
    asked = await say(session, "what time?", tools=[CLOCK])
    await session.send_tool_results([{"tool_call_id": call.id, "content": "12"} for call in asked.tool_calls])
    (stored,) = await rows_of(
        manager, "SELECT provider_payload FROM messages WHERE provider_payload LIKE '%signature%'"
    )
    server.forget()
    assert (await say(session, "still there?")).content == "[2] You said: still there?"
    refused, rebuilt = sent(server, -2), sent(server)
    assert refused["input"] == [user_step("still there?")]
    assert "previous_interaction_id" not in rebuilt
    calls = ["thought", "function_call", "function_call", "function_result", "function_result"]
    assert steps_of(rebuilt) == ["user_input", *calls, "model_output", "user_input"]
    assert rebuilt["input"][1]["signature"] in stored["provider_payload"]
    assert (await session.get_metrics()).rebuilds == 1
    await say(session, "good")
    assert sent(server)["input"] == [user_step("good")]
    assert [turn["rebuilds"] for turn in await turns_of(manager, session)] == [0, 0, 1, 0]


@pytest.mark.parametrize("config", [{"store": False}, {"native": "none"}])
async def test_told_to_keep_nothing_the_window_is_sent(
    config: dict[str, object], manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL, provider_config=config)
    await say(session, "one")
    await say(session, "two")
    assert [len(sent(server, at)["contents"]) for at in range(2)] == [1, 3]
    assert [turn["mode"] for turn in await turns_of(manager, session)] == ["client", "client"]
    assert (await session.get_provider_metadata())["native"] == "none"
    assert server.state.kept_ids() == []
    with pytest.raises(ConfigurationError, match="'native'"):
        await manager.create_session("user", "gemini", MODEL, strategy="native", provider_config=config)


async def test_keeping_may_be_switched_off_and_on_again(
    manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL)
    await say(session, "one")
    await session.provider_session.update_provider_config({"store": False})
    two = await say(session, "two")
    assert [content["role"] for content in sent(server)["contents"]] == ["user", "model", "user"]
    await session.provider_session.update_provider_config({"store": None})
    assert (await say(session, "three")).content == "[3] You said: three"
    assert sent(server)["previous_interaction_id"] == server.asked[0].response_id
    said = {"type": "model_output", "content": [{"type": "text", "text": two.content}]}
    assert sent(server)["input"] == [user_step("two"), said, user_step("three")]


async def test_calls_made_through_one_api_are_replayed_through_the_other(
    manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL)
    server.script(ASKS_TWICE)
    asked = await say(session, "what time?", tools=[CLOCK])
    await session.provider_session.update_provider_config({"native": "none"})
    results = [{"tool_call_id": call.id, "content": "12"} for call in asked.tool_calls]
    assert (await session.send_tool_results(results)).content == "[1] Tools said: 12, 12"
    parts = sent(server)["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == [_url_safe(UNSIGNED), None]
    assert [part["functionCall"]["id"] for part in parts] == [call.id for call in asked.tool_calls]


@strategies
async def test_a_rate_limit_is_waited_out(
    strategy: str, manager: SessionManager, server: GeminiServer, say: Say
) -> None:
    session = await manager.create_session("user", "gemini", MODEL, strategy=strategy)
    await say(session, "one")
    server.fault(faults.rate_limit(0.05))
    assert (await say(session, "two")).content == "[2] You said: two"
    assert sent(server) == sent(server, -2), "the same request, not another one"
    assert (await session.get_metrics()).retries == 1


@strategies
async def test_an_interrupted_answer_is_carried_into_the_next_turn(
    strategy: str, manager: SessionManager, server: GeminiServer
) -> None:
    session = await manager.create_session("user", "gemini", MODEL, strategy=strategy)
    await session.send_message("one")
    gate = Gate()
    server.script(Reply(chunks=("half ", "of it"), gate=gate))
    gate.permit()
    async with session.send_message_stream("two") as stream:
        assert await anext(stream) == "half "
    server.wait_until_idle()
    assert (await session.send_message("three")).content == "[3] You said: three"
    assert [text for _, text in server.model_views[-1].entries][2:] == ["two", "half ", "three"]
    if strategy == "native":
        assert sent(server)["previous_interaction_id"] == server.asked[0].response_id, "not the node nobody heard of"


@pytest.mark.parametrize("fault", [faults.cut_stream, faults.end_stream])
@strategies
async def test_a_stream_cut_after_text_fails_the_turn_alone(
    strategy: str, fault: Callable[..., faults.Fault], manager: SessionManager, server: GeminiServer
) -> None:
    session = await manager.create_session("user", "gemini", MODEL, strategy=strategy)
    await session.send_message("one")
    server.script("[2] never heard whole")
    server.fault(fault(after_events=3 if strategy == "native" else 1))
    stream = session.send_message_stream("two")
    assert await anext(stream) == "[2] "
    with pytest.raises(IncompleteStreamError):
        await anext(stream)
    assert len(server.asked) == 2, "what was shown cannot be taken back"
    assert (await session.send_message("three")).content == "[2] You said: three"
    assert server.model_views[-1].user_texts == ["one", "three"]


@strategies
async def test_images_go_in_and_come_out(strategy: str, manager: SessionManager, server: GeminiServer) -> None:
    picture = base64.b64encode(b"\x89PNG\xfb\xff picture").decode()
    session = await manager.create_session("user", "gemini", MODEL, strategy=strategy)
    server.script(Reply(text="Here.", image=picture))
    answer = await session.send_message([TextPart("redraw"), ImagePart(data=picture, media_type="image/png")])
    drawn = [part for part in answer.parts if isinstance(part, ImagePart)]
    assert [base64.urlsafe_b64decode(_url_safe(part.data or "")) for part in drawn] == [b"\x89PNG\xfb\xff picture"]
    await session.send_message("again")
    kind = "<image>" if strategy == "native" else "<inlineData>"
    assert [text for _, text in server.model_views[-1].entries] == [f"redraw{kind}", f"Here.{kind}", "again"]


def _url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")
