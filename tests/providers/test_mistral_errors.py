"""The classifier of Mistral's failures: as a table, and over the wire."""

from __future__ import annotations

import logging
import pickle
from collections.abc import AsyncIterator

import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
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
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.mistral import MistralConnection
from langswarm_sessions.providers.mistral.client import connect_mistral
from langswarm_sessions.providers.mistral.errors import classify, translate
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from tests.support.mistral_server import Gate, MistralServer, Reply, faults
from tests.support.mistral_server.plugin import mistral_server

__all__ = ["mistral_server"]

MODEL = "mistral-medium-latest"
MISSING = "Cannot append other inputs while function results are still missing. Provide function results first."
UNEVEN = "Not the same number of function calls and responses"
TOO_LONG = "Prompt contains 65673 tokens and 0 draft tokens, too large for model with 32768 maximum context length"
TABLE: list[tuple[Failure, type[SessionError], bool]] = [
    (Failure(status=404, continued=True), NativeStateLostError, False),
    (Failure(code="404", continued=True), NativeStateLostError, False),
    (Failure(status=400, code="3001", message=MISSING, continued=True), NativeStateLostError, False),
    (Failure(status=400, code="3001", message=MISSING), InvalidRequestError, False),
    (
        Failure(message="Not the same number of function calls and responses", continued=True),
        NativeStateLostError,
        False,
    ),
    (Failure(status=404), InvalidRequestError, False),
    (Failure(status=400, type="invalid_model", code="1500"), InvalidRequestError, False),
    (Failure(status=400, message="Invalid model: x", continued=True), InvalidRequestError, False),
    (Failure(status=400, code="3051", message=TOO_LONG), ContextOverflowError, False),
    (Failure(code="3000", message=TOO_LONG, continued=True), ContextOverflowError, False),
    (Failure(status=413), ContextOverflowError, False),
    (Failure(status=400, type="invalid_request_message_order", code="3230"), InvalidRequestError, False),
    (Failure(status=422), InvalidRequestError, False),
    (Failure(status=401, message="Unauthorized"), AuthenticationError, False),
    (Failure(status=403), AuthenticationError, False),
    (Failure(status=403, message="Blocked by guardrails."), ContentRefusedError, False),
    (Failure(status=402), QuotaExceededError, False),
    (Failure(status=429, message="Monthly quota exceeded"), QuotaExceededError, False),
    (Failure(status=429, type="rate_limited", code="1300"), RateLimitError, True),
    (Failure(status=429, message="Service tier capacity exceeded for this model."), RateLimitError, True),
    (Failure(code="429"), RateLimitError, True),
    (Failure(status=408), ProviderTimeoutError, True),
    (Failure(status=504), ProviderTimeoutError, True),
    (Failure(status=409), ProviderUnavailableError, True),
    (Failure(status=500), ProviderUnavailableError, True),
    (Failure(status=503), ProviderUnavailableError, True),
    (Failure(code="3000"), ProviderUnavailableError, True),
    (Failure(), ProviderUnavailableError, True),
    (Failure(status=302), ProviderUnavailableError, True),
]


@pytest.mark.parametrize(("failure", "error", "retryable"), TABLE, ids=[str(at) for at in range(len(TABLE))])
def test_failures_become_our_errors(failure: Failure, error: type[SessionError], retryable: bool) -> None:
    classified = classify(failure)
    assert type(classified) is error
    assert classified.retryable is retryable
    assert classified.provider == "mistral"
    assert str(classified).endswith(".")


def test_foreign_exceptions_pass_unchanged() -> None:
    error = KeyError("x")
    assert translate(error) is error


@pytest.fixture
async def connection(mistral_server: MistralServer) -> AsyncIterator[MistralConnection]:
    made = connect_mistral({**mistral_server.credential, "timeout": 5})
    yield made
    await made.aclose()


async def ask(connection: MistralConnection, *, native: bool, timeout: float | None = None) -> Completed:
    session = connection.open("session", MODEL, {})
    said = SessionMessage(role=Role.USER, content="canary-7f3a")
    request = ProviderRequest(messages=(said,), keep_native=native, timeout=timeout)
    return await collect(session.stream_turn(request), provider="mistral")


JSON = "application/json"
COMPLAINT = b'{"detail": [{"loc": ["body"], "msg": "canary-7f3a", "type": "x"}]}'
HUGE = b'{"message": "' + b"canary-7f3a" * 200_000 + b'"}'
GARBAGE: dict[str, tuple[faults.Fault, type[SessionError]]] = {
    "a proxy's page": (faults.page(502, b"<html>canary-7f3a</html>"), ProviderUnavailableError),
    "a page for an answer": (faults.page(200, b"<html>canary-7f3a</html>"), ProviderUnavailableError),
    "nothing": (faults.page(200, b""), ProviderUnavailableError),
    "no stream": (faults.page(200, b"{}", content_type=JSON), ProviderUnavailableError),
    "a redirect": (faults.page(302, b"canary-7f3a"), ProviderUnavailableError),
    "huge": (faults.page(500, HUGE, content_type=JSON), ProviderUnavailableError),
    "no json": (faults.page(400, b"canary-7f3a", content_type=JSON), InvalidRequestError),
    "a list": (faults.page(400, b"[1]", content_type=JSON), InvalidRequestError),
    "422 of another shape": (
        faults.page(422, b'{"detail": "canary-7f3a"}', content_type=JSON),
        InvalidRequestError,
    ),
    "422": (
        faults.page(422, COMPLAINT, content_type=JSON),
        InvalidRequestError,
    ),
    "another stream": (
        faults.page(200, b'event: x\ndata: {"canary-7f3a": 1}\n\n', content_type="text/event-stream"),
        ProviderUnavailableError,
    ),
    "a corrupt event": (faults.corrupt_event(after_events=2), ProviderUnavailableError),
    "cut": (faults.cut_stream(after_events=2), IncompleteStreamError),
    "ended": (faults.end_stream(after_events=2), IncompleteStreamError),
    "ended at once": (faults.end_stream(after_events=0), IncompleteStreamError),
    "failed": (faults.error_event(after_events=2, message="canary-7f3a"), ProviderUnavailableError),
    "dropped": (faults.drop(), ProviderUnavailableError),
}


