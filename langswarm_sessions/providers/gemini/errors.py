"""What a failed request means at Gemini. Pure functions, but for the lazy import of the SDK's error classes.

The SDK has two families of errors that share no root: those of `google.genai.errors` and those of its Interactions API,
which live in a private module. What they tell is read by the names both use.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

from langswarm_sessions.errors import SessionError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict, parse_retry_after

__all__ = ["GEMINI_FAILURES", "IllegibleAnswerError", "classify", "failure_in", "foreign_errors", "translate"]

GEMINI_FAILURES = FailureClassifier("gemini", key_variable="GEMINI_API_KEY")

_STATUS_OF_CODE = {
    "aborted": 409,
    "deadline_exceeded": 504,
    "failed_precondition": 400,
    "internal": 500,
    "invalid_argument": 400,
    "invalid_request": 400,
    "not_found": 404,
    "permission_denied": 403,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "too_many_requests": 429,
    "unauthenticated": 401,
    "unavailable": 503,
}
"""What an error inside a stream means: it has a code, but no HTTP status."""

_KEY_REASONS = frozenset({"api_key_invalid", "api_key_expired", "api_key_service_blocked"})
_KEY_MESSAGES = ("api key not valid", "api key expired", "api key not found")
_OVERFLOW_MESSAGES = (
    "exceeds the maximum number of tokens",
    "input token count",
    "context window",
    "request payload size exceeds",
)
_QUOTA_WORDS = ("perday", "billing account", "limit: 0", "prepayment credits", "spending cap")
_REFUSED_WORDS = ("safety", "prohibited", "blocklist", "blocked", "content_policy", "harmful", "recitation")
_UNPAIRED_WORDS = ("function_call", "function call", "function_result", "function response", "function_response")
_RETRY_DELAY = re.compile(r"(\d+(?:\.\d+)?)s")


class IllegibleAnswerError(Exception):
    """The SDK could not make sense of an answer. It never leaves this provider."""


def classify(failure: Failure) -> SessionError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(status=503, code="UNAVAILABLE")).retryable
        True
    """
    if _is_lost(failure):
        return GEMINI_FAILURES.lost(failure)
    return GEMINI_FAILURES.error(_verdict(failure), failure)


def _is_lost(failure: Failure) -> bool:
    if not failure.continued:
        return False
    status = _status_of(failure)
    if status in {400, 403, 404} and failure.mentions("interaction"):
        return True
    if status == 404:  # "Requested entity was not found.": the model, if it is not that, is asked for again
        return not failure.mentions("model")
    # What the provider keeps has come apart (an answer nobody received): the transcript has the whole of it.
    return status == 400 and failure.mentions(*_UNPAIRED_WORDS)


def _verdict(failure: Failure) -> Verdict:
    status, reason = _status_of(failure), (failure.type or "").lower()
    if reason in _KEY_REASONS or (status == 400 and failure.mentions(*_KEY_MESSAGES)):
        return GEMINI_FAILURES.auth
    if status == 429:
        return GEMINI_FAILURES.quota if failure.mentions(*_QUOTA_WORDS) else GEMINI_FAILURES.rate
    if status in {400, 413} and failure.mentions(*_OVERFLOW_MESSAGES):
        return GEMINI_FAILURES.overflow
    if _is_refusal(failure, status):
        return GEMINI_FAILURES.refused
    if status == 404 and failure.mentions("models/", "model "):
        return GEMINI_FAILURES.no_model
    return GEMINI_FAILURES.down if status == 499 else GEMINI_FAILURES.by_status(status)


def _is_refusal(failure: Failure, status: int | None) -> bool:
    code = (failure.code or "").lower()
    if any(word in code for word in _REFUSED_WORDS):
        return True
    return status in {None, 400} and failure.mentions(*_REFUSED_WORDS)


def _status_of(failure: Failure) -> int | None:
    if failure.status is not None and failure.status >= 400:
        return failure.status
    code = (failure.code or "").rsplit("/", 1)[-1].lower()
    return _STATUS_OF_CODE.get(code, failure.status)


