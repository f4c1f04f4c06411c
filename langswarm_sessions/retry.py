"""Retries: the one place that uses tenacity."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_any
from tenacity.stop import stop_base
from tenacity.wait import wait_base, wait_exponential, wait_random

from langswarm_sessions.config import RetryPolicy
from langswarm_sessions.errors import ProviderError, SessionError

__all__ = ["Retrying", "run_with_retry"]

T = TypeVar("T")
Retrying = Callable[[int, BaseException, float], None]


class _RetryAfter(wait_base):
    """Wait as long as the provider asked, else exponentially; with jitter, for it may have told everybody the same."""

    def __init__(self, policy: RetryPolicy) -> None:
        self._jitter = wait_random(0, policy.jitter)
        self._backoff = wait_exponential(
            multiplier=policy.initial_delay, max=policy.max_delay, exp_base=policy.multiplier
        )
        self._cap = policy.retry_after_cap

    def __call__(self, retry_state: RetryCallState) -> float:
        jitter, asked = self._jitter(retry_state), _asked_delay(_error_of(retry_state))
        if not asked:  # "at once" is no time to ask for: then it is ours to choose
            return self._backoff(retry_state) + jitter
        return max(asked, min(asked + jitter, self._cap))


class _OutOfTime(stop_base):
    """Stop rather than begin a delay that takes all the time there is."""

    def __init__(self, time_left: Callable[[], float | None]) -> None:
        self._time_left = time_left

    def __call__(self, retry_state: RetryCallState) -> bool:
        left = self._time_left()
        return left is not None and retry_state.upcoming_sleep >= left


async def run_with_retry(
    attempt: Callable[[], Awaitable[T]],
    policy: RetryPolicy,
    *,
    may_retry: Callable[[BaseException], bool],
    on_retry: Retrying,
    time_left: Callable[[], float | None] = lambda: None,
) -> T:
    """Await `attempt()` until it succeeds, may not be retried, or the policy's attempts or the time are used up.

    Args:
        attempt: Called once per attempt.
        policy: Attempts and delays (seconds).
        may_retry: Asked on top of the error's own `retryable`.
        on_retry: Told attempt number, error and the delay in seconds before each new attempt.
        time_left: Returns the seconds there are (None: no limit); a delay that would take all of them is not begun.

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
        return await _again(attempt, error, policy, worth_it=worth_it, on_retry=on_retry, time_left=time_left)


async def _again(
    attempt: Callable[[], Awaitable[T]],
    first: Exception,
    policy: RetryPolicy,
    *,
    worth_it: Callable[[BaseException], bool],
    on_retry: Retrying,
    time_left: Callable[[], float | None],
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
        stop=stop_any(stop_after_attempt(policy.max_attempts), _OutOfTime(time_left)),
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
