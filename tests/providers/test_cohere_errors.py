"""What failures at Cohere become: the classifier as a table, then the same over the wire, with nothing told of it."""

from __future__ import annotations

import logging
import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    IncompleteStreamError,
    InvalidRequestError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
)
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage, text_of
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.cohere import CohereConnection
from langswarm_sessions.providers.cohere.client import connect_cohere
from langswarm_sessions.providers.cohere.errors import classify, translate
from langswarm_sessions.providers.failures import Failure
from tests.support.cohere_server import CohereServer, Gate, faults

pytest_plugins = ["tests.support.cohere_server.plugin"]

MODEL = "command-a-03-2025"
OVERFLOW = "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."
TOO_MUCH_ASKED = "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model"
TRIAL = "You are using a Trial key, which is limited to"

TABLE: list[tuple[Failure, type[ProviderError], bool]] = [
    (Failure(status=401, message="invalid api token"), AuthenticationError, False),
    (Failure(status=403), AuthenticationError, False),
    (Failure(status=402), QuotaExceededError, False),
    (Failure(status=429, message="trial token rate limit exceeded, limit is 1 per minute"), RateLimitError, True),
    (Failure(status=429, message=f"{TRIAL} 40 API calls / minute."), RateLimitError, True),
    (Failure(status=429, message=f"{TRIAL} 1000 API calls / month."), QuotaExceededError, False),
    (Failure(status=400, message=OVERFLOW), ContextOverflowError, False),
    (Failure(status=400, message=TOO_MUCH_ASKED), InvalidRequestError, False),
    (Failure(status=413), ContextOverflowError, False),
    (Failure(message=OVERFLOW), ContextOverflowError, False),
    (Failure(status=400, message="invalid request: tools"), InvalidRequestError, False),
    (Failure(status=400, message="blocked input: please adjust your prompt"), ContentRefusedError, False),
    (Failure(status=404, message="model 'x' not found, make sure the correct ID was used"), InvalidRequestError, False),
    (Failure(status=404, message="page not found"), InvalidRequestError, False),
    (Failure(status=408), ProviderTimeoutError, True),
    (Failure(status=409), ProviderUnavailableError, True),
    (Failure(status=422), InvalidRequestError, False),
    (Failure(status=498, message="invalid token"), ContentRefusedError, False),
    (Failure(status=499), ProviderUnavailableError, True),
    (Failure(status=500), ProviderUnavailableError, True),
    (Failure(status=501), InvalidRequestError, False),
    (Failure(status=503), ProviderUnavailableError, True),
    (Failure(status=504), ProviderTimeoutError, True),
    (Failure(status=529), ProviderUnavailableError, True),
    (Failure(status=307), ProviderUnavailableError, True),
    (Failure(code="ERROR"), ProviderUnavailableError, True),
]  # fmt: skip


@pytest.mark.parametrize(("failure", "error", "retryable"), TABLE, ids=[str(at) for at in range(len(TABLE))])
def test_failures_become_our_errors(failure: Failure, error: type[ProviderError], retryable: bool) -> None:
    classified = classify(failure)
    assert type(classified) is error
    assert classified.retryable is retryable
    assert classified.provider == "cohere"
    assert str(classified).endswith(".")


@pytest.mark.parametrize(
    ("error", "ours", "streaming"),
    [
        (httpx.ReadTimeout("x"), ProviderTimeoutError, True),
        (httpx.ConnectError("x"), ProviderUnavailableError, False),
        (httpx.ReadError("x"), IncompleteStreamError, True),
        (httpx.DecodingError("x"), ProviderUnavailableError, True),
        (httpx.LocalProtocolError("x"), InvalidRequestError, False),
        (httpx.InvalidURL("x"), InvalidRequestError, False),
        (UnicodeEncodeError("ascii", "é", 0, 1, "x"), InvalidRequestError, False),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), ProviderUnavailableError, True),
    ],
)
def test_errors_of_the_transport(error: Exception, ours: type[ProviderError], streaming: bool) -> None:
    assert type(translate(error, streaming=streaming)) is ours


def test_foreign_exceptions_pass_unchanged() -> None:
    error = KeyError("x")
    assert translate(error) is error


@pytest.fixture
async def connection(cohere_server: CohereServer) -> AsyncIterator[CohereConnection]:
    made = connect_cohere({"api_key": cohere_server.api_key, "base_url": cohere_server.base_url})
    yield made
    await made.aclose()


async def ask(connection: CohereConnection, **fields: Any) -> str:
    message = SessionMessage(role=Role.USER, content="canary-7f3a")
    request = ProviderRequest(messages=(message,), **fields)
    completed = await collect(connection.open("s", MODEL, {}).stream_turn(request), provider="cohere")
    return text_of(completed.parts)


