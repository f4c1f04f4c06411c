"""What a failed request means, whoever the provider is. Pure functions.

Messages name status, code and parameter. What the provider wrote is not repeated: it may quote the conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import ParamSpec, TypeVar

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
from langswarm_sessions.providers.reach import never_left

__all__ = ["Failure", "FailureClassifier", "Verdict", "named_tokens", "parse_retry_after"]

P = ParamSpec("P")
T = TypeVar("T")

_STUMBLES = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What code raises over an answer that is not shaped as the API says."""

_REFUSED_HERE = (AuthenticationError, InvalidRequestError)
"""Of which a provider told nothing: the SDK did not send it."""

_MEDIA = ("image", "picture", "media", "document", "pdf", "audio", "base64")
_MEDIA_REMEDY = "Check the size, format and media type of the images, files and sound that are sent."

# How providers and compatible servers name what a model takes, and what they counted.
_LIMIT = re.compile(
    r"(?:(?:context length|limit) (?:is|of)|\(tpm\): limit|context size \(|allowed \(?|model with|cannot exceed|> ?)"
    r"\s*(\d[\d,]*)"
)
_COUNTED = re.compile(
    r"(?:too long:|resulted in|requested|contains|received|token count \(|exceed context limit:|^request \()"
    r"\s*(\d[\d,]*)"
)
_LEAST_LIMIT = 256

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

    def mentions(self, *words: str) -> bool:
        """Whether the provider's text holds one of these (lower case)."""
        text = self.message.lower()
        return any(word in text for word in words)

    @property
    def details(self) -> str:
        """Status, code and parameter, for a message."""
        named = (("status", self.status), ("code", self.code), ("type", self.type), ("param", self.param))
        told = [f"{name} {value}" for name, value in named if value is not None and _PLAIN_WORD.fullmatch(str(value))]
        return f" ({', '.join(told)})" if told else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means: the error, what happened, and what to do next."""

    kind: type[ProviderError]
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class FailureClassifier:
    """The verdicts one provider's failures may get, and the errors made of them.

    Args:
        provider: The provider's name.
        key_variable: The variable of the environment that holds its key.
    """

    provider: str
    key_variable: str

    @property
    def auth(self) -> Verdict:
        """The key was refused."""
        given = f"what providers={{{self.provider!r}: ...}} was given"
        return Verdict(AuthenticationError, "the key was refused", f"Check {self.key_variable} or {given}.")

    busy = Verdict(ProviderUnavailableError, "another request holds the conversation", "Try again.")
    down = Verdict(ProviderUnavailableError, "the provider failed on its side", "Try again later.")
    illegible = Verdict(ProviderUnavailableError, "the answer is not one of this API", "Check base_url, or try again.")
    malformed = Verdict(
        InvalidRequestError, "the request was refused as malformed", "Check the tools and provider_config."
    )
    no_model = Verdict(
        InvalidRequestError, "this model does not exist, or the key may not use it", "Check the session's model."
    )
    no_such_place = Verdict(
        InvalidRequestError, "there is no such model, or no such API", "Check the session's model and base_url."
    )
    overflow = Verdict(ContextOverflowError, "the input is longer than the model takes", "Send less of it.")
    quota = Verdict(QuotaExceededError, "the account's budget is used up", "Raise it at the provider.")
    rate = Verdict(RateLimitError, "too many requests or tokens a minute", "Wait and try again.")
    refused = Verdict(ContentRefusedError, "the safety system refused the request", "Rephrase it.")
    timeout = Verdict(ProviderTimeoutError, "no answer in time", "Try again, or raise timeout.")
    unsendable = Verdict(
        InvalidRequestError,
        "the request cannot be encoded",
        "The key, organization, project, headers and base_url must be printable ASCII.",
    )
    unreachable = Verdict(
        ProviderUnavailableError,
        "the provider cannot be reached",
        "Check base_url and the network, or try again.",
    )

    def by_status(self, status: int | None) -> Verdict:
        """Return what an HTTP status means by itself; without one the provider failed while it answered."""
        match status:
            case 401 | 403:
                return self.auth
            case 404:
                return self.no_such_place
            case 408 | 504:
                return self.timeout
            case 413:
                return self.overflow
            case 429:
                return self.rate
            case None | 409:
                return self.down
            case _ if status >= 500:
                return self.down
            case _:
                return self.malformed if status >= 400 else self.illegible

    def error(
        self, verdict: Verdict, failure: Failure | None = None, *, cause: BaseException | None = None
    ) -> ProviderError:
        """Return the error of a verdict.

        Args:
            verdict: What the failure means.
            failure: What the provider told. Without a status it told it within an answer it had begun.
            cause: What the transport raised, by which a request is known that never left.
        """
        told = failure or Failure()
        is_of_media = verdict is self.malformed and told.mentions(*_MEDIA)
        error = verdict.kind(
            f"{self.provider}: {verdict.what}{told.details}. {_MEDIA_REMEDY if is_of_media else verdict.remedy}",
            provider=self.provider,
            retryable=verdict.kind.default_retryable and told.should_retry is not False,
            status_code=told.status,
            retry_after=told.retry_after,
            request_id=told.request_id,
            was_sent=not (never_left(cause) or (failure is None and issubclass(verdict.kind, _REFUSED_HERE))),
            was_begun=failure is not None and failure.status is None,
        )
        if isinstance(error, ContextOverflowError):
            error.limit, error.counted = named_tokens(told.message)
        return error

    def lost(self, failure: Failure) -> NativeStateLostError:
        """Return the error of a conversation the provider keeps no more, or not whole."""
        return NativeStateLostError(
            f"{self.provider}: the conversation is no longer kept there{failure.details}. Send the message again with "
            "strategy 'hybrid' or 'client': it is rebuilt from the transcript.",
            provider=self.provider,
        )

    def read(self, reader: Callable[P, T], /, *args: P.args, **options: P.kwargs) -> T:
        """Return what `reader` makes of something the provider sent. SDKs let through what has another shape.

        Args:
            reader: A pure function of what it is given.
            *args: Its arguments.
            **options: Its keyword arguments.

        Raises:
            ProviderUnavailableError: It stumbled: the answer is not one of this API.
        """
        try:
            return reader(*args, **options)
        except _STUMBLES as error:
            if isinstance(error, SessionError):
                raise
        raise self.error(self.illegible)  # outside: what it stumbled over may be quoted in what it raised

    def broken(self, cause: BaseException, *, is_begun: bool) -> ProviderError:
        """Return the error of a connection that was not made, or broke.

        Args:
            cause: What the transport raised.
            is_begun: Whether an answer had begun.
        """
        return self.cut_stream() if is_begun else self.error(self.unreachable, cause=cause)

    def no_end(self, headers: Mapping[str, str], *, is_begun: bool) -> ProviderError:
        """Return the error of an answer that is over without its terminal event.

        Args:
            headers: Its headers, by which what never was a stream of events is known.
            is_begun: Whether an event came.
        """
        is_stream = is_begun or "event-stream" in headers.get("content-type", "event-stream")
        return self.cut_stream() if is_stream else self.error(self.illegible)

    def cut_stream(self) -> IncompleteStreamError:
        """Return the error of a stream that ended without its terminal event."""
        return IncompleteStreamError(
            f"{self.provider}: the stream ended before the answer was complete. Send the message again.",
            provider=self.provider,
            was_begun=True,
        )


def named_tokens(message: str) -> tuple[int | None, int | None]:
    """Return how many tokens a model takes and how many were counted, as far as a provider's text names them.

    Args:
        message: What the provider wrote of an input that is too long.

    Example:
        >>> named_tokens("prompt is too long: 210000 tokens > 200000 maximum")
        (200000, 210000)
    """
    text = message.lower()
    limit, counted = (_number(pattern.search(text)) for pattern in (_LIMIT, _COUNTED))
    if limit is None or limit < _LEAST_LIMIT:
        return None, None
    return limit, counted if counted is not None and counted > limit else None


def _number(found: re.Match[str] | None) -> int | None:
    return int(found[1].replace(",", "")) if found else None


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
