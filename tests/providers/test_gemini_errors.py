"""What the Gemini provider makes of refusals, garbage and broken lines, through both of its APIs."""

from __future__ import annotations

import gc
import traceback

import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    IncompleteStreamError,
    InvalidRequestError,
    NativeStateLostError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    SessionError,
)
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import text_of
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.gemini import GeminiConnection
from langswarm_sessions.providers.gemini.errors import classify, translate
from langswarm_sessions.records import NativeState
from tests.support.gemini_server import Gate, GeminiServer, Reply, faults
from tests.support.gemini_server.asking import MODEL, connection, either_api, state, user
from tests.support.gemini_server.plugin import gemini_server

__all__ = ["connection", "gemini_server"]

CANARY = "canary-7f3a"


async def ask(
    connection: GeminiConnection, *, native: bool, state: NativeState | None = None, **config: object
) -> Completed:
    session = connection.open("session", MODEL, config)
    request = ProviderRequest(messages=(user(CANARY),), keep_native=native, native=state)
    return await collect(session.stream_turn(request), provider="gemini")


async def failure(connection: GeminiConnection, *, native: bool, state: NativeState | None = None) -> SessionError:
    """Return the error of a request, once it is sure that it tells nothing it must not, and that the next one works."""
    with pytest.raises(SessionError) as caught:
        await ask(connection, native=native, state=state)
    told = "".join(traceback.format_exception(caught.value))
    assert CANARY not in str(caught.value)
    assert str(connection.credential.api_key) not in told
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert text_of((await ask(connection, native=native)).parts)
    return caught.value


REFUSALS: dict[str, tuple[faults.Fault, type[SessionError] | tuple[type[SessionError], ...], bool | None]] = {
    "html": (faults.html(), ProviderUnavailableError, True),
    "html_200": (faults.html(200), ProviderUnavailableError, True),
    "redirect": (faults.redirect("http://127.0.0.1:9/elsewhere"), ProviderUnavailableError, True),
    "other_json": (faults.body(b"[1, 2]"), ProviderUnavailableError, True),
    "text_as_json": (faults.body(b"no json at all"), ProviderUnavailableError, True),
    "bad_utf8": (faults.body(b"\xff\xfe", status=400), (ProviderUnavailableError, InvalidRequestError), None),
    "error_is_text": (faults.body(b'{"error": "' + CANARY.encode() + b'"}', status=400), InvalidRequestError, False),
    "error_is_list": (faults.body(b'[{"error": {"code": 503}}]', status=503), ProviderUnavailableError, True),
    "empty_error": (faults.body(b"", status=500), ProviderUnavailableError, True),
    "drop": (faults.drop(), ProviderUnavailableError, True),
    "malformed": (faults.http_error(400, "INVALID_ARGUMENT", f"Bad value {CANARY}."), InvalidRequestError, False),
    "no_model": (
        faults.http_error(404, "NOT_FOUND", "models/x is not found for API version v1."),
        InvalidRequestError,
        False,
    ),
    "forbidden": (faults.http_error(403, "PERMISSION_DENIED", "No."), AuthenticationError, False),
    "unauthenticated": (faults.http_error(401, "UNAUTHENTICATED", "No."), AuthenticationError, False),
    "invalid_key": (faults.invalid_key(), AuthenticationError, False),
    "daily_quota": (faults.daily_quota(), QuotaExceededError, False),
    "rate": (faults.rate_limit(None), RateLimitError, True),
    "overflow": (faults.overflow(), ContextOverflowError, False),
    "too_large": (faults.http_error(413, "INVALID_ARGUMENT", "Too large."), ContextOverflowError, False),
    "deadline": (faults.http_error(504, "DEADLINE_EXCEEDED", "Late."), ProviderTimeoutError, True),
    "cancelled": (faults.http_error(499, "CANCELLED", "Cancelled."), ProviderUnavailableError, True),
    "conflict": (faults.http_error(409, "ABORTED", "Busy."), ProviderUnavailableError, True),
    "unavailable": (faults.http_error(503, "UNAVAILABLE", "Overloaded."), ProviderUnavailableError, True),
    "refused": (faults.http_error(400, "INVALID_ARGUMENT", "Blocked by safety settings."), ContentRefusedError, False),
}