def foreign_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions the SDK and what it stands on may raise.

    Raise what `translate` makes of one outside of the `except` that caught it: an error kept as another's context still
    holds the request, and so the key.
    """
    import httpx2
    from google.genai import errors

    return (
        errors.APIError,
        errors.UnknownApiResponseError,
        _interaction_error(),
        httpx2.HTTPError,
        httpx2.StreamError,
        httpx2.InvalidURL,
        IllegibleAnswerError,
        UnicodeError,
        *_other_transports(),
    )


def _interaction_error() -> type[Exception]:
    """Return the root of the errors of the Interactions API; the SDK exports it from a private module only."""
    return cast(type[Exception], import_module("google.genai._interactions").GeminiNextGenAPIClientError)


def _other_transports() -> list[type[Exception]]:
    """Return the errors of the transports a ready-made client may use instead of the SDK's own."""
    names = (("httpx", "HTTPError"), ("httpx", "StreamError"), ("httpx", "InvalidURL"), ("aiohttp", "ClientError"))
    return [getattr(sys.modules[module], name) for module, name in names if module in sys.modules]


def translate(error: Exception, *, continued: bool = False, streaming: bool = False) -> Exception:
    """Return this library's error for one of `foreign_errors`; any other comes back unchanged.

    Args:
        error: What was raised.
        continued: Whether the request continued a conversation the provider keeps.
        streaming: Whether the answer had begun.
    """
    if not isinstance(error, foreign_errors()):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"APITimeoutError", "TimeoutException", "ServerTimeoutError"}:
        return GEMINI_FAILURES.error(GEMINI_FAILURES.timeout, cause=error)
    if isinstance(error, IllegibleAnswerError | UnicodeDecodeError) or "UnknownApiResponseError" in names:
        return GEMINI_FAILURES.error(GEMINI_FAILURES.illegible)
    if names & {"UnicodeError", "InvalidURL", "UnsupportedProtocol", "LocalProtocolError"}:
        return GEMINI_FAILURES.error(GEMINI_FAILURES.unsendable)
    status = _http_status(error)
    if status is not None:
        return classify(failure_of(error, status=status, continued=continued))
    return GEMINI_FAILURES.broken(error, is_begun=streaming)


def failure_of(error: Exception, *, status: int, continued: bool = False) -> Failure:
    """Return what an error of the API tells, without its text leaving this module.

    Args:
        error: An error of either family.
        status: Its HTTP status.
        continued: Whether the request continued a conversation the provider keeps.
    """
    headers = cast(Mapping[str, str], getattr(getattr(error, "response", None), "headers", None) or {})
    body = _mapping(getattr(error, "body", None)) or _mapping(getattr(error, "details", None))
    return failure_in(
        _mapping(body.get("error")) or body,
        status=status,
        request_id=headers.get("x-request-id"),
        retry_after=parse_retry_after({name.lower(): value for name, value in headers.items()}),
        continued=continued,
    )


def failure_in(
    told: Mapping[str, Any],
    *,
    status: int | None = None,
    request_id: str | None = None,
    retry_after: float | None = None,
    continued: bool = False,
) -> Failure:
    """Return what the object `error` of an answer or of an event tells.

    Args:
        told: `code`, `message`, `status` and `details`, as far as they are there.
        status: HTTP status.
        request_id: The provider's id of the request.
        retry_after: Seconds a header asked to wait.
        continued: Whether the request continued a conversation the provider keeps.
    """
    details = [_mapping(detail) for detail in _list(told.get("details"))]
    code: object = told.get("status") or told.get("code")
    return Failure(
        status=status,
        code=code.rsplit("/", 1)[-1] if isinstance(code, str) else None,
        type=next((str(detail["reason"]) for detail in details if detail.get("reason")), None),
        message=f"{told.get('message') or ''} {_quotas(details)}",
        retry_after=retry_after if retry_after is not None else _retry_delay(details),
        request_id=request_id,
        continued=continued,
    )


def _http_status(error: Exception) -> int | None:
    for name in ("status_code", "code"):
        value: object = getattr(error, name, None)
        if isinstance(value, int):
            return value
    return None


def _quotas(details: list[Mapping[str, Any]]) -> str:
    violations = [_mapping(one) for detail in details for one in _list(detail.get("violations"))]
    return " ".join(str(one.get("quotaId")) for one in violations if one.get("quotaId"))


def _retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    for detail in details:
        if match := _RETRY_DELAY.fullmatch(str(detail.get("retryDelay"))):
            return float(match[1])
    return None


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []  # pyright: ignore[reportUnknownVariableType]
