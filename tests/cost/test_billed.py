"""Which failed requests may have been billed."""

from __future__ import annotations

import pytest

from langswarm_sessions.errors import (
    AuthenticationError,
    ProviderError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    RateLimitError,
)
from langswarm_sessions.providers.failures import Failure, FailureClassifier
from langswarm_sessions.providers.reach import never_left
from langswarm_sessions.turns.costs import was_not_billed


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("no", status_code=401),
        RateLimitError("later"),
        ProviderError("no such model", status_code=404),
        ProviderUnavailableError("overloaded", status_code=503),
        ProviderUnavailableError("overloaded", status_code=529),
        ProviderUnavailableError("not reached", was_sent=False),
        ProviderTimeoutError("no connection in time", was_sent=False),
        ConnectionRefusedError("raised by a provider of one's own"),
    ],
)
def test_what_was_refused_or_never_left_is_not_billed(error: Exception) -> None:
    assert was_not_billed(error)


@pytest.mark.parametrize(
    "error",
    [
        ProviderTimeoutError("nothing came"),
        ProviderTimeoutError("the provider waited", status_code=408),
        ProviderUnavailableError("broke down", status_code=500),
        ProviderTimeoutError("the gateway waited", status_code=504),
        RateLimitError("told within the answer", was_begun=True),
        ProviderUnavailableError("overloaded within the answer", status_code=529, was_begun=True),
        ConnectionResetError("raised by a provider of one's own"),
    ],
)
def test_what_nobody_answered_may_be_billed(error: Exception) -> None:
    assert not was_not_billed(error)


class ConnectError(Exception):
    """As HTTP libraries call it."""


def test_what_a_request_was_raised_from_counts_and_what_else_was_going_on_does_not() -> None:
    wrapped, other = RuntimeError("wrapped"), RuntimeError("raised meanwhile")
    wrapped.__cause__, other.__context__ = ConnectError(), ConnectError()
    assert never_left(wrapped)
    assert not never_left(other)
    assert not never_left(None)
    wrapped.__cause__.__cause__ = wrapped
    assert never_left(wrapped)


def test_an_adapter_says_what_was_not_sent_and_what_had_begun() -> None:
    """What the SDK refused itself was not sent; what a provider tells without a status it tells within an answer."""
    failures = FailureClassifier("p", key_variable="KEY")
    unsent = failures.error(failures.unreachable, cause=ConnectError())
    assert (unsent.was_sent, unsent.was_begun, unsent.is_ambiguous) == (False, False, False)
    assert not failures.error(failures.unsendable).was_sent
    assert not failures.error(failures.auth).was_sent
    assert failures.error(failures.auth, Failure(status=401)).was_sent
    told = failures.error(failures.rate, Failure(code="rate_limit_exceeded"))
    assert (told.was_sent, told.was_begun) == (True, True)
    assert not failures.error(failures.rate, Failure(status=429)).was_begun
    assert failures.cut_stream().was_begun
