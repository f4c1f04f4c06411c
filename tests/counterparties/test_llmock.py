"""Every provider, through a session and its real SDK, against llmock: another project's server, made to break.

llmock answers OpenAI's Responses and Chat Completions, Anthropic's Messages, Gemini's generateContent, Mistral's chat
and Cohere's v2 chat. It scripts faults, and its verdict says how the client took them: `assert_resilient`.

It keeps nothing (no conversations, interactions or threads; `previous_response_id` is not looked at), it does not judge
bodies beyond their shape, and its streams for Mistral tell no usage. So nothing here says anything about native state.
"""

from __future__ import annotations

import pytest
from llmock.pytest_plugin import LLMock

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import AuthenticationError, IncompleteStreamError, ProviderUnavailableError
from tests.counterparties.ways import (
    CLIENT_WAYS,
    WEATHER,
    Way,
    as_text,
    open_session,
    results_for,
    say,
    shown_before,
)

ANSWER = "one two three four five six seven eight nine ten eleven twelve"
PAST_THE_FIRST_WORDS = 7
FAULTS = ("disconnect", "truncate", "corrupt")


@pytest.fixture(params=CLIENT_WAYS.values(), ids=list(CLIENT_WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    """Each API in turn."""
    found: Way = request.param
    return found


def statuses(llmock: LLMock) -> list[int]:
    return [record.status for record in llmock.requests]


async def test_each_turn_carries_what_was_said(
    way: Way, as_stream: bool, llmock: LLMock, at_llmock: SessionManager
) -> None:
    session = await open_session(at_llmock, way)
    llmock.reply("Hello Zed.").reply("It is Zed.")
    assert (await say(session, "my name is Zed", as_stream=as_stream)).content == "Hello Zed."
    assert (await say(session, "what is my name", as_stream=as_stream)).content == "It is Zed."
    first, second = (as_text(record.body) for record in llmock.requests)
    assert [first.count(text) for text in ("my name is Zed", "Hello Zed.")] == [1, 0]
    assert [second.count(text) for text in ("my name is Zed", "Hello Zed.", "what is my name")] == [1, 1, 1]
    tokens = (await session.get_metrics()).total_tokens
    assert (tokens > 0) == (way.provider != "mistral"), "llmock's streams for Mistral tell no usage"


async def test_a_tool_is_called_and_answered(way: Way, llmock: LLMock, at_llmock: SessionManager) -> None:
    session = await open_session(at_llmock, way)
    llmock.call_tool("weather", {"city": "Oslo"}).reply("Take an umbrella.")
    asked = await session.send_message("weather in Oslo?", tools=[WEATHER])
    assert [(call.name, call.arguments) for call in asked.tool_calls] == [("weather", {"city": "Oslo"})]
    reply = await session.send_tool_results(results_for(asked, {"Oslo": "rain, 8 degrees"}))
    assert reply.content == "Take an umbrella."
    body = as_text(llmock.last_request.body)
    assert body.count("rain, 8 degrees") == body.count("weather in Oslo?") == 1


async def test_a_rate_limit_is_waited_for(way: Way, as_stream: bool, llmock: LLMock, at_llmock: SessionManager) -> None:
    session = await open_session(at_llmock, way)
    llmock.rate_limit(times=2, retry_after=0.1).reply(ANSWER)
    assert (await say(session, "hi", as_stream=as_stream)).content == ANSWER
    assert statuses(llmock) == [429, 429, 200]
    llmock.assert_resilient(strict=True)


async def test_an_outage_is_survived_and_a_refused_key_is_not_tried_again(
    way: Way, llmock: LLMock, at_llmock: SessionManager
) -> None:
    session = await open_session(at_llmock, way)
    llmock.fail(503).reply(ANSWER)
    assert (await session.send_message("hi")).content == ANSWER
    llmock.fail(401)
    with pytest.raises(AuthenticationError):
        await session.send_message("and now?")
    assert statuses(llmock) == [503, 200, 401]
    llmock.assert_resilient(strict=True)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_broken_answer_is_asked_for_again(
    way: Way, fault: str, llmock: LLMock, at_llmock: SessionManager
) -> None:
    session = await open_session(at_llmock, way)
    llmock.reply(ANSWER, times=None)
    getattr(llmock, fault)(after_chunks=PAST_THE_FIRST_WORDS)
    assert (await session.send_message("count")).content == ANSWER
    assert len(llmock.requests) == 2
    llmock.assert_resilient()


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_stream_that_breaks_after_text_was_shown_fails_and_its_key_asks_again(
    way: Way, fault: str, llmock: LLMock, at_llmock: SessionManager
) -> None:
    session = await open_session(at_llmock, way)
    llmock.reply(ANSWER, times=None)
    getattr(llmock, fault)(after_chunks=PAST_THE_FIRST_WORDS)
    failures = (IncompleteStreamError, ProviderUnavailableError)
    shown = await shown_before(failures, session, "count", idempotency_key="once")
    assert shown.strip()
    assert ANSWER.startswith(shown.strip())
    assert len(llmock.requests) == 1

    assert (await say(session, "count", as_stream=True, idempotency_key="once")).content == ANSWER
    stored = [(message.role, message.content) for message in await session.get_messages()]
    assert stored == [("user", "count"), ("assistant", ANSWER)]
    assert len(llmock.requests) == 2
    llmock.assert_resilient()
