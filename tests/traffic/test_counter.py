"""The count of a minute: never more requests than the limit in any 60 seconds, tokens like a bucket that refills."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.interfaces.traffic import RateLimits
from langswarm_sessions.turns.traffic.counter import MinuteCounter
from tests.traffic.kit import Clock

PAUSES = st.lists(st.floats(0, 40), min_size=1, max_size=40)


@contextmanager
def stopped() -> Generator[Clock]:
    """As the fixture, but anew for each example of hypothesis."""
    clock = Clock()
    with patch("time.time", clock.time):
        yield clock


def sent(counter: MinuteCounter, clock: Clock, limits: RateLimits, tokens: int) -> float:
    """Wait as told until a request is counted, and return when that was."""
    for _ in range(1000):
        wait = counter.take(limits, tokens)
        if wait == 0:
            return clock.time()
        assert 0 < wait <= 120.01
        clock.passes(wait)
    raise AssertionError("it is never its turn")


@given(st.integers(1, 8), PAUSES)
def test_no_sixty_seconds_hold_more_requests_than_the_limit(limit: int, pauses: Sequence[float]) -> None:
    with stopped() as clock:
        counter, moments = MinuteCounter(), list[float]()
        for pause in pauses:
            clock.passes(pause)
            moments.append(sent(counter, clock, RateLimits(requests_per_minute=limit), 0))
    for at, moment in enumerate(moments[limit:]):
        assert moment - moments[at] >= 60, "more than the limit within 60 seconds"


@given(st.integers(1, 8), PAUSES)
def test_nobody_waits_who_need_not(limit: int, pauses: Sequence[float]) -> None:
    with stopped() as clock:
        counter, moments = MinuteCounter(), list[float]()
        for pause in pauses:
            clock.passes(pause)
            asked, moment = clock.time(), sent(counter, clock, RateLimits(requests_per_minute=limit), 0)
            earliest = max(asked, moments[-limit] + 60) if len(moments) >= limit else asked
            assert moment - earliest <= 0.01
            moments.append(moment)


@given(st.integers(10, 1000), st.lists(st.tuples(st.floats(0, 40), st.integers(1, 10)), min_size=1, max_size=40))
def test_tokens_flow_like_from_a_bucket(limit: int, asked: Sequence[tuple[float, int]]) -> None:
    with stopped() as clock:
        counter, flow = MinuteCounter(), list[tuple[float, int]]()
        for pause, tenths in asked:
            clock.passes(pause)
            tokens = max(1, limit * tenths // 10)
            flow.append((sent(counter, clock, RateLimits(tokens_per_minute=limit), tokens), tokens))
    for first, (begin, _) in enumerate(flow):
        for last in range(first, len(flow)):
            seconds = flow[last][0] - begin
            taken = sum(tokens for _, tokens in flow[first : last + 1])
            minutes = 1 + seconds / 60
            assert taken <= limit * minutes + minutes + 1, "more than a full bucket and what flowed in since"


def test_both_limits_hold_and_a_request_that_waits_for_one_takes_nothing_of_the_other(clock: Clock) -> None:
    counter, limits = MinuteCounter(), RateLimits(requests_per_minute=2, tokens_per_minute=100)
    assert counter.take(limits, 90) == 0
    assert counter.take(limits, 50) > 0
    assert counter.take(limits, 50) > 0, "still waiting"
    assert counter.take(limits, 10) == 0, "the place of the one that waits was not taken"
    assert counter.take(limits, 0) == pytest.approx(60, abs=0.01)


def test_an_estimate_is_corrected_both_ways(clock: Clock) -> None:
    counter, limits = MinuteCounter(), RateLimits(tokens_per_minute=100)
    assert counter.take(limits, 20) == 0
    counter.correct(70)
    assert counter.take(limits, 20) > 0, "90 were used"
    counter.correct(-80)
    assert counter.take(limits, 90) == 0, "10 were used"


def test_usage_beyond_the_whole_limit_is_waited_off(clock: Clock) -> None:
    counter, limits = MinuteCounter(), RateLimits(tokens_per_minute=100)
    begun = clock.time()
    assert counter.take(limits, 10) == 0
    counter.correct(290)
    assert 60 < sent(counter, clock, limits, 50) - begun <= 121


def test_limits_of_different_heights_share_the_count(clock: Clock) -> None:
    counter = MinuteCounter()
    assert [counter.take(RateLimits(requests_per_minute=5), 0) for _ in range(3)] == [0, 0, 0]
    assert counter.take(RateLimits(requests_per_minute=3), 0) > 0
    assert counter.take(RateLimits(requests_per_minute=4), 0) == 0


def test_a_clock_set_back_holds_nobody_up_for_hours(clock: Clock) -> None:
    counter, limits = MinuteCounter(), RateLimits(requests_per_minute=1)
    assert counter.take(limits, 0) == 0
    clock.passes(-7200)
    assert counter.take(limits, 0) == 0


def test_threads_count_together() -> None:
    counter, limits, taken = (
        MinuteCounter(),
        RateLimits(requests_per_minute=100, tokens_per_minute=10_000),
        list[float](),
    )
    start = threading.Barrier(8)

    def take() -> None:
        start.wait()
        taken.extend(counter.take(limits, 10) for _ in range(50))

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken.count(0) == 100
