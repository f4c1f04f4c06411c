"""The faults the mock provider can be told to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from langswarm_sessions.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextOverflowError,
    IncompleteStreamError,
    InvalidInputError,
    NativeStateLostError,
    ProviderTimeoutError,
    ProviderUnavailableError,
    QuotaExceededError,
    RateLimitError,
    SessionError,
)

__all__ = ["MockFault", "MockStored", "PlannedFault", "StreamEnds", "plan_fault"]


class StreamEnds(Exception):
    """Raised and caught inside the mock: the stream stops here, without an error for its reader."""


class MockFault(StrEnum):
    """What goes wrong."""

    TIMEOUT = "timeout"
    RATE_LIMIT = "rate_limit"
    UNAVAILABLE = "unavailable"
    DROP = "drop"
    """The connection breaks in the middle of the answer."""
    EOF = "eof"
    """The stream ends early, without an error and without its terminal event."""
    LOST = "lost"
    """The provider forgot the conversation; waits for a request that continues one."""
    AUTH = "auth"
    QUOTA = "quota"
    OVERFLOW = "overflow"
    REFUSED = "refused"
    BUSY = "busy"
    """Another request holds the conversation."""


class MockStored(StrEnum):
    """What a log holds of a request that failed."""

    NOTHING = "nothing"
    """It never arrived, or all of it was undone."""
    INPUT = "input"
    """What was sent, but no answer to it."""
    ANSWER = "answer"
    """What was sent and the whole answer: only the caller does not know."""
    LATER = "later"
    """As `answer`, but not yet: a look finds nothing, the next request finds the log locked, and then it is there."""


_ERRORS: dict[MockFault, Callable[[float | None], SessionError | StreamEnds]] = {
    MockFault.TIMEOUT: lambda _: ProviderTimeoutError("mock: no answer in time. Try again.", provider="mock"),
    MockFault.RATE_LIMIT: lambda after: RateLimitError(
        "mock: too many requests. Wait and try again.", provider="mock", status_code=429, retry_after=after
    ),
    MockFault.UNAVAILABLE: lambda after: ProviderUnavailableError(
        "mock: the provider is down. Try again later.", provider="mock", status_code=503, retry_after=after
    ),
    MockFault.DROP: lambda _: IncompleteStreamError("mock: the connection broke. Try again.", provider="mock"),
    MockFault.EOF: lambda _: StreamEnds(),
    MockFault.LOST: lambda _: NativeStateLostError("mock: the conversation is gone.", provider="mock"),
    MockFault.AUTH: lambda _: AuthenticationError(
        "mock: the key was refused. Set another one.", provider="mock", status_code=401
    ),
    MockFault.QUOTA: lambda _: QuotaExceededError(
        "mock: the budget is used up. Raise it.", provider="mock", status_code=429
    ),
    MockFault.OVERFLOW: lambda _: ContextOverflowError(
        "mock: the input is longer than the model's window. Send less.", provider="mock", status_code=400
    ),
    MockFault.REFUSED: lambda _: ContentRefusedError(
        "mock: the safety system refused the request. Rephrase it.", provider="mock", status_code=400
    ),
    MockFault.BUSY: lambda after: ProviderUnavailableError(
        "mock: another request holds the conversation. Try again.",
        provider="mock",
        status_code=409,
        retry_after=after,
    ),
}

_IN_THE_ANSWER = frozenset({MockFault.DROP, MockFault.EOF})


@dataclass(slots=True, kw_only=True)
class PlannedFault:
    """A fault that waits for its requests.

    Args:
        kind: What goes wrong; None when `error` is the user's own.
        error: Makes the error to raise.
        times: How many requests it still befalls.
        after_chunks: How many pieces of the answer come first.
        stored: What a log holds of the request afterwards.
    """

    kind: MockFault | None
    error: Callable[[], Exception]
    times: int
    after_chunks: int
    stored: MockStored = MockStored.NOTHING

    @property
    def comes_first(self) -> bool:
        """Whether it strikes before the request arrives."""
        return self.after_chunks == 0 and self.stored is MockStored.NOTHING

    def is_due(self, chunks: int) -> bool:
        """Whether it strikes when that many pieces were said."""
        return chunks >= self.after_chunks


def plan_fault(
    fault: MockFault | str | Exception,
    *,
    times: int = 1,
    after_chunks: int | None = None,
    retry_after: float | None = None,
    stored: MockStored | str | None = None,
) -> PlannedFault:
    """Return what `MockProviderSession.fail_next` was asked for.

    Raises:
        InvalidInputError: There is no such fault, or a number is out of range.
    """
    if times < 1 or (after_chunks is not None and after_chunks < 0):
        raise InvalidInputError("fail_next: times must be at least 1 and after_chunks at least 0.")
    kind, error = _made(fault, retry_after)
    first = after_chunks if after_chunks is not None else int(kind in _IN_THE_ANSWER)
    if stored is None:
        stored = MockStored.INPUT if first else MockStored.NOTHING
    if stored not in tuple(MockStored):
        raise InvalidInputError(f"fail_next: stored must be one of {', '.join(MockStored)}.")
    return PlannedFault(kind=kind, error=error, times=times, after_chunks=first, stored=MockStored(stored))


def _made(
    fault: MockFault | str | Exception, retry_after: float | None
) -> tuple[MockFault | None, Callable[[], Exception]]:
    if isinstance(fault, Exception):
        return None, lambda: fault
    try:
        kind = MockFault(fault)
    except ValueError:
        raise InvalidInputError(f"fail_next: fault must be one of {', '.join(MockFault)}.") from None
    return kind, lambda: _ERRORS[kind](retry_after)