@either_api
@pytest.mark.parametrize("fault", REFUSALS)
async def test_a_refusal_is_one_error_of_ours_and_one_request(
    fault: str, native: bool, connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    scripted, expected, retryable = REFUSALS[fault]
    gemini_server.fault(scripted)
    error = await failure(connection, native=native)
    assert isinstance(error, expected)
    assert retryable is None or error.retryable is retryable
    assert len(gemini_server.asked) == 2, "the SDK's own retries are off"


STREAM_FAULTS: dict[str, tuple[faults.Fault, type[SessionError]]] = {
    "cut at once": (faults.cut_stream(after_events=0), ProviderUnavailableError),
    "cut later": (faults.cut_stream(after_events=2), IncompleteStreamError),
    "cut before its end": (faults.cut_stream(after_events=99), IncompleteStreamError),
    "ends at once": (faults.end_stream(after_events=0), IncompleteStreamError),
    "ends before its end": (faults.end_stream(after_events=99), IncompleteStreamError),
    "no json": (faults.corrupt_event(b'{"half'), ProviderUnavailableError),
    "no object": (faults.corrupt_event(b"[1]"), ProviderUnavailableError),
    "no utf-8": (faults.corrupt_event(b'"\xff\xff"'), ProviderUnavailableError),
    "overloaded": (faults.error_event("unavailable", 503), ProviderUnavailableError),
    "rate": (faults.error_event("resource_exhausted", 429), RateLimitError),
    "late": (faults.error_event("deadline_exceeded", 504), ProviderTimeoutError),
    "refused": (faults.error_event("invalid_argument", 400, "Prohibited content."), ContentRefusedError),
}


@either_api
@pytest.mark.parametrize("fault", STREAM_FAULTS)
async def test_a_stream_that_breaks_is_no_answer(
    fault: str, native: bool, connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    scripted, expected = STREAM_FAULTS[fault]
    gemini_server.fault(scripted)
    assert isinstance(await failure(connection, native=native), expected)


@pytest.mark.parametrize(
    "fault",
    [
        faults.http_error(404, "not_found", "previous_interaction_id 'int_1' not found."),
        faults.http_error(400, "invalid_request", "Unknown interaction."),
        faults.http_error(403, "permission_denied", "You may not access this interaction."),
        faults.http_error(404, "NOT_FOUND", "Requested entity was not found."),
        faults.http_error(400, "invalid_request", "function_call 'fc_1' has no function_result."),
        faults.error_event("not_found", 404, "Interaction not found.", after_events=0),
    ],
)
async def test_a_lost_conversation_is_said_however_it_is_worded(
    fault: faults.Fault, connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    first = await ask(connection, native=True)
    gemini_server.fault(fault)
    error = await failure(connection, native=True, state=state(first))
    assert isinstance(error, NativeStateLostError)


async def test_a_model_that_is_gone_is_no_lost_conversation(
    connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    first = await ask(connection, native=True)
    gemini_server.fault(faults.http_error(404, "not_found", "models/gemini-1 is not found."))
    error = await failure(connection, native=True, state=state(first))
    assert isinstance(error, InvalidRequestError)


@either_api
async def test_silence_is_a_timeout(native: bool, connection: GeminiConnection, gemini_server: GeminiServer) -> None:
    gate = Gate()
    gemini_server.fault(faults.delay(gate))
    with pytest.raises(ProviderTimeoutError) as caught:
        await ask(connection, native=native, timeout=0.5)
    assert caught.value.retryable
    gate.open()
    assert len(gemini_server.asked) == 1


async def test_a_blocked_prompt_is_refused(connection: GeminiConnection, gemini_server: GeminiServer) -> None:
    gemini_server.script(Reply(block="PROHIBITED_CONTENT"))
    error = await failure(connection, native=False)
    assert isinstance(error, ContentRefusedError)
    assert "PROHIBITED_CONTENT" in str(error)


async def test_an_answer_blocked_before_its_first_word_is_refused(
    connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    gemini_server.script(Reply(finish="SAFETY"))
    assert isinstance(await failure(connection, native=False), ContentRefusedError)


async def test_a_call_the_model_spoiled_may_be_asked_for_again(
    connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    gemini_server.script(Reply(finish="MALFORMED_FUNCTION_CALL"))
    error = await failure(connection, native=False)
    assert isinstance(error, ProviderUnavailableError)
    assert error.retryable


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("failed", ProviderUnavailableError),
        ("cancelled", ProviderUnavailableError),
        ("in_progress", IncompleteStreamError),
        ("budget_exceeded", QuotaExceededError),
    ],
)
async def test_an_interaction_that_ends_without_an_answer_is_an_error(
    status: str, expected: type[SessionError], connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    gemini_server.script(Reply(text="half", status=status))
    assert isinstance(await failure(connection, native=True), expected)


@either_api
async def test_the_client_lives_as_long_as_its_requests(
    native: bool, connection: GeminiConnection, gemini_server: GeminiServer
) -> None:
    for _ in range(3):
        assert text_of((await ask(connection, native=native)).parts)
        gc.collect()
    assert len(gemini_server.asked) == 3
    gemini_server.wait_for_connections(1)


def test_errors_of_others_are_left_alone() -> None:
    ours = ValueError("not the SDK's")
    assert translate(ours) is ours


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (Failure(code="content_policy_violation"), ContentRefusedError),
        (Failure(code="authentication", status=401), AuthenticationError),
        (Failure(status=404, message="Interaction int_1 not found."), InvalidRequestError),
        (Failure(status=429, message="Your prepayment credits are depleted."), QuotaExceededError),
        (Failure(code="something_new"), ProviderUnavailableError),
    ],
)
def test_failures_by_what_they_tell(told: Failure, expected: type[SessionError]) -> None:
    assert isinstance(classify(told), expected)
