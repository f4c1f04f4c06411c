"""The classifier: what a failed request means. Pure functions, but for the lazy import of the SDK's error classes.

Messages name status, code and parameter. What the provider wrote is not repeated: it may quote the conversation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

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
from langswarm_sessions.ids import now

if TYPE_CHECKING:
    import httpx2

__all__ = ["Failure", "classify", "cut_stream", "failure_of", "foreign_errors", "parse_retry_after", "translate"]

PROVIDER = "openai"

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
_LOST_CODES = frozenset({"previous_response_not_found", "response_not_found"})
_LOST_MESSAGES = ("previous response with id", "item with id", "response with id")
_UNPAIRED_MESSAGES = ("no tool output found for function call", "no tool call found for function call output")
_TOO_LARGE_MESSAGE = "request too large for"
_BUSY_CODES = frozenset({"conversation_locked"})
_RATE_CODES = frozenset({"rate_limit_exceeded", "tokens", "requests"})
_SERVER_CODES = frozenset(
    {"internal_error", "overloaded", "server_error", "server_is_overloaded", "vector_store_timeout"}
)
_PLAIN_WORD = re.compile(r"[\w.\-\[\]]{1,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed request, as far as the provider told.

    Args:
        status: HTTP status; None for a failure inside a stream.
        code: The API's error code.
        param: The request field it names.
        type: The API's error type.
        message: Its text: looked at, never repeated.
        retry_after: Seconds it asked to wait.
        should_retry: Its own verdict (`x-should-retry`), when given.
        request_id: The provider's id of the request.
        continued: Whether the request continued a conversation the provider keeps.
    """

    status: int | None = None
    code: str | None = None
    param: str | None = None
    type: str | None = None
    message: str = field(default="", repr=False)
    retry_after: float | None = None
    should_retry: bool | None = None
    request_id: str | None = None
    continued: bool = False

    def says(self, *beginnings: str) -> bool:
        """Whether the provider's text begins with one of these (lower case)."""
        return self.message.lower().startswith(beginnings)

    @property
    def details(self) -> str:
        """Status, code and parameter, for a message."""
        named = (("status", self.status), ("code", self.code), ("type", self.type), ("param", self.param))
        told = [f"{name} {value}" for name, value in named if value is not None and _PLAIN_WORD.fullmatch(str(value))]
        return f" ({', '.join(told)})" if told else ""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a failure means: the error, what happened, and what to do next."""

    kind: type[ProviderError]
    what: str
    remedy: str


_AUTH = _Verdict(
    AuthenticationError, "the key was refused", "Check OPENAI_API_KEY or what providers={'openai': ...} was given."
)
_BUSY = _Verdict(ProviderUnavailableError, "another request holds the conversation", "Try again.")
_DOWN = _Verdict(ProviderUnavailableError, "the provider failed on its side", "Try again later.")
_ILLEGIBLE = _Verdict(ProviderUnavailableError, "the answer is not one of this API", "Check base_url, or try again.")
_MALFORMED = _Verdict(
    InvalidRequestError, "the request was refused as malformed", "Check the tools and provider_config."
)
_NO_MODEL = _Verdict(
    InvalidRequestError, "this model does not exist, or the key may not use it", "Check the session's model."
)
_NO_SUCH_PLACE = _Verdict(
    InvalidRequestError, "there is no such model, or no Responses API", "Check the session's model and base_url."
)
_OVERFLOW = _Verdict(ContextOverflowError, "the input is longer than the model takes", "Send less of it.")
_QUOTA = _Verdict(QuotaExceededError, "the account's budget is used up", "Raise it at the provider.")
_RATE = _Verdict(RateLimitError, "too many requests or tokens a minute", "Wait and try again.")
_REFUSED = _Verdict(ContentRefusedError, "the safety system refused the request", "Rephrase it.")
_TIMEOUT = _Verdict(ProviderTimeoutError, "no answer in time", "Try again, or raise timeout.")
_UNREACHABLE = _Verdict(
    ProviderUnavailableError, "the provider cannot be reached", "Check base_url and the network, or try again later."
)
_UNSENDABLE = _Verdict(
    InvalidRequestError,
    "the request cannot be encoded",
    "The key, organization, project, headers and base_url must be printable ASCII.",
)


def classify(failure: Failure) -> SessionError:
    """Return this library's error for a failure.

    Example:
        >>> classify(Failure(status=400, code="context_length_exceeded")).retryable
        False
    """
    if _is_lost(failure):
        return NativeStateLostError(
            f"openai: the conversation is no longer kept there{failure.details}. Send the message again with strategy "
            "'hybrid' or 'client': it is rebuilt from the transcript.",
            provider=PROVIDER,
        )
    return _error(_by_code(failure) or _by_status(failure), failure)


def _is_lost(failure: Failure) -> bool:
    if failure.code in _LOST_CODES or (failure.param == "previous_response_id" and failure.status in {400, 404}):
        return True
    if failure.status in {400, 404} and failure.code is None and failure.says(*_LOST_MESSAGES):
        return True
    # What the provider keeps has come apart (an answer nobody received): the transcript has the whole of it.
    return failure.continued and failure.says(*_UNPAIRED_MESSAGES)


def _by_code(failure: Failure) -> _Verdict | None:
    code = failure.code
    if code in _QUOTA_CODES or failure.type in _QUOTA_CODES:
        return _QUOTA
    if code in _OVERFLOW_CODES or failure.status == 413 or failure.says(_TOO_LARGE_MESSAGE):
        return _OVERFLOW
    if code in _REFUSED_CODES:
        return _REFUSED
    if code in _BUSY_CODES:
        return _BUSY
    if code == "model_not_found":
        return _NO_MODEL
    if failure.status is not None:
        return None
    if code in _RATE_CODES:
        return _RATE
    return _DOWN if code in _SERVER_CODES else None


def _by_status(failure: Failure) -> _Verdict:
    match failure.status:
        case 401 | 403:
            return _AUTH
        case 404:
            return _NO_SUCH_PLACE
        case 408 | 504:
            return _TIMEOUT
        case 429:
            return _RATE
        case 409:
            return _DOWN
        case None:
            is_ours = failure.type == "invalid_request_error" or (failure.code or "").startswith("invalid")
            return _MALFORMED if is_ours else _DOWN
        case status if status >= 500:
            return _DOWN
        case status:
            return _MALFORMED if status >= 400 else _ILLEGIBLE


def _error(verdict: _Verdict, failure: Failure | None = None) -> ProviderError:
    told = failure or Failure()
    retryable = verdict.kind.default_retryable and told.should_retry is not False
    return verdict.kind(
        f"openai: {verdict.what}{told.details}. {verdict.remedy}",
        provider=PROVIDER,
        retryable=retryable,
        status_code=told.status,
        retry_after=told.retry_after,
        request_id=told.request_id,
    )


def cut_stream() -> IncompleteStreamError:
    """Return the error of a stream that ended without its terminal event."""
    return IncompleteStreamError(
        "openai: the stream ended before the answer was complete. Send the message again.", provider=PROVIDER
    )


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
        return _error(_TIMEOUT)
    if isinstance(error, openai.APIConnectionError | httpx2.HTTPError | httpx2.StreamError):
        return cut_stream() if streaming else _error(_UNREACHABLE)
    if isinstance(error, openai.APIError):
        return classify(failure_of(error, continued=continued))
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return _error(_ILLEGIBLE)
    if isinstance(error, UnicodeError | httpx2.InvalidURL):
        return _error(_UNSENDABLE)
    return _error(_AUTH) if isinstance(error, openai.OpenAIError) else error


def failure_of(error: Exception, *, continued: bool = False) -> Failure:
    """Return what an `openai.APIError` tells, without its text leaving this module.

    Args:
        error: An `openai.APIError`.
        continued: Whether the request continued a conversation the provider keeps.
    """
    response: httpx2.Response | None = getattr(error, "response", None)
    headers: Mapping[str, str] = response.headers if response is not None else dict[str, str]()
    return Failure(
        status=getattr(error, "status_code", None),
        code=_text(getattr(error, "code", None)),
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


def parse_retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds a response asks to wait: `retry-after-ms`, else `retry-after` (seconds or an HTTP date).

    Example:
        >>> parse_retry_after({"retry-after-ms": "1500"})
        1.5
    """
    try:
        return max(0.0, float(headers["retry-after-ms"]) / 1000)
    except (KeyError, ValueError):
        asked = headers.get("retry-after")
    if asked is None:
        return None
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(asked) - now()).total_seconds())
    except (TypeError, ValueError):
        return None
