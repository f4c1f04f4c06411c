"""Retries: the one place that uses tenacity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_base, wait_exponential, wait_random

from langswarm_sessions.config import RetryPolicy
from langswarm_sessions.errors import ProviderError, SessionError

__all__ = ["Retrying", "run_with_retry"]

T = TypeVar("T")
Retrying = Callable[[int, BaseException, float], None]


class _RetryAfter(wait_base):
    """Wait as long as the provider asked, else exponentially with jitter."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._backoff = wait_exponential(
            multiplier=policy.initial_delay, max=policy.max_delay, exp_base=policy.multiplier
        ) + wait_random(0, policy.jitter)

    def __call__(self, retry_state: RetryCallState) -> float:
        asked = _asked_delay(_error_of(retry_state))
        return asked if asked is not None else self._backoff(retry_state)


async def run_with_retry(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    may_retry: Callable[[BaseException], bool],
    on_retry: Retrying,
) -> T:
    """Await `attempt()` until it succeeds, may not be retried, or the policy's attempts are used up.

    Args:
        attempt: Called once per attempt.
        policy: Attempts and delays (seconds).
        may_retry: Asked on top of the error's own `retryable`.
        on_retry: Told attempt number, error and the delay in seconds before each new attempt.

    Raises:
        BaseException: The last attempt's error, unchanged.
    """

    def worth_it(error: BaseException) -> bool:
        return is_retryable(error, policy) and may_retry(error)

    try:
        return await attempt()
    except Exception as error:
        if policy.max_attempts == 1 or not worth_it(error):
            raise
        return await _again(attempt, error, policy, worth_it=worth_it, on_retry=on_retry)


async def _again(
    attempt: Callable[[], Awaitable[T]],
    first: Exception,
    policy: RetryPolicy,
    *,
    worth_it: Callable[[BaseException], bool],
    on_retry: Retrying,
) -> T:
    """Hand over to tenacity, which takes the failure that already happened for its first attempt."""
    happened, judged = [first], [True]

    async def attempt_or_first() -> T:
        if happened:
            raise happened.pop()
        return await attempt()

    def worth_trying(error: BaseException) -> bool:
        return judged.pop() if judged else worth_it(error)

    def tell(state: RetryCallState) -> None:
        error = _error_of(state)
        if error is not None:
            on_retry(state.attempt_number, error, state.upcoming_sleep)

    retrying = AsyncRetrying(
        stop=stop_after_attempt(policy.max_attempts),
        wait=_RetryAfter(policy),
        retry=retry_if_exception(worth_trying),
        before_sleep=tell,
        reraise=True,
    )
    return await retrying(attempt_or_first)


def is_retryable(error: BaseException, policy: RetryPolicy) -> bool:
    """Whether the classifier calls the failure passing, and the wait it asks for is one we are willing to make."""
    if not isinstance(error, SessionError) or not error.retryable:
        return False
    asked = _asked_delay(error)
    return asked is None or asked <= policy.retry_after_cap


def _asked_delay(error: BaseException | None) -> float | None:
    return error.retry_after if isinstance(error, ProviderError) else None


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
