"""Every error this library raises on purpose.

::

    SessionError
    ├── SessionNotFoundError
    ├── MessageNotFoundError
    ├── SessionExistsError
    ├── SessionBusyError            another turn holds the session
    ├── SessionArchivedError
    ├── SessionAccessError
    ├── ConfigurationError
    │   └── MissingDependencyError  names the extra to install
    ├── InvalidInputError           (also a ValueError)
    ├── MiddlewareError
    ├── TurnConflictError           one idempotency key, two inputs; or a lost lease
    ├── NativeStateLostError        the provider forgot the thread
    ├── ImportFormatError
    ├── ProviderError
    │   ├── AuthenticationError
    │   ├── RateLimitError
    │   ├── QuotaExceededError
    │   ├── ProviderTimeoutError
    │   ├── ContextOverflowError
    │   ├── ContentRefusedError
    │   ├── InvalidRequestError
    │   ├── ProviderUnavailableError
    │   └── IncompleteStreamError
    └── StorageError
        └── SchemaError

Messages say what to do next. They never hold API keys or what was said in a conversation.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AuthenticationError",
    "ConfigurationError",
    "ContentRefusedError",
    "ContextOverflowError",
    "ImportFormatError",
    "IncompleteStreamError",
    "InvalidInputError",
    "InvalidRequestError",
    "MessageNotFoundError",
    "MiddlewareError",
    "MissingDependencyError",
    "NativeStateLostError",
    "ProviderError",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitError",
    "SchemaError",
    "SessionAccessError",
    "SessionArchivedError",
    "SessionBusyError",
    "SessionError",
    "SessionExistsError",
    "SessionNotFoundError",
    "StorageError",
    "TurnConflictError",
]


class SessionError(Exception):
    """Root of every error raised by this library.

    Args:
        message: What happened and what to do next.
        session_id: The session concerned, when there is one.
        provider: The provider concerned, when there is one.
        retryable: Whether the same call may succeed later; None takes the class's default.
    """

    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str = "",
        *,
        session_id: str | None = None,
        provider: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.session_id = session_id
        self.provider = provider
        self.retryable = self.default_retryable if retryable is None else retryable


class SessionNotFoundError(SessionError):
    """No session has this id (or it was deleted)."""


class MessageNotFoundError(SessionError):
    """No message of this session has this id."""


class SessionExistsError(SessionError):
    """A session with this id was created before."""


class SessionBusyError(SessionError):
    """Another turn held the session for longer than `turn_wait`."""

    default_retryable = True


class SessionArchivedError(SessionError):
    """The session is archived; restore it to go on."""


class SessionAccessError(SessionError):
    """The caller may not touch this session."""


class ConfigurationError(SessionError):
    """A setting is unknown, missing or contradictory."""


class MissingDependencyError(ConfigurationError, ImportError):
    """An optional package is not installed; the message names the extra that brings it."""


class InvalidInputError(SessionError, ValueError):
    """An argument has the wrong type or an impossible value."""


class MiddlewareError(SessionError):
    """A middleware raised; its error is the cause."""


class TurnConflictError(SessionError):
    """An idempotency key was used for another input, or the turn's lease was taken over."""


class NativeStateLostError(SessionError):
    """The provider no longer has the conversation and it cannot be rebuilt."""


class ImportFormatError(SessionError):
    """The data to import is not in a known format."""


class ProviderError(SessionError):
    """The provider refused or failed.

    Args:
        message: What happened and what to do next.
        session_id: The session concerned.
        provider: The provider's name.
        retryable: Whether the same request may succeed later.
        status_code: HTTP status, when there was a response.
        retry_after: Seconds the provider asked to wait, when it did.
        request_id: The provider's id of the failed request, for its support.
        was_sent: Whether the request left; False only if it is known that it did not: the provider was never reached.
        was_begun: Whether the provider had accepted it and begun to answer: it may bill what it did.
    """

    def __init__(
        self,
        message: str = "",
        *,
        session_id: str | None = None,
        provider: str | None = None,
        retryable: bool | None = None,
        status_code: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        was_sent: bool = True,
        was_begun: bool = False,
    ) -> None:
        super().__init__(message, session_id=session_id, provider=provider, retryable=retryable)
        self.status_code = status_code
        self.retry_after = retry_after
        self.request_id = request_id
        self.was_sent = was_sent
        self.was_begun = was_begun

    @property
    def is_ambiguous(self) -> bool:
        """Whether the request may have been carried out nevertheless: nobody answered, or not to the end."""
        status = self.status_code
        return self.was_sent and (status is None or not 400 <= status < 500 or status == 408)


class AuthenticationError(ProviderError):
    """The provider does not accept the key."""


class RateLimitError(ProviderError):
    """Too many requests or tokens a minute."""

    default_retryable = True


class QuotaExceededError(ProviderError):
    """The account has no budget left; retrying does not help."""


class ProviderTimeoutError(ProviderError):
    """No answer within the deadline."""

    default_retryable = True


class ContextOverflowError(ProviderError):
    """What was sent is longer than the model's context window.

    Attributes:
        limit: How many tokens the model takes, where the provider named it.
        counted: How many tokens it counted, where it named that.
    """

    limit: int | None = None
    counted: int | None = None


class ContentRefusedError(ProviderError):
    """The provider's safety system refused the request."""


class InvalidRequestError(ProviderError):
    """The provider calls the request malformed."""


class ProviderUnavailableError(ProviderError):
    """The provider could not be reached or failed on its side."""

    default_retryable = True


class IncompleteStreamError(ProviderError):
    """The stream ended before its terminal event: what came is not a whole answer."""

    default_retryable = True


class StorageError(SessionError):
    """The storage could not do what was asked; nothing was half-written."""


class SchemaError(StorageError):
    """The database's schema is newer, older or other than this code's."""
