"""The classifier of Anthropic's failures, as a table, and what comes of answers that are none."""

from __future__ import annotations

import asyncio
import pickle
import traceback
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    IncompleteStreamError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.anthropic import AnthropicConnection
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from langswarm_sessions.providers.anthropic.errors import classify, translate
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.failures import Failure
from tests.support.anthropic_server import AnthropicServer, Gate, faults

pytest_plugins = ["tests.support.anthropic_server.plugin"]

INVALID = "invalid_request_error"
TABLE: list[tuple[Failure, type[SessionError], bool]] = [
    (Failure(status=404, code="thread_not_found", continued=True), NativeStateLostError, False),
    (Failure(status=400, code="thread_already_continued", continued=True), NativeStateLostError, False),
    (
        Failure(
            status=400,
            type=INVALID,
            message="messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.",
            continued=True,
        ),
        NativeStateLostError,
        False,
    ),
    (Failure(status=400, type=INVALID), InvalidRequestError, False),
    (Failure(status=400, type=INVALID, message="prompt is too long: 2 tokens > 1"), ContextOverflowError, False),
    (
        Failure(status=400, type=INVALID, message="input length and `max_tokens` exceed context limit: 1 + 2 > 2"),
        ContextOverflowError,
        False,
    ),
    (Failure(status=413, type="request_too_large"), ContextOverflowError, False),
    (Failure(status=400, type=INVALID, message="Your credit balance is too low"), QuotaExceededError, False),
    (Failure(status=402, type="billing_error"), QuotaExceededError, False),
    (Failure(status=429, type="rate_limit_error", code="contract_spend_limit_reached"), QuotaExceededError, False),
    (Failure(status=429, type="rate_limit_error", code="ramp_limit_exceeded"), RateLimitError, True),
    (Failure(status=429, type="rate_limit_error"), RateLimitError, True),
    (
        Failure(status=400, type=INVALID, message="Output blocked by content filtering policy"),
        ContentRefusedError,
        False,
    ),
    (Failure(status=404, type="not_found_error", message="model: claude-none"), InvalidRequestError, False),
    (Failure(status=404), InvalidRequestError, False),
    (Failure(status=401, type="authentication_error"), AuthenticationError, False),
    (Failure(status=403, type="permission_error"), AuthenticationError, False),
    (Failure(status=400, type=INVALID, code="organization_on_hold"), AuthenticationError, False),
    (Failure(status=408), ProviderTimeoutError, True),
    (Failure(status=409), ProviderUnavailableError, True),
    (Failure(status=500, type="api_error"), ProviderUnavailableError, True),
    (Failure(status=500, should_retry=False), ProviderUnavailableError, False),
    (Failure(status=504, type="timeout_error"), ProviderTimeoutError, True),
    (Failure(status=529, type="overloaded_error"), ProviderUnavailableError, True),
    (Failure(type="overloaded_error"), ProviderUnavailableError, True),
    (Failure(type="api_error"), ProviderUnavailableError, True),
    (Failure(type="rate_limit_error"), RateLimitError, True),
    (Failure(type="timeout_error"), ProviderTimeoutError, True),
    (Failure(type=INVALID), InvalidRequestError, False),
    (Failure(type=INVALID, message="Output blocked by content filtering policy"), ContentRefusedError, False),
    (Failure(type="authentication_error"), AuthenticationError, False),
    (Failure(type="billing_error"), QuotaExceededError, False),
    (Failure(type="something_new"), ProviderUnavailableError, True),
    (Failure(), ProviderUnavailableError, True),
    (Failure(status=200), ProviderUnavailableError, True),
]


@pytest.mark.parametrize(("failure", "error", "retryable"), TABLE, ids=[str(at) for at in range(len(TABLE))])
def test_failures_become_our_errors(failure: Failure, error: type[SessionError], retryable: bool) -> None:
    classified = classify(failure)
    assert type(classified) is error
    assert classified.retryable is retryable
    assert classified.provider == "anthropic"
    assert str(classified).endswith(".")


def test_foreign_exceptions_pass_unchanged() -> None:
    error = KeyError("x")
    assert translate(error) is error


@pytest.fixture
async def connection(anthropic_server: AnthropicServer) -> AsyncIterator[AnthropicConnection]:
    made = connect_anthropic({"api_key": anthropic_server.api_key, "base_url": anthropic_server.base_url})
    yield made
    await made.aclose()


