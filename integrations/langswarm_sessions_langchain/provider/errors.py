"""What a failed call of a chat model means. No provider's SDK is imported: errors are known by their names.

Chat models raise LangChain's own errors, those of whatever SDK or HTTP client stands behind them, or any other. What
they say in common is read: names of classes, status, code, headers. Their text is looked at and never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from langswarm_sessions.errors import InvalidRequestError, ProviderError, SessionError
from langswarm_sessions.providers.failures import Failure, FailureClassifier, Verdict
from langswarm_sessions_langchain.provider.telling import failure_of

__all__ = ["failures_of", "is_known", "translate"]

_OVERFLOW_CODES = frozenset({"context_length_exceeded", "request_too_large", "string_above_max_length"})
_OVERFLOW_WORDS = (
    "context length",
    "context window",
    "context_length_exceeded",
    "exceeds the maximum number of tokens",
    "input is too long",
    "maximum context",
    "prompt is too long",
    "reduce the length of the",
    "request too large for",
    "too many input tokens",
)
_QUOTA_CODES = frozenset({"billing_hard_limit_reached", "billing_not_active", "billing_error", "insufficient_quota"})
_QUOTA_WORDS = ("credit balance is too low",)
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
_RATE_CODES = frozenset({"rate_limit_error", "rate_limit_exceeded", "throttlingexception", "too_many_requests"})
_DOWN_CODES = frozenset(
    {
        "api_error",
        "internal_error",
        "internal_server_error",
        "overloaded",
        "overloaded_error",
        "server_error",
        "server_is_overloaded",
        "serviceunavailableexception",
    }
)
_AUTH_CODES = frozenset(
    {"authentication_error", "expiredtokenexception", "invalid_api_key", "permission_error", "accessdeniedexception"}
)

_MALFORMED_CODES = frozenset({"invalid_request_error", "validationexception"})

_OVERFLOW_NAMES = frozenset({"ContextOverflowError"})
_UNPARSED_NAMES = frozenset({"LengthFinishReasonError"})
_REFUSED_NAMES = frozenset({"ContentFilterFinishReasonError", "ModelRefusalError", "OpenAIRefusalError"})
_VERDICT_NAMES: tuple[tuple[str, frozenset[str]], ...] = (
    # In this order: httpx, for example, calls its timeouts transport errors, too.
    (
        "timeout",
        frozenset(
            {
                "APITimeoutError",
                "DeadlineExceeded",
                "GatewayTimeout",
                "ModelTimeoutError",
                "ReadTimeoutError",
                "StreamChunkTimeoutError",
                "Timeout",
                "TimeoutError",
                "TimeoutException",
            }
        ),
    ),
    (
        "auth",
        frozenset(
            {
                "AuthenticationError",
                "DefaultCredentialsError",
                "ModelAuthenticationError",
                "ModelPermissionDeniedError",
                "NoCredentialsError",
                "PermissionDeniedError",
            }
        ),
    ),
    ("rate", frozenset({"ModelRateLimitError", "RateLimitError", "ResourceExhausted", "TooManyRequests"})),
    (
        "unreachable",
        frozenset(
            {
                "APIConnectionError",
                "ClientConnectionError",
                "ClientPayloadError",
                "ConnectionError",
                "HTTPClientError",
                "IncompleteRead",
                "ModelConnectionError",
                "SSLError",
                "StreamError",
                "TransportError",
                "gaierror",
            }
        ),
    ),
    ("no_such_place", frozenset({"ModelNotFoundError", "NotFoundError"})),
    (
        "malformed",
        frozenset({"BadRequestError", "InvalidArgument", "ModelInvalidRequestError", "UnprocessableEntityError"}),
    ),
    ("illegible", frozenset({"APIResponseValidationError", "DecodingError", "JSONDecodeError"})),
    (
        "down",
        frozenset({"APIError", "ClientError", "HTTPError", "InternalServerError", "ModelAPIError", "RequestException"}),
    ),
)
_ALL_NAMES = _OVERFLOW_NAMES.union(_REFUSED_NAMES, _UNPARSED_NAMES, *(names for _, names in _VERDICT_NAMES))
_ALL_CODES = _OVERFLOW_CODES.union(
    _QUOTA_CODES, _REFUSED_CODES, _RATE_CODES, _DOWN_CODES, _AUTH_CODES, _MALFORMED_CODES
)
_NO_CHUNKS = "No generation chunks were returned"
_TOO_LONG_TO_PARSE = Verdict(
    InvalidRequestError, "the structured answer did not fit into max_tokens", "Raise max_tokens, or ask for less."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An error that says something.

    Args:
        names: Its class and those it derives from.
        failure: What it tells.
        may_pass: What an error of LangChain's says of itself: whether trying again may help.
    """

    names: frozenset[str]
    failure: Failure
    may_pass: bool | None


