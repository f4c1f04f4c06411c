"""What a failed request means at OpenAI. Pure functions, but for the lazy import of the SDK's error classes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from langswarm_sessions.errors import SessionError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict, parse_retry_after

if TYPE_CHECKING:
    import httpx2

__all__ = ["OPENAI_FAILURES", "classify", "failure_of", "foreign_errors", "is_definite", "translate"]

OPENAI_FAILURES = FailureClassifier("openai", key_variable="OPENAI_API_KEY")

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
_OVERFLOW_CODES = frozenset({"context_length_exceeded", "request_too_large"})
_REFUSED_CODES = frozenset(
    {
        "bio_policy",
        "content_filter",
        "content_policy_violation",
        "cyber_policy",
        "image_content_policy_violation",
        "invalid_prompt",
        "misalignment_policy_violation",
        "moderation_blocked",
        "safety_policy",
    }
)
_MALFORMED_CODES = frozenset(
    {
        "data_residency_mismatch",
        "empty_image_file",
        "failed_to_download_image",
        "image_file_not_found",
        "image_file_too_large",
        "image_parse_error",
        "image_too_large",
        "image_too_small",
        "unsupported_image_media_type",
    }
)
_LOST_CODES = frozenset({"previous_response_not_found", "response_not_found"})
_LOST_MESSAGES = ("previous response with id", "item with id", "response with id", "conversation with id")
_UNPAIRED_MESSAGES = ("no tool output found for function call", "no tool call found for function call output")
_TOO_LARGE_MESSAGE = "request too large for"
_OVERFLOW_WORDS = ("maximum context length", "context window", "context size", "context_size")
"""How compatible servers put it, which have no code for it."""
_HTTP_ERROR = re.compile("[45][0-9]{2}")
_BUSY_CODES = frozenset({"conversation_locked"})
_RATE_CODES = frozenset({"rate_limit_error", "rate_limit_exceeded", "requests", "tokens"})
_SERVER_CODES = frozenset(
    {"internal_error", "overloaded", "server_error", "server_is_overloaded", "vector_store_timeout"}
)


def classify(failure: Failure) -> SessionError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(status=400, code="context_length_exceeded")).retryable
        False
    """
    failure = _with_status(failure)
    if _is_lost(failure):
        return OPENAI_FAILURES.lost(failure)
    return OPENAI_FAILURES.error(_by_code(failure) or _by_status(failure), failure)


def _with_status(failure: Failure) -> Failure:
    """Return the failure with its status: compatible servers give it as the code, of failures inside a stream too."""
    if not _HTTP_ERROR.fullmatch(str(failure.code)):
        return failure
    return replace(failure, status=failure.status or int(str(failure.code)), code=None)


def _is_lost(failure: Failure) -> bool:
    if failure.code in _LOST_CODES or (failure.param == "previous_response_id" and failure.status in {400, 404}):
        return True
    if failure.status in {400, 404} and failure.code is None and failure.says(*_LOST_MESSAGES):
        return True
    if failure.continued and failure.status == 404 and failure.code is None:
        return True  # a compatible server, in its own words; were it the model, telling it anew would say so
    # What the provider keeps has come apart (an answer nobody received): the transcript has the whole of it.
    return failure.continued and failure.says(*_UNPAIRED_MESSAGES)


def _by_code(failure: Failure) -> Verdict | None:
    code = failure.code
    if code in _QUOTA_CODES or failure.type in _QUOTA_CODES:
        return OPENAI_FAILURES.quota
    if code in _OVERFLOW_CODES or failure.status == 413 or failure.says(_TOO_LARGE_MESSAGE):
        return OPENAI_FAILURES.overflow
    if failure.status == 400 and code is None and failure.mentions(*_OVERFLOW_WORDS):
        return OPENAI_FAILURES.overflow
    if code in _REFUSED_CODES:
        return OPENAI_FAILURES.refused
    if code in _BUSY_CODES:
        return OPENAI_FAILURES.busy
    if code == "model_not_found":
        return OPENAI_FAILURES.no_model
    if failure.status is not None:
        return None
    if code in _RATE_CODES or (code is None and failure.type in _RATE_CODES):
        return OPENAI_FAILURES.rate
    return OPENAI_FAILURES.down if code in _SERVER_CODES else None


def _by_status(failure: Failure) -> Verdict:
    if failure.status is None:
        code = failure.code or ""
        is_ours = failure.type == "invalid_request_error" or code.startswith("invalid") or code in _MALFORMED_CODES
        return OPENAI_FAILURES.malformed if is_ours else OPENAI_FAILURES.down
    return OPENAI_FAILURES.by_status(failure.status)


def is_definite(error: Exception) -> bool:
    """Whether a failed request is known to have left nothing behind: the provider refused it.

    A locked conversation is no such refusal: what locks it may be this very request, sent before.

    Args:
        error: One of `foreign_errors`.
    """
    status: object = getattr(error, "status_code", None)
    is_refused = isinstance(status, int) and 400 <= status < 500 and status not in {408, 409}
    return is_refused and getattr(error, "code", None) not in _BUSY_CODES


def foreign_errors() -> tuple[type[Exception], ...]:
    """Return the exceptions the SDK and what it stands on may raise.

    Raise what `translate` makes of one outside of the `except` that caught it: an error kept as another's context still
    holds the request, and so the key.
    """
    import httpx2
    from openai import OpenAIError

    return (OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL, json.JSONDecodeError, UnicodeError)


def translate(error: Exception, *, continued: bool = False, streaming: bool = False) -> Exception:
    """Return this library's error for one of `foreign_errors`; any other comes back unchanged.

    Args:
        error: What was raised.
        continued: Whether the request continued a conversation the provider keeps.
        streaming: Whether the answer had begun.
    """
    import httpx2
    import openai

    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException):
        return OPENAI_FAILURES.error(OPENAI_FAILURES.timeout, cause=error)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError | httpx2.StreamError):
        return OPENAI_FAILURES.broken(error, is_begun=streaming)
    if isinstance(error, openai.APIError):
        return classify(failure_of(error, continued=continued))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return OPENAI_FAILURES.error(OPENAI_FAILURES.illegible)
    if isinstance(error, UnicodeError | httpx2.InvalidURL):
        return OPENAI_FAILURES.error(OPENAI_FAILURES.unsendable)
    return OPENAI_FAILURES.error(OPENAI_FAILURES.auth) if isinstance(error, openai.OpenAIError) else error


def failure_of(error: Exception, *, continued: bool = False) -> Failure:
    """Return what an `openai.APIError` tells, without its text leaving this module.

    Args:
        error: An `openai.APIError`.
        continued: Whether the request continued a conversation the provider keeps.
    """
    response: httpx2.Response | None = getattr(error, "response", None)
    headers: Mapping[str, str] = response.headers if response is not None else dict[str, str]()
    code: object = getattr(error, "code", None)
    return Failure(
        status=getattr(error, "status_code", None),
        code=str(code) if isinstance(code, int) else _text(code),
        param=_text(getattr(error, "param", None)),
        type=_text(getattr(error, "type", None)),
        message=_own_message(error),
        retry_after=parse_retry_after(headers),
        should_retry={"true": True, "false": False}.get(headers.get("x-should-retry", "")),
        request_id=headers.get("x-request-id"),
        continued=continued,
    )


def _own_message(error: Exception) -> str:
    body: object = getattr(error, "body", None)
    told: object = body.get("message") if isinstance(body, dict) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return told if isinstance(told, str) else str(getattr(error, "message", ""))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
