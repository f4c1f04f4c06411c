"""The classifier of OpenAI's failures, as a table."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import httpx2
import openai
import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.ids import use_clock
from langswarm_sessions.providers.failures import Failure, parse_retry_after
from langswarm_sessions.providers.openai.errors import classify, translate

TABLE: list[tuple[Failure, type[SessionError], bool]] = [
    (Failure(status=400, code="previous_response_not_found"), NativeStateLostError, False),
    (Failure(status=400, param="previous_response_id"), NativeStateLostError, False),
    (Failure(status=404, message="Previous response with id 'resp_1' not found."), NativeStateLostError, False),
    (Failure(status=404, message="Item with id 'rs_1' not found."), NativeStateLostError, False),
    (Failure(status=404, message="Conversation with id 'conv_1' not found."), NativeStateLostError, False),
    (Failure(status=404, message="Response 'resp_1' not found.", continued=True), NativeStateLostError, False),
    (Failure(code="404", message="Conversation 'conv_1' not found.", continued=True), NativeStateLostError, False),
    (Failure(code="404", message="No such model."), InvalidRequestError, False),
    (Failure(status=404, code="404", continued=True), NativeStateLostError, False),
    (Failure(status=404, code="model_not_found", continued=True), InvalidRequestError, False),
    (
        Failure(status=404, code="model_not_found", message="Conversation with id 'x' not found."),
        InvalidRequestError,
        False,
    ),
    (
        Failure(status=400, message="No tool output found for function call call_1.", continued=True),
        NativeStateLostError,
        False,
    ),
    (Failure(status=400, message="No tool output found for function call call_1."), InvalidRequestError, False),
    (Failure(status=400, code="conversation_locked"), ProviderUnavailableError, True),
    (Failure(status=400, code="context_length_exceeded"), ContextOverflowError, False),
    (Failure(status=413), ContextOverflowError, False),
    (Failure(status=400, message="This model's maximum context length is 4096 tokens."), ContextOverflowError, False),
    (Failure(status=400, message="the request exceeds the available context size"), ContextOverflowError, False),
    (Failure(status=404, message="no such context window"), InvalidRequestError, False),
    (Failure(status=429, code="rate_limit_exceeded", message="Request too large for gpt"), ContextOverflowError, False),
    (Failure(status=429, code="insufficient_quota"), QuotaExceededError, False),
    (Failure(status=429, type="insufficient_quota"), QuotaExceededError, False),
    (Failure(status=429, code="rate_limit_exceeded"), RateLimitError, True),
    (Failure(code="rate_limit_exceeded"), RateLimitError, True),
    (Failure(type="rate_limit_error"), RateLimitError, True),
    (Failure(code="image_too_large"), InvalidRequestError, False),
    (Failure(status=404, code="model_not_found"), InvalidRequestError, False),
    (Failure(status=403, code="model_not_found"), InvalidRequestError, False),
    (Failure(status=404), InvalidRequestError, False),
    (Failure(status=401, code="invalid_api_key"), AuthenticationError, False),
    (Failure(status=403), AuthenticationError, False),
    (Failure(status=400, code="content_policy_violation"), ContentRefusedError, False),
    (Failure(code="invalid_prompt"), ContentRefusedError, False),
    (Failure(status=408), ProviderTimeoutError, True),
    (Failure(status=409), ProviderUnavailableError, True),
    (Failure(status=500), ProviderUnavailableError, True),
    (Failure(status=500, should_retry=False), ProviderUnavailableError, False),
    (Failure(status=529), ProviderUnavailableError, True),
    (Failure(status=504), ProviderTimeoutError, True),
    (Failure(code="server_error"), ProviderUnavailableError, True),
    (Failure(code="something_new"), ProviderUnavailableError, True),
    (Failure(code="invalid_image"), InvalidRequestError, False),
    (Failure(status=400, type="invalid_request_error"), InvalidRequestError, False),
    (Failure(status=422), InvalidRequestError, False),
    (Failure(status=200), ProviderUnavailableError, True),
]


@pytest.mark.parametrize(("failure", "error", "retryable"), TABLE, ids=[str(at) for at in range(len(TABLE))])
def test_failures_become_our_errors(failure: Failure, error: type[SessionError], retryable: bool) -> None:
    classified = classify(failure)
    assert type(classified) is error
    assert classified.retryable is retryable
    assert classified.provider == "openai"
    assert str(classified).endswith(".")


def test_an_error_tells_code_and_wait_but_not_what_the_provider_wrote() -> None:
    error = classify(
        Failure(
            status=429,
            code="rate_limit_exceeded",
            param="canary text with spaces",
            message="canary",
            retry_after=2.5,
            request_id="req_1",
        )
    )
    assert isinstance(error, ProviderError)
    assert (error.retry_after, error.request_id, error.status_code) == (2.5, "req_1", 429)
    assert "rate_limit_exceeded" in str(error)
    for shown in (str(error), repr(error), str(pickle.dumps(error)), repr(Failure(message="canary"))):
        assert "canary" not in shown


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("404", NativeStateLostError),
        (404, NativeStateLostError),
        ("429", RateLimitError),
        ("503", ProviderUnavailableError),
        ("server_error", ProviderUnavailableError),
    ],
)
def test_a_status_inside_a_stream_means_what_it_means_outside(code: str | int, error: type[SessionError]) -> None:
    request = httpx2.Request("POST", "https://example.com/v1/responses")
    failed = openai.APIError("told in the stream", request, body={"code": code, "message": "canary"})
    assert type(translate(failed, continued=True, streaming=True)) is error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "tomorrow"}, None),
        ({}, None),
    ],
)
def test_every_form_of_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    with use_clock(lambda: datetime(2026, 11, 21, 12, tzinfo=UTC)):
        assert parse_retry_after(headers) == seconds


def test_foreign_exceptions_pass_unchanged() -> None:
    error = KeyError("x")
    assert translate(error) is error