def failures_of(provider: str) -> FailureClassifier:
    """Return the verdicts of a provider's failures."""
    return FailureClassifier(provider, key_variable="the chat model's key")


def translate(
    error: Exception, *, failures: FailureClassifier, chat_model: str, streaming: bool = False
) -> SessionError:
    """Return this library's error for whatever a chat model raised; one of this library comes back unchanged.

    Args:
        error: What was raised.
        failures: The provider's verdicts.
        chat_model: The class of the chat model, for errors that say nothing.
        streaming: Whether the answer had begun.
    """
    if isinstance(error, SessionError):
        return error
    if isinstance(error, ValueError) and str(error) == _NO_CHUNKS:
        return failures.cut_stream()
    for told in map(_told, _causes(error)):
        if told is None:
            continue
        verdict = _verdict(told, failures)
        if verdict is failures.unreachable and streaming:
            return failures.cut_stream()
        known = failures.error(verdict, told.failure, cause=error)
        known.was_begun = streaming  # what has no status here may as well be an SDK's without any
        return known
    return ProviderError(
        f"{failures.provider}: {chat_model} raised {type(error).__name__}; see the cause of this error. Correct the "
        "chat model, or what it was given, or raise an error of langswarm_sessions.errors to say what is to be done.",
        provider=failures.provider,
    )


def is_known(error: Exception) -> bool:
    """Whether an error says what it means by itself, so that its text, which may quote the conversation, can go."""
    return str(error) == _NO_CHUNKS or any(_told(cause) is not None for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: packages wrap the errors of their SDKs."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen and len(seen) < 8:
        yield current
        seen.append(current)
        current = current.__cause__


def _told(error: BaseException) -> _Told | None:
    names = frozenset(kind.__name__ for kind in type(error).__mro__)
    failure = failure_of(error)
    said: object = getattr(error, "is_retryable", None)
    may_pass = said if isinstance(said, bool) else None
    says = failure.status is not None or may_pass is not None or not _ALL_CODES.isdisjoint(_codes(failure))
    return _Told(names=names, failure=failure, may_pass=may_pass) if says or names & _ALL_NAMES else None


def _verdict(told: _Told, failures: FailureClassifier) -> Verdict:
    failure, names = told.failure, told.names
    by_code = _by_code(failure, failures)
    if names & _OVERFLOW_NAMES:
        return failures.overflow
    if names & _REFUSED_NAMES:
        return failures.refused
    if names & _UNPARSED_NAMES:
        return _TOO_LONG_TO_PARSE
    if by_code is not None:
        return by_code
    if _is_refusal(failure):
        return failures.by_status(failure.status)
    for verdict, named in _VERDICT_NAMES:
        if names & named:
            return cast("Verdict", getattr(failures, verdict))
    return failures.malformed if told.may_pass is False else failures.down


def _by_code(failure: Failure, failures: FailureClassifier) -> Verdict | None:
    codes = _codes(failure)
    if codes & _QUOTA_CODES or failure.mentions(*_QUOTA_WORDS):
        return failures.quota
    if codes & _OVERFLOW_CODES or (failure.status not in {401, 403, 404} and failure.mentions(*_OVERFLOW_WORDS)):
        return failures.overflow
    if codes & _REFUSED_CODES:
        return failures.refused
    if _is_refusal(failure):
        return None
    if codes & _RATE_CODES:
        return failures.rate
    if codes & _AUTH_CODES:
        return failures.auth
    if codes & _MALFORMED_CODES:
        return failures.malformed
    return failures.down if codes & _DOWN_CODES else None


def _is_refusal(failure: Failure) -> bool:
    """Whether the status says what it is; within a stream that had begun well it does not."""
    return failure.status is not None and failure.status >= 300


def _codes(failure: Failure) -> set[str]:
    return {code.lower() for code in (failure.code, failure.type) if code}