BROKEN: dict[str, tuple[faults.Fault, type[ProviderError], bool]] = {
    "error": (faults.failed_answer(error="canary-7f3a"), ProviderUnavailableError, True),
    "error-at-once": (faults.failed_answer(after_events=0), ProviderUnavailableError, True),
    "overflow": (faults.failed_answer(error=OVERFLOW), ContextOverflowError, False),
    "timeout": (faults.failed_answer("TIMEOUT"), ProviderTimeoutError, True),
    "error-event": (faults.strange_event(b'{"type":"error","message":"canary-7f3a"}'), ProviderUnavailableError, True),
    "no-type": (faults.strange_event(b'{"message":"canary-7f3a"}'), ProviderUnavailableError, True),
    "no-json": (faults.strange_event(b'{"type":"content-delta","delta":"canary-7f3a'), ProviderUnavailableError, True),
    "no-object": (faults.strange_event(b'["canary-7f3a"]'), ProviderUnavailableError, True),
    "deep": (faults.strange_event(b"[" * 100_000), ProviderUnavailableError, True),
    "no-call": (faults.strange_event(b'{"type":"tool-call-delta","index":9}'), ProviderUnavailableError, True),
    "odd-index": (
        faults.strange_event(b'{"type":"content-delta","index":"a","delta":{"message":{"content":{"text":"x"}}}}'),
        ProviderUnavailableError,
        True,
    ),
    "done-before-end": (faults.strange_event(b"[DONE]"), IncompleteStreamError, True),
    "cut": (faults.cut_stream(), IncompleteStreamError, True),
    "cut-at-once": (faults.cut_stream(after_events=0), ProviderUnavailableError, True),
    "ended": (faults.end_stream(), IncompleteStreamError, True),
    "ended-at-once": (faults.end_stream(after_events=0), IncompleteStreamError, True),
    "html": (faults.html_bad_gateway(), ProviderUnavailableError, True),
    "json": (faults.plain_json(), ProviderUnavailableError, True),
    "drop": (faults.drop(), ProviderUnavailableError, True),
    "empty": (faults.empty_body(), ProviderUnavailableError, True),
    "huge": (faults.HttpFault(500, b"x" * 5_000_000), ProviderUnavailableError, True),
    "refused": (faults.http_error(400, "canary-7f3a is no message"), InvalidRequestError, False),
    "bare-status": (faults.http_error(409), ProviderUnavailableError, True),
}


@pytest.mark.parametrize(("fault", "error", "retryable"), list(BROKEN.values()), ids=list(BROKEN))
async def test_answers_that_break_are_classified_and_not_told_of(
    connection: CohereConnection,
    cohere_server: CohereServer,
    caplog: pytest.LogCaptureFixture,
    fault: faults.Fault,
    error: type[ProviderError],
    retryable: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    cohere_server.fault(fault)
    with pytest.raises(error) as caught:
        await ask(connection)
    assert type(caught.value) is error
    assert caught.value.retryable is retryable
    assert caught.value.__context__ is None
    for shown in (str(caught.value), repr(caught.value), str(pickle.dumps(caught.value)), caplog.text):
        assert "canary" not in shown
        assert cohere_server.api_key not in shown
    assert len(cohere_server.requests) == 1, "only the turn engine retries"
    assert await ask(connection) == "[1] You said: canary-7f3a"


async def test_a_stream_without_its_end_is_no_answer(connection: CohereConnection, cohere_server: CohereServer) -> None:
    cohere_server.fault(faults.end_stream())
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),))
    with pytest.raises(IncompleteStreamError):
        _ = [event async for event in connection.open("s", MODEL, {}).stream_turn(request)]


async def test_an_event_of_an_unknown_kind_changes_nothing(
    connection: CohereConnection, cohere_server: CohereServer
) -> None:
    cohere_server.fault(faults.strange_event(b'{"type":"weather-report","delta":{"message":{"content":{"text":"x"}}}}'))
    assert await ask(connection) == "[1] You said: canary-7f3a"


async def test_a_conversation_goes_to_no_other_place(connection: CohereConnection, cohere_server: CohereServer) -> None:
    cohere_server.fault(faults.redirect(f"{cohere_server.base_url}/v2/chat"))
    with pytest.raises(ProviderUnavailableError) as caught:
        await ask(connection)
    assert caught.value.status_code == 307
    assert len(cohere_server.requests) == 1


async def test_a_silent_provider_times_out(connection: CohereConnection, cohere_server: CohereServer) -> None:
    cohere_server.fault(faults.delay(Gate()))
    with pytest.raises(ProviderTimeoutError):
        await ask(connection, timeout=0.1)


async def test_what_the_provider_tells_of_a_refusal(connection: CohereConnection, cohere_server: CohereServer) -> None:
    cohere_server.fault(faults.http_error(429, "wait", headers={"Retry-After": "2.5"}))
    with pytest.raises(RateLimitError) as caught:
        await ask(connection)
    assert (caught.value.status_code, caught.value.retry_after) == (429, 2.5)
    assert caught.value.request_id


async def test_a_wrong_key_is_named_and_not_shown(cohere_server: CohereServer) -> None:
    connection = connect_cohere({"api_key": "co-canary", "base_url": cohere_server.base_url})
    with pytest.raises(AuthenticationError, match="CO_API_KEY") as caught:
        await ask(connection)
    assert "canary" not in str(caught.value)
    await connection.aclose()
