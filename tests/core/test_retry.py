"""Retries: how often, how long, and which failures."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from langswarm_sessions.config import RetryPolicy
from langswarm_sessions.errors import (
    AuthenticationError,
    ProviderUnavailableError,
    RateLimitError,
    SessionBusyError,
)
from langswarm_sessions.retry import run_with_retry

Told = list[tuple[int, str, float]]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Record the delays instead of waiting for them; a server of other tests sleeps on a thread of its own."""
    delays: list[float] = []
    real, here = asyncio.sleep, threading.get_ident()

    async def sleep(seconds: float, result: Any = None) -> Any:
        if threading.get_ident() != here:
            return await real(seconds, result)
        delays.append(seconds)
        await real(0)
        return result

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return delays


async def run(
    failures: list[BaseException],
    policy: RetryPolicy,
    *,
    may_retry: Callable[[BaseException], bool] = lambda _: True,
    told: Told | None = None,
    time_left: Callable[[], float | None] = lambda: None,
) -> tuple[str, int]:
    """Fail with each failure, then succeed; return the result and the number of attempts."""
    left, attempts = list(failures), 0

    async def attempt() -> str:
        nonlocal attempts
        attempts += 1
        if left:
            raise left.pop(0)
        return "done"

    def note(number: int, error: BaseException, delay: float) -> None:
        if told is not None:
            told.append((number, type(error).__name__, delay))

    try:
        done = await run_with_retry(attempt, policy, may_retry=may_retry, on_retry=note, time_left=time_left)
        return done, attempts
    except BaseException as error:
        error.add_note(f"attempts={attempts}")
        raise


PLAIN = RetryPolicy(jitter=0)


async def test_the_first_success_is_the_result(slept: list[float]) -> None:
    assert await run([], PLAIN) == ("done", 1)
    assert slept == []


async def test_delays_grow_by_the_multiplier_and_are_told_before_they_are_slept(slept: list[float]) -> None:
    told: Told = []
    policy = RetryPolicy(max_attempts=5, initial_delay=0.5, multiplier=3, max_delay=10, jitter=0)
    failures: list[BaseException] = [ProviderUnavailableError("x") for _ in range(4)]
    assert await run(failures, policy, told=told) == ("done", 5)
    assert slept == [0.5, 1.5, 4.5, 10]
    assert told == [(number + 1, "ProviderUnavailableError", delay) for number, delay in enumerate(slept)]


async def test_jitter_adds_up_to_its_bound(slept: list[float]) -> None:
    policy = RetryPolicy(max_attempts=30, initial_delay=1, multiplier=1, jitter=0.25)
    await run([ProviderUnavailableError("x") for _ in range(29)], policy)
    assert all(1 <= delay <= 1.25 for delay in slept)
    assert len(set(slept)) > 1


@pytest.mark.parametrize("most", [1, 2, 4])
async def test_after_the_last_attempt_its_error_is_raised_unchanged(slept: list[float], most: int) -> None:
    failures: list[BaseException] = [ProviderUnavailableError(str(number)) for number in range(10)]
    with pytest.raises(ProviderUnavailableError) as no:
        await run(failures, RetryPolicy(max_attempts=most, jitter=0))
    assert no.value is failures[most - 1]
    assert no.value.__notes__ == [f"attempts={most}"]
    assert len(slept) == most - 1


async def test_retry_after_is_followed_instead_of_our_own_delay(slept: list[float]) -> None:
    asked = [7.25, 0.001, 60.0]
    await run([RateLimitError("x", retry_after=delay) for delay in asked], PLAIN)
    assert slept == asked


async def test_retry_after_has_jitter_too_for_many_may_have_been_told_the_same(slept: list[float]) -> None:
    policy = RetryPolicy(max_attempts=30, jitter=0.25, retry_after_cap=7.5)
    await run([RateLimitError("x", retry_after=7) for _ in range(29)], policy)
    assert all(7 <= delay <= 7.25 for delay in slept)
    assert len(set(slept)) > 1
    del slept[:]
    await run([RateLimitError("x", retry_after=7.5) for _ in range(3)], policy)
    assert slept == [7.5, 7.5, 7.5], "within the cap"


async def test_a_retry_after_of_zero_is_no_reason_to_hurry(slept: list[float]) -> None:
    await run([RateLimitError("x", retry_after=0) for _ in range(3)], PLAIN)
    assert slept == [0.5, 1, 2]


async def test_a_delay_that_would_take_all_the_time_left_is_not_begun(slept: list[float]) -> None:
    left = [10.0, 3.0, 1.0]
    with pytest.raises(ProviderUnavailableError, match="third") as no:
        await run(
            [ProviderUnavailableError(name) for name in ("first", "second", "third", "fourth")],
            RetryPolicy(initial_delay=1, multiplier=1, jitter=0),
            time_left=lambda: left.pop(0),
        )
    assert no.value.__notes__ == ["attempts=3"]
    assert slept == [1, 1]


async def test_a_retry_after_beyond_the_cap_is_not_waited_for(slept: list[float]) -> None:
    with pytest.raises(RateLimitError) as no:
        await run([RateLimitError("x", retry_after=60.1)], PLAIN)
    assert no.value.__notes__ == ["attempts=1"]
    assert slept == []


@pytest.mark.parametrize(
    "error",
    [
        AuthenticationError("x"),
        RateLimitError("x", retryable=False),
        ValueError("x"),
        ConnectionError("x"),
        asyncio.CancelledError(),
        KeyboardInterrupt(),
    ],
)
async def test_what_would_fail_again_is_not_tried_again(slept: list[float], error: BaseException) -> None:
    with pytest.raises(type(error)) as no:
        await run([error], PLAIN)
    assert no.value is error
    assert slept == []


async def test_the_classifier_decides_for_any_error_of_ours(slept: list[float]) -> None:
    assert await run([AuthenticationError("x", retryable=True), SessionBusyError("y")], PLAIN) == ("done", 3)


async def test_may_retry_has_the_last_word_each_time(slept: list[float]) -> None:
    answers = [True, False]
    failures: list[BaseException] = [ProviderUnavailableError("a"), ProviderUnavailableError("b")]
    with pytest.raises(ProviderUnavailableError, match="b"):
        await run(failures, PLAIN, may_retry=lambda _: answers.pop(0))
    assert (answers, len(slept)) == ([], 1)


async def test_a_later_failure_that_is_final_ends_it(slept: list[float]) -> None:
    with pytest.raises(AuthenticationError) as no:
        await run([ProviderUnavailableError("a"), AuthenticationError("b")], PLAIN)
    assert no.value.__notes__ == ["attempts=2"]


async def test_cancelled_while_it_waits_it_ends_at_once() -> None:
    waiting = asyncio.Event()

    async def attempt() -> str:
        raise ProviderUnavailableError("x")

    def note(number: int, error: BaseException, delay: float) -> None:
        waiting.set()

    policy = RetryPolicy(initial_delay=3600, max_delay=3600)
    task = asyncio.ensure_future(run_with_retry(attempt, policy, may_retry=lambda _: True, on_retry=note))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
