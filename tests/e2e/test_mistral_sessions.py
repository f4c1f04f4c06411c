"""Sessions over the real Mistral SDK: what is sent, what its conversations hold, and how they heal."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions.messages import ReasoningPart
from tests.e2e.mistral_kit import CLOCK, MODEL, Open, Say, held, mistral, mistral_server, open_mistral, paths, sent
from tests.support.mistral_server import MistralServer, Reply, ToolCall

__all__ = ["mistral", "mistral_server", "open_mistral"]

START, APPEND, CHAT = "POST conversations", "POST conversations/{id}", "POST chat/completions"
BOTH = pytest.mark.parametrize("strategy", ["native", "client"])


def said(body: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return what a request says, whichever API it goes to."""
    entries: list[dict[str, Any]] = body.get("messages") or body["inputs"]
    return [(entry.get("role") or entry["type"], entry.get("content", entry.get("result"))) for entry in entries]


async def test_a_conversation_is_kept_by_mistral(open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy="native")
    for text in ("one", "two", "three"):
        await say(session, text)
    assert paths(mistral) == [START, APPEND, APPEND]
    assert [said(sent(mistral, at)) for at in range(3)] == [[("user", text)] for text in ("one", "two", "three")]
    assert session.provider_session_id == mistral.conversations[0].id
    assert [text for _, text in held(mistral)] == [
        "one",
        "[1] You said: one",
        "two",
        "[2] You said: two",
        "three",
        "[3] You said: three",
    ]
    assert "model" not in sent(mistral, 1)


async def test_the_window_is_sent_when_nothing_is_kept(open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy="client")
    await say(session, "one")
    await say(session, "two")
    assert paths(mistral) == [CHAT, CHAT]
    assert said(sent(mistral)) == [("user", "one"), ("assistant", "[1] You said: one"), ("user", "two")]
    assert mistral.conversations == []
    assert sent(mistral)["messages"][0] == sent(mistral, 0)["messages"][0], "the prefix stays"


@pytest.mark.parametrize("setting", [{"native": "none"}, {"store": False}])
async def test_hybrid_falls_back_to_the_window(
    setting: dict[str, Any], open_mistral: Open, mistral: MistralServer
) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, provider_config=setting)
    await session.send_message("one")
    assert paths(mistral) == [CHAT]


@BOTH
async def test_tools_go_round(strategy: str, open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy=strategy)
    mistral.script(
        Reply(text="Let me look.", tool_calls=(ToolCall("clock", {"zone": "UTC"}), ToolCall("clock", {"zone": "CET"})))
    )
    asked = await say(session, "time?", tools=[CLOCK])
    assert [call.arguments for call in asked.tool_calls] == [{"zone": "UTC"}, {"zone": "CET"}]
    results = [{"tool_call_id": call.id, "content": call.arguments["zone"]} for call in reversed(asked.tool_calls)]
    told = await session.send_tool_results(results, tools=[CLOCK])
    assert told.content == "[1] Tools said: UTC, CET"
    assert (await say(session, "thanks", tools=[CLOCK])).content == "[2] You said: thanks"
    if strategy == "native":
        assert paths(mistral) == [START, APPEND, APPEND]


@BOTH
async def test_a_call_left_open_is_closed_before_the_next_words(
    strategy: str, open_mistral: Open, mistral: MistralServer, say: Say
) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy=strategy)
    mistral.script(Reply(tool_calls=(ToolCall("clock"),)))
    await say(session, "time?", tools=[CLOCK])
    assert (await say(session, "never mind", tools=[CLOCK])).content == "[2] You said: never mind"
    roles = [role for role, _ in said(sent(mistral))]
    assert roles[-3:] == ["function.result" if strategy == "native" else "tool", "assistant", "user"]


async def test_a_lost_conversation_heals_within_the_turn(open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL)
    await say(session, "one")
    mistral.forget()
    assert (await say(session, "two")).content == "[2] You said: two"
    assert said(sent(mistral)) == [("user", "one"), ("assistant", "[1] You said: one"), ("user", "two")]
    assert (await say(session, "three")).content == "[3] You said: three"
    assert paths(mistral)[-1] == APPEND
    assert (await session.get_metrics()).rebuilds == 1


async def test_changed_instructions_and_tools_begin_a_conversation_anew(
    open_mistral: Open, mistral: MistralServer, say: Say
) -> None:
    session = await open_mistral().create_session(
        "user", "mistral", MODEL, provider_config={"instructions": "Be brief."}
    )
    await say(session, "one")
    await session.provider_session.update_provider_config({"instructions": "Be kind."})
    await say(session, "two")
    assert (mistral.conversations[-1].instructions, mistral.conversations[-1].tool_names) == ("Be kind.", ())
    await say(session, "three", tools=[CLOCK])
    assert (mistral.conversations[-1].instructions, mistral.conversations[-1].tool_names) == ("Be kind.", ("clock",))
    await say(session, "four", tools=[CLOCK])
    assert paths(mistral) == [START, START, START, APPEND], "nothing is sent that could not be continued"
    assert mistral.model_views[-1].user_texts == ["one", "two", "three", "four"]


async def test_a_system_message_reaches_the_model_in_front(
    open_mistral: Open, mistral: MistralServer, say: Say
) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL)
    await say(session, "one")
    await session.send_system_message("Speak French.")
    await say(session, "two")
    assert mistral.conversations[-1].instructions == "Speak French."
    await say(session, "three")
    assert paths(mistral) == [START, START, APPEND]


@BOTH
async def test_thinking_is_kept_and_goes_back_to_the_same_model(
    strategy: str, open_mistral: Open, mistral: MistralServer, say: Say
) -> None:
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy=strategy)
    mistral.script(Reply(thinking="Let me see.", text="Yes."))
    answer = await say(session, "one")
    assert answer.content == "Yes."
    assert [part.text for part in answer.parts if isinstance(part, ReasoningPart)] == ["Let me see."]
    mistral.forget()
    await say(session, "two")
    content: Any = said(sent(mistral))[1][1]
    assert [chunk["type"] for chunk in content] == ["thinking", "text"]
    assert content[0]["signature"] == "sig-Let me see."


@BOTH
async def test_an_agent_answers(strategy: str, open_mistral: Open, mistral: MistralServer, say: Say) -> None:
    config = {"agent_id": "ag_1", "temperature": 0.3, "max_tokens": 9}
    session = await open_mistral().create_session("user", "mistral", MODEL, strategy=strategy, provider_config=config)
    await say(session, "one")
    assert (await say(session, "two")).content == "[2] You said: two"
    body = sent(mistral, 0)
    assert (body["agent_id"], "model" in body) == ("ag_1", False)
    expected = [START, APPEND] if strategy == "native" else ["POST agents/completions"] * 2
    assert paths(mistral) == expected


async def test_the_conversation_goes_on_in_another_process(open_mistral: Open, mistral: MistralServer) -> None:
    first = open_mistral()
    session = await first.create_session("user", "mistral", MODEL, session_id="order")
    await session.send_message("one")
    await first.close()
    again = await open_mistral().get_session("order")
    assert (await again.send_message("two")).content == "[2] You said: two"
    assert paths(mistral) == [START, APPEND]


async def test_a_history_of_another_provider_can_be_taken_over(open_mistral: Open, mistral: MistralServer) -> None:
    manager = open_mistral()
    session = await manager.create_session("user", "mock", "mock-model")
    await session.send_message("one")
    await session.handoff("mistral", MODEL)
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert said(sent(mistral))[0] == ("user", "one")
