"""What a failed request means at Mistral. Pure functions, but for the lazy import of the SDK's error classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError, SessionError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict, parse_retry_after
from langswarm_sessions.providers.reach import never_left

__all__ = [
    "MISTRAL_FAILURES",
    "classify",
    "failure_of",
    "foreign_errors",
    "may_still_run",
    "request_id_of",
    "translate",
]

MISTRAL_FAILURES = FailureClassifier("mistral", key_variable="MISTRAL_API_KEY")

_OVERFLOW_WORDS = ("maximum context length", "too large for model", "context length exceeded", "context_length")
_QUOTA_WORDS = ("quota", "monthly", "billing", "credits", "usage limit")
_REFUSED_WORDS = ("guardrail", "moderation", "content policy")
_REFUSED_TYPES = frozenset({"content_filter", "guardrail_violation", "moderation_blocked"})
_NO_MODEL_TYPES = frozenset({"invalid_model", "model_not_found"})
_NO_MODEL_CODES = frozenset({"1500"})
_CAME_APART_WORDS = (
    "function results are still missing",
    "not the same number of function calls and responses",
    "unexpected tool call id",
    "duplicate tool call id",
)
"""What the provider keeps has calls or results nobody heard of here: the transcript has the whole of it."""
_OF_A_GATEWAY = frozenset({408, 502, 504, *range(520, 528)})
"""Statuses of who stood in between and did not hear the end."""
_REQUEST_ID_HEADERS = ("mistral-correlation-id", "x-kong-request-id", "x-request-id")


def classify(failure: Failure) -> SessionError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(status=429)).retryable
        True
    """
    # The code of a lost conversation is not documented: a request that names one and finds nothing has lost it.
    is_missing = failure.status == 404 or (failure.status is None and failure.code == "404")
    if failure.continued and (is_missing or failure.mentions(*_CAME_APART_WORDS)):
        return MISTRAL_FAILURES.lost(failure)
    return MISTRAL_FAILURES.error(_by_words(failure) or _by_status(failure), failure)


def _by_words(failure: Failure) -> Verdict | None:
    status = failure.status
    if status == 402 or (status in {None, 403, 429} and failure.mentions(*_QUOTA_WORDS)):
        return MISTRAL_FAILURES.quota
    if status in {None, 400, 413, 422} and failure.mentions(*_OVERFLOW_WORDS):
        return MISTRAL_FAILURES.overflow
    if failure.type in _REFUSED_TYPES or (status in {None, 400, 403} and failure.mentions(*_REFUSED_WORDS)):
        return MISTRAL_FAILURES.refused
    if failure.type in _NO_MODEL_TYPES or failure.code in _NO_MODEL_CODES or failure.says("invalid model"):
        return MISTRAL_FAILURES.no_model
    return None


def _by_status(failure: Failure) -> Verdict:
    """An error inside a stream has a code of its own; some are HTTP's."""
    if failure.status is None and failure.code is not None and failure.code.isdigit():
        code = int(failure.code)
        if 400 <= code < 600:
            return MISTRAL_FAILURES.by_status(code)
    return MISTRAL_FAILURES.by_status(failure.status)


def foreign_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions the SDK and what it stands on may raise.

    Raise what `translate` makes of one outside of the `except` that caught it: an error kept as another's context still
    holds the request, and so the key.
    """
    import httpx2
    import pydantic
    from mistralai.client.errors import MistralError, NoResponseError
    from mistralai.extra.exceptions import MistralClientException
    from mistralai.extra.observability.telemetry import TelemetryConfigurationError

    return (
        MistralError,
        NoResponseError,
        MistralClientException,
        TelemetryConfigurationError,
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        pydantic.ValidationError,
        json.JSONDecodeError,
        UnicodeError,
    )


def translate(error: Exception, *, continued: bool = False, streaming: bool = False) -> Exception:
    """Return this library's error for one of `foreign_errors`; any other comes back unchanged.

    Args:
        error: What was raised.
        continued: Whether the request continued a conversation the provider keeps.
        streaming: Whether the answer had begun.
    """
    import httpx2
    import pydantic
    from mistralai.client.errors import MistralError, NoResponseError
    from mistralai.extra.exceptions import MistralClientException
    from mistralai.extra.observability.telemetry import TelemetryConfigurationError

    if isinstance(error, httpx2.TimeoutException):
        return MISTRAL_FAILURES.error(MISTRAL_FAILURES.timeout, cause=error)
    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | NoResponseError):
        return MISTRAL_FAILURES.broken(error, is_begun=streaming)
    if isinstance(error, MistralError):
        return classify(failure_of(error, continued=continued))
    if isinstance(error, pydantic.ValidationError):  # of a request: an answer's is a MistralError
        return MISTRAL_FAILURES.error(MISTRAL_FAILURES.malformed)
    if isinstance(error, TelemetryConfigurationError):
        return ConfigurationError(
            "mistral: MISTRAL_SDK_TELEMETRY must be 'dedicated', 'global' or 'false'; unset it to leave the SDK's own "
            "telemetry off.",
            provider="mistral",
        )
    if isinstance(error, MistralClientException):
        return MISTRAL_FAILURES.error(MISTRAL_FAILURES.auth)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return MISTRAL_FAILURES.error(MISTRAL_FAILURES.illegible)
    if isinstance(error, UnicodeError | httpx2.InvalidURL):
        return MISTRAL_FAILURES.error(MISTRAL_FAILURES.unsendable)
    return error


def may_still_run(error: Exception) -> bool:
    """Whether one of `foreign_errors` leaves it open whether the request is still on its way, or being answered."""
    import httpx2
    from mistralai.client.errors import NoResponseError

    if isinstance(error, httpx2.HTTPError | httpx2.StreamError | NoResponseError):
        return not never_left(error)
    return getattr(error, "status_code", None) in _OF_A_GATEWAY


def failure_of(error: Exception, *, continued: bool = False) -> Failure:
    """Return what a `MistralError` tells, without its text leaving this module.

    Args:
        error: A `MistralError`.
        continued: Whether the request continued a conversation the provider keeps.
    """
    status: int | None = getattr(error, "status_code", None)
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    told = _told(getattr(error, "body", None))
    if status is not None and status < 300:
        status = None  # an answer nobody can read: what was asked may be done
    return Failure(
        status=status,
        code=_word(told.get("code")),
        param=_word(told.get("param")),
        type=_word(told.get("type")),
        message=_message(told),
        retry_after=parse_retry_after(headers),
        request_id=request_id_of(headers),
        continued=continued,
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the provider's id of a request, from the headers of its answer."""
    return next((headers[name] for name in _REQUEST_ID_HEADERS if name in headers), None)


def _told(body: object) -> dict[str, Any]:
    try:
        told: object = json.loads(body) if isinstance(body, str) else None
    except (ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", told) if isinstance(told, dict) else {}


def _message(told: Mapping[str, Any]) -> str:
    """The text may stand under two names, and be a list of complaints."""
    message = told.get("message", told.get("detail"))
    return message if isinstance(message, str) else json.dumps(message) if message is not None else ""


def _word(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None
