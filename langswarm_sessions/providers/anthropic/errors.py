"""What a failed request means at Anthropic. Pure functions, but for the lazy import of the SDK's error classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from langswarm_sessions.errors import SessionError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict, parse_retry_after

if TYPE_CHECKING:
    import httpx2

__all__ = ["ANTHROPIC_FAILURES", "classify", "failure_of", "foreign_errors", "translate"]

ANTHROPIC_FAILURES = FailureClassifier("anthropic", key_variable="ANTHROPIC_API_KEY")

_LOST_CODES = frozenset(
    {
        "thread_already_continued",
        "thread_continue_in_flight",
        "thread_fingerprint_mismatch",
        "thread_not_found",
        "thread_unsupported_request",
    }
)
_UNPAIRED = ("tool_use` ids were found without `tool_result", "unexpected `tool_use_id`")
_QUOTA_CODES = frozenset(
    {
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_billing_unavailable",
        "linked_organization_spend_limit_reached",
    }
)
_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the maximum allowed size")
_VERDICTS_BY_TYPE: Mapping[str, Verdict] = {
    "authentication_error": ANTHROPIC_FAILURES.auth,
    "billing_error": ANTHROPIC_FAILURES.quota,
    "invalid_request_error": ANTHROPIC_FAILURES.malformed,
    "not_found_error": ANTHROPIC_FAILURES.no_such_place,
    "permission_error": ANTHROPIC_FAILURES.auth,
    "rate_limit_error": ANTHROPIC_FAILURES.rate,
    "request_too_large": ANTHROPIC_FAILURES.overflow,
    "timeout_error": ANTHROPIC_FAILURES.timeout,
}
"""For failures inside a stream, which have no status. Other types are failures on the provider's side."""


def classify(failure: Failure) -> SessionError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(type="overloaded_error")).retryable
        True
    """
    if failure.continued and (failure.code in _LOST_CODES or failure.mentions(*_UNPAIRED)):
        return ANTHROPIC_FAILURES.lost(failure)
    return ANTHROPIC_FAILURES.error(_by_cause(failure) or _by_status(failure), failure)


def _by_cause(failure: Failure) -> Verdict | None:
    if failure.code in _QUOTA_CODES or failure.status == 402 or failure.mentions("credit balance is too low"):
        return ANTHROPIC_FAILURES.quota
    if failure.code == "organization_on_hold":
        return ANTHROPIC_FAILURES.auth
    if failure.type == "not_found_error" and failure.says("model:"):
        return ANTHROPIC_FAILURES.no_model
    if failure.type != "invalid_request_error":
        return None
    if failure.mentions(*_TOO_LONG):
        return ANTHROPIC_FAILURES.overflow
    return ANTHROPIC_FAILURES.refused if failure.mentions("content filtering policy") else None


def _by_status(failure: Failure) -> Verdict:
    if failure.status is None:
        return _VERDICTS_BY_TYPE.get(failure.type or "", ANTHROPIC_FAILURES.down)
    return ANTHROPIC_FAILURES.by_status(failure.status)


def foreign_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions the SDK and what it stands on may raise.

    Raise what `translate` makes of one outside of the `except` that caught it: an error kept as another's context still
    holds the request, and so the key.
    """
    import httpx2
    from anthropic import AnthropicError

    return (AnthropicError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, json.JSONDecodeError, UnicodeError)


def translate(error: Exception, *, continued: bool = False, streaming: bool = False) -> Exception:
    """Return this library's error for one of `foreign_errors`; any other comes back unchanged.

    Args:
        error: What was raised.
        continued: Whether the request continued a conversation the provider keeps.
        streaming: Whether the answer had begun.
    """
    import anthropic
    import httpx2

    failures = ANTHROPIC_FAILURES
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return failures.error(failures.timeout, cause=error)
    if isinstance(error, anthropic.APIConnectionError | httpx2.HTTPError | httpx2.StreamError):
        return failures.broken(error, is_begun=streaming)
    if isinstance(error, anthropic.APIError):
        return classify(failure_of(error, continued=continued))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return failures.error(failures.illegible)
    if isinstance(error, UnicodeError | httpx2.InvalidURL):
        return failures.error(failures.unsendable)
    return failures.error(failures.auth) if isinstance(error, anthropic.AnthropicError) else error


def failure_of(error: Exception, *, continued: bool = False) -> Failure:
    """Return what an `anthropic.APIError` tells, without its text leaving this module.

    Args:
        error: An `anthropic.APIError`. One that an event of a stream told has the stream's status, which is left out.
        continued: Whether the request continued a conversation the provider keeps.
    """
    from anthropic import APIStatusError

    response: httpx2.Response | None = getattr(error, "response", None)
    headers: Mapping[str, str] = response.headers if response is not None else dict[str, str]()
    status: int | None = getattr(error, "status_code", None)
    is_event = isinstance(error, APIStatusError) and error.status_code == 200
    told = _object(_object(getattr(error, "body", None)).get("error"))
    return Failure(
        status=None if is_event else status,
        code=_text(_object(told.get("details")).get("error_code")),
        type=_text(told.get("type")),
        message=_text(told.get("message")) or "",
        retry_after=None if is_event else parse_retry_after(headers),
        should_retry=None if is_event else {"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        request_id=headers.get("request-id"),
        continued=continued,
    )


def _object(value: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", value) if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