@pytest.mark.parametrize("native", [False, True], ids=["chat", "conversation"])
@pytest.mark.parametrize("what", GARBAGE)
async def test_whatever_comes_is_an_error_of_ours(
    what: str,
    native: bool,
    connection: MistralConnection,
    mistral_server: MistralServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fault, error = GARBAGE[what]
    mistral_server.fault(fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as caught:
        await ask(connection, native=native)
    told = caught.value
    assert (told.__cause__, told.__context__) == (None, None)
    for shown in (str(told), repr(told), str(pickle.dumps(told)), caplog.text):
        assert "canary-7f3a" not in shown
        assert mistral_server.api_key not in shown
    assert len(mistral_server.posts) == 1, "the SDK retries nothing"
    assert (await ask(connection, native=native)).finish_reason == "stop"


async def test_an_answer_nobody_could_read_leaves_it_open_whether_it_was_kept(
    connection: MistralConnection, mistral_server: MistralServer
) -> None:
    mistral_server.fault(faults.page(200, b"<html></html>"))
    with pytest.raises(ProviderError) as caught:
        await ask(connection, native=True)
    assert caught.value.is_ambiguous


async def test_what_a_refusal_tells(connection: MistralConnection, mistral_server: MistralServer) -> None:
    mistral_server.fault(faults.rate_limit(retry_after=2.5))
    with pytest.raises(RateLimitError) as caught:
        await ask(connection, native=True)
    assert (caught.value.retry_after, caught.value.status_code) == (2.5, 429)
    assert caught.value.request_id is not None
    assert "code 1300" in str(caught.value)


async def test_a_tool_the_sdk_does_not_know_is_refused_before_it_is_sent(
    connection: MistralConnection, mistral_server: MistralServer
) -> None:
    session = connection.open("session", MODEL, {})
    message = SessionMessage(role=Role.USER, content="canary-7f3a")
    options = TurnOptions(tools=({"type": "canary-7f3a"},))
    with pytest.raises(InvalidRequestError) as caught:
        await collect(
            session.stream_turn(ProviderRequest(messages=(message,), keep_native=True, options=options)),
            provider="mistral",
        )
    assert "canary" not in str(caught.value)
    assert mistral_server.requests == []


async def test_patience_is_the_least_of_all_limits(mistral_server: MistralServer) -> None:
    for credential, config, timeout in ((0.1, {}, 60), (60, {"timeout": 0.1}, 60), (60, {}, 0.1)):
        connection = connect_mistral({**mistral_server.credential, "timeout": credential})
        mistral_server.fault(faults.delay(Gate()))
        session = connection.open("session", MODEL, config)
        request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),), timeout=timeout)
        with pytest.raises(ProviderTimeoutError):
            await collect(session.stream_turn(request), provider="mistral")
        await connection.aclose()


async def test_an_early_close_ends_the_request(connection: MistralConnection, mistral_server: MistralServer) -> None:
    gate = Gate()
    mistral_server.script(Reply(chunks=("a ", "b"), gate=gate))
    gate.permit()
    session = connection.open("session", MODEL, {})
    events = session.stream_turn(ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),)))
    async for event in events:
        if getattr(event, "text", None) == "a ":
            break
    await events.aclose()
    mistral_server.wait_for_connections(0)
    mistral_server.wait_until_idle()
    assert mistral_server.requests[-1].outcome == "client_gone"


async def test_history_that_cannot_be_read_is_tried_again(
    connection: MistralConnection, mistral_server: MistralServer
) -> None:
    session = connection.open("session", MODEL, {})
    first = await ask(connection, native=True)
    assert first.native_id is not None
    native = NativeState(
        provider="mistral", kind=NativeKind.LOG, id=first.native_id, cursor=1, turn_id="t", memo=first.native_memo
    )
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="two"),), native=native)
    mistral_server.fault(faults.page(200, b"<html>"), on="history")
    with pytest.raises(ProviderUnavailableError) as caught:
        await session.reconcile(request)
    assert caught.value.retryable
    assert await session.reconcile(request) is None
    assert await session.reconcile(ProviderRequest(messages=request.messages)) is None, "nothing was continued"
    unknown = NativeState(provider="mistral", kind=NativeKind.LOG, id=first.native_id, cursor=1, turn_id="t")
    with pytest.raises(NativeStateLostError):
        await session.reconcile(ProviderRequest(messages=request.messages, native=unknown))


async def test_a_wrong_telemetry_variable_is_named(
    connection: MistralConnection, mistral_server: MistralServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_SDK_TELEMETRY", "maybe")
    with pytest.raises(ConfigurationError, match="MISTRAL_SDK_TELEMETRY"):
        await ask(connection, native=True)
    assert mistral_server.requests == []