async def fail(connection: AnthropicConnection, *, text: str = "hi", **config: Any) -> ProviderError:
    """Ask, and return the error that comes of it."""
    session = connection.open("session", "claude-haiku-5-5", config)
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content=text),))
    with pytest.raises(ProviderError) as caught:
        await collect(session.stream_turn(request), provider="anthropic")
    return caught.value


GARBAGE: dict[str, tuple[faults.Fault, type[ProviderError]]] = {
    "html": (faults.HttpFault(200, b"<html>sign in</html>", content_type="text/html"), ProviderUnavailableError),
    "json": (faults.HttpFault(200, b'{"id": "msg_1"}'), ProviderUnavailableError),
    "empty": (faults.empty_body(), ProviderUnavailableError),
    "empty stream": (faults.HttpFault(200, b"", content_type="text/event-stream"), IncompleteStreamError),
    "events of no kind": (
        faults.HttpFault(
            200,
            b'event: message_start\ndata: {"type": "message_start", "message": 5}\n\n'
            b'event: x\ndata: [1]\n\nevent: x\ndata: "y"\n\nevent: x\ndata: null\n\n'
            b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 9, "delta": {}}\n\n'
            b'event: content_block_start\ndata: {"type": "content_block_start", "index": 0}\n\n'
            b'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 0, "delta": 7}\n\n',
            content_type="text/event-stream",
        ),
        ProviderUnavailableError,
    ),
    "no utf-8": (
        faults.HttpFault(200, b'event: a\ndata: {"a": "\xff\xfe"}\n\n', content_type="text/event-stream"),
        ProviderUnavailableError,
    ),
    "no json": (faults.corrupt_event(), ProviderUnavailableError),
    "error that is no json": (
        faults.HttpFault(200, b"event: error\ndata: oops\n\n", content_type="text/event-stream"),
        ProviderUnavailableError,
    ),
    "error that is a list": (faults.HttpFault(400, b"[]"), InvalidRequestError),
    "bad gateway": (faults.html_bad_gateway(), ProviderUnavailableError),
    "huge error": (faults.HttpFault(500, b"canary " * 1_000_000, content_type="text/plain"), ProviderUnavailableError),
    "redirect to nowhere": (faults.HttpFault(307, b"", headers=(("location", "/else"),)), ProviderUnavailableError),
    "redirect in circles": (
        faults.HttpFault(308, b"", headers=(("location", "/v1/messages"),)),
        ProviderUnavailableError,
    ),
    "dropped": (faults.drop(), ProviderUnavailableError),
}


@pytest.mark.parametrize("kind", GARBAGE)
async def test_answers_that_are_none(
    kind: str, connection: AnthropicConnection, anthropic_server: AnthropicServer
) -> None:
    fault, error = GARBAGE[kind]
    anthropic_server.fault(fault, times=25 if "circles" in kind else 1)
    raised = await fail(connection, text="canary")
    assert type(raised) is error
    assert "canary" not in str(raised)


async def test_an_error_inside_a_stream_is_known_by_its_type(
    connection: AnthropicConnection, anthropic_server: AnthropicServer
) -> None:
    for kind, error in {
        "overloaded_error": ProviderUnavailableError,
        "invalid_request_error": InvalidRequestError,
    }.items():
        anthropic_server.fault(faults.error_event(kind=kind))
        raised = await fail(connection)
        assert type(raised) is error
        assert kind in str(raised)
        assert raised.status_code is None, "that of the stream says nothing"
        assert raised.request_id


async def test_an_error_tells_no_key_no_text_and_keeps_no_request(
    connection: AnthropicConnection, anthropic_server: AnthropicServer
) -> None:
    anthropic_server.fault(faults.http_error(429, message="canary", headers=(("retry-after", "2.5"),)))
    raised = await fail(connection, text="canary")
    assert isinstance(raised, RateLimitError)
    assert (raised.retry_after, raised.status_code) == (2.5, 429)
    shown = "".join(traceback.format_exception(raised, chain=True)) + repr(raised) + str(pickle.dumps(raised))
    assert "canary" not in shown.replace('text="canary"', "")
    assert anthropic_server.api_key not in shown
    assert (raised.__cause__, raised.__context__) == (None, None)


async def test_no_byte_in_time(connection: AnthropicConnection, anthropic_server: AnthropicServer) -> None:
    gate = Gate()
    anthropic_server.fault(faults.delay(gate))
    assert type(await fail(connection, timeout=0.05)) is ProviderTimeoutError
    await asyncio.to_thread(anthropic_server.wait_until_idle)
