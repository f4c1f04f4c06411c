"""Every provider, through a session and its real SDK, against aimock: another project's server, scripted by the answer.

A reply scripted for one `turn` is served only to a request that carries as many answers of the assistant: such a reply
proves that the history was sent, and the journal says what was. aimock answers OpenAI's Responses and Chat Completions,
Anthropic's Messages, Gemini's generateContent and Interactions (v1beta), Mistral's chat and Cohere's v2 chat.

What it cannot do: it keeps nothing (`previous_response_id` and `previous_interaction_id` are taken and not looked at,
so a native turn proves here what is sent, not that anything is held), it has no conversations of OpenAI's or Mistral's,
it takes most wrong bodies, it streams Mistral's tool calls in OpenAI's pieces, which Mistral's SDK refuses (so that
round trip is llmock's alone), and it gives Gemini a finish reason that the SDK warns of.
"""

from __future__ import annotations

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import IncompleteStreamError
from tests.counterparties.ways import (
    CLIENT_WAYS,
    NATIVE_WAYS,
    WEATHER,
    Way,
    as_text,
    open_session,
    results_for,
    say,
    shown_before,
)
from tests.support.aimock import Aimock

LONG = "one two three four five six seven eight nine ten"
ROUND = ("openai responses", "anthropic", "gemini", "mistral", "cohere", "openai chat")


def of(ways: dict[str, Way], *without: str) -> pytest.MarkDecorator:
    chosen = {name: way for name, way in ways.items() if name not in without}
    return pytest.mark.parametrize("way", chosen.values(), ids=list(chosen))


def said(aimock: Aimock) -> list[list[tuple[str, str]]]:
    """Return who said what in each request; aimock keeps them all in the form of chat completions."""
    return [[(one["role"], one["content"]) for one in body["messages"]] for body in aimock.requests()]


@of(CLIENT_WAYS)
async def test_a_client_turn_sends_the_conversation(
    way: Way, as_stream: bool, aimock: Aimock, at_aimock: SessionManager
) -> None:
    session = await open_session(at_aimock, way)
    aimock.reply("Hello Zed.", to="my name is Zed", turn=0)
    aimock.reply("It is Zed.", to="what is my name", turn=1)
    assert (await say(session, "my name is Zed", as_stream=as_stream)).content == "Hello Zed."
    assert (await say(session, "what is my name", as_stream=as_stream)).content == "It is Zed."
    told = [("user", "my name is Zed"), ("assistant", "Hello Zed."), ("user", "what is my name")]
    assert said(aimock) == [told[:1], told]


@of(NATIVE_WAYS)
async def test_a_native_turn_sends_what_is_new(
    way: Way, as_stream: bool, aimock: Aimock, at_aimock: SessionManager
) -> None:
    session = await open_session(at_aimock, way)
    aimock.reply("Hello Zed.", to="my name is Zed", turn=0)
    aimock.reply("It is Zed.", to="what is my name", turn=0)
    await say(session, "my name is Zed", as_stream=as_stream)
    assert (await say(session, "what is my name", as_stream=as_stream)).content == "It is Zed."
    assert said(aimock) == [[("user", "my name is Zed")], [("user", "what is my name")]]


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason:UserWarning")
@of({**CLIENT_WAYS, **{f"native {name}": way for name, way in NATIVE_WAYS.items()}}, "mistral")
async def test_parallel_tools_are_called_and_answered(way: Way, aimock: Aimock, at_aimock: SessionManager) -> None:
    session = await open_session(at_aimock, way)
    aimock.call_tools([("weather", {"city": "Oslo"}), ("weather", {"city": "Rome"})], to="weather in both?")
    asked = await session.send_message("weather in both?", tools=[WEATHER])
    assert [(call.name, call.arguments["city"]) for call in asked.tool_calls] == [
        ("weather", "Oslo"),
        ("weather", "Rome"),
    ]
    aimock.reset()
    aimock.reply("Rome it is.")
    reply = await session.send_tool_results(results_for(asked, {"Oslo": "rain", "Rome": "sunshine"}))
    assert reply.content == "Rome it is."
    [body] = aimock.requests()
    results = [one["content"] for one in body["messages"] if one["role"] == "tool"]
    assert [("rain" in result, "sunshine" in result) for result in results] == [(True, False), (False, True)]
    assert ("weather in both?" in as_text(body)) == (way.strategy == "client")


@of(CLIENT_WAYS)
async def test_a_failure_costs_a_retry(way: Way, as_stream: bool, aimock: Aimock, at_aimock: SessionManager) -> None:
    session = await open_session(at_aimock, way)
    aimock.reply("fine", turn=0)
    aimock.fail_next(503, message="overloaded")
    assert (await say(session, "hi", as_stream=as_stream)).content == "fine"
    assert [entry["response"]["status"] for entry in aimock.journal()] == [503, 200]
    assert (await session.get_metrics()).retries == 1


@of({**CLIENT_WAYS, **{f"native {name}": way for name, way in NATIVE_WAYS.items()}})
async def test_a_cut_stream_fails_and_its_key_asks_again(way: Way, aimock: Aimock, at_aimock: SessionManager) -> None:
    session = await open_session(at_aimock, way)
    # Milliseconds between chunks: what is cut at once never leaves the machine's buffers.
    cut = {"chunkSize": 5, "latency": 10, "truncateAfterChunks": 8}
    aimock.add({"match": {"turnIndex": 0}, "response": {"content": LONG}, **cut})
    shown = await shown_before(IncompleteStreamError, session, "count", idempotency_key="once")
    assert 0 < len(shown) < len(LONG)
    assert LONG.startswith(shown)
    aimock.reset()
    aimock.reply(LONG, turn=0)
    assert (await say(session, "count", as_stream=True, idempotency_key="once")).content == LONG
    assert said(aimock) == [[("user", "count")]]
    stored = [(message.role, message.content) for message in await session.get_messages()]
    assert stored == [("user", "count"), ("assistant", LONG)]


async def test_one_conversation_goes_round_all_five(as_stream: bool, aimock: Aimock, at_aimock: SessionManager) -> None:
    for turn, name in enumerate(ROUND):
        aimock.reply(f"{name} heard {turn} answers", to=f"question {turn}", turn=turn)
    session = await open_session(at_aimock, CLIENT_WAYS[ROUND[0]])
    for turn, name in enumerate(ROUND):
        way = CLIENT_WAYS[name]
        if turn:
            report = await session.handoff(way.provider, way.model, provider_config=dict(way.settings))
            assert (report.messages, dict(report.crossing.crossed)) == (2 * turn, {"text": 2 * turn})
        assert (await say(session, f"question {turn}", as_stream=as_stream)).content == f"{name} heard {turn} answers"
    paths = [entry["path"].partition("?")[0] for entry in aimock.journal()]
    assert paths == [
        "/v1/responses",
        "/v1/messages",
        "/v1beta/models/gemini-3.8-flash:streamGenerateContent",
        "/v1/chat/completions",
        "/v2/chat",
        "/v1/chat/completions",
    ]
    questions = [text for role, text in said(aimock)[-1] if role == "user"]
    assert questions == [f"question {turn}" for turn in range(len(ROUND))]
