"""What a failed request means at Cohere. Pure functions, but for the lazy import of the SDK's error classes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from langswarm_sessions.errors import ProviderError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict, parse_retry_after

__all__ = ["COHERE_FAILURES", "classify", "failure_of", "foreign_errors", "request_id_of", "translate"]

COHERE_FAILURES = FailureClassifier("cohere", key_variable="CO_API_KEY")

_OVERFLOW_MESSAGES = ("too many tokens",)
_OVERFLOW_WORDS = ("context length", "context window", "maximum context")
_MAX_TOKENS_WORDS = ("max tokens must be", "max_tokens must be")
_QUOTA_WORDS = ("/ month", "/month", "per month", "billing", "spend limit")
_REFUSED_MESSAGES = ("blocked input", "blocked output", "blocked by")
_BY_STATUS: Mapping[int, Verdict] = {
    402: COHERE_FAILURES.quota,
    498: COHERE_FAILURES.refused,  # a deny-listed word, in what was sent or in the answer
    499: COHERE_FAILURES.down,  # given up on the way, and not by us
    501: COHERE_FAILURES.malformed,
}


def classify(failure: Failure) -> ProviderError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(status=402)).retryable
        False
    """
    return COHERE_FAILURES.error(_by_message(failure) or _by_status(failure), failure)


def _by_message(failure: Failure) -> Verdict | None:
    """The API has no codes: what status 400 or 429 is about, only its text says."""
    if failure.status not in {None, 400, 404, 422, 429}:
        return None
    if failure.status == 429:
        return COHERE_FAILURES.quota if failure.mentions(*_QUOTA_WORDS) else None
    if failure.status == 404:
        return COHERE_FAILURES.no_model if failure.mentions("model") else None
    if failure.mentions(*_MAX_TOKENS_WORDS):
        return COHERE_FAILURES.malformed
    if failure.says(*_OVERFLOW_MESSAGES) or failure.mentions(*_OVERFLOW_WORDS):
        return COHERE_FAILURES.overflow
    return COHERE_FAILURES.refused if failure.says(*_REFUSED_MESSAGES) else None


def _by_status(failure: Failure) -> Verdict:
    status = failure.status
    return (_BY_STATUS.get(status) if status is not None else None) or COHERE_FAILURES.by_status(status)


def foreign_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions the SDK and what it stands on may raise.

    Raise what `translate` makes of one outside of the `except` that caught it: an error kept as another's context still
    holds the request, and so the key.
    """
    import httpx
    from cohere.core.api_error import ApiError

    return (ApiError, httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, json.JSONDecodeError, UnicodeError)


def translate(error: Exception, *, streaming: bool = False) -> Exception:
    """Return this library's error for one of `foreign_errors`; any other comes back unchanged.

    Args:
        error: What was raised.
        streaming: Whether the answer had begun.
    """
    import httpx
    from cohere.core.api_error import ApiError
    from cohere.core.http_sse import SSEError

    if isinstance(error, ApiError):
        return classify(failure_of(error))
    if isinstance(error, httpx.TimeoutException):
        return COHERE_FAILURES.error(COHERE_FAILURES.timeout, cause=error)
    if isinstance(error, SSEError | httpx.DecodingError | json.JSONDecodeError | UnicodeDecodeError):
        return COHERE_FAILURES.error(COHERE_FAILURES.illegible)
    if isinstance(error, httpx.LocalProtocolError | httpx.InvalidURL | UnicodeError):
        return COHERE_FAILURES.error(COHERE_FAILURES.unsendable)
    if isinstance(error, httpx.HTTPError | httpx.StreamError):
        return COHERE_FAILURES.broken(error, is_begun=streaming)
    return error


def failure_of(error: Exception) -> Failure:
    """Return what a `cohere.core.ApiError` tells, without its text leaving this module.

    Args:
        error: A `cohere.core.ApiError`.
    """
    given: Mapping[str, str] = getattr(error, "headers", None) or {}
    headers = {name.lower(): value for name, value in given.items()}
    body: object = getattr(error, "body", None)
    told = cast("Mapping[str, object]", body) if isinstance(body, Mapping) else dict[str, object]()
    return Failure(
        status=getattr(error, "status_code", None),
        code=_text(told.get("code")),
        type=_text(told.get("type")),
        message=_text(told.get("message")) or "",
        retry_after=parse_retry_after(headers),
        request_id=request_id_of(headers) or _text(told.get("id")),
    )


def request_id_of(headers: Mapping[str, str]) -> str | None:
    """Return the provider's id of a request.

    Args:
        headers: The response's headers, in lower case.
    """
    return headers.get("x-request-id") or headers.get("x-debug-trace-id")


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
