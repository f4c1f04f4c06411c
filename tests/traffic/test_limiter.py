"""The line before the count: in order, across loops and threads, and nobody who left it was counted."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from langswarm_sessions import RateLimitError
from langswarm_sessions.interfaces.traffic import RateLimits, TrafficRules
from langswarm_sessions.turns.traffic import limiter as limiter_module
from langswarm_sessions.turns.traffic.limiter import RateLimiter
from tests.traffic.kit import Clock, held_to, settle


def forever() -> None:
    return None


async def take(
    limiter: RateLimiter, rules: TrafficRules, *, tokens: int = 0, left: Callable[[], float | None] = forever
) -> None:
    await limiter.take(rules, tokens=tokens, left=left)


class Held:
    """A sleep that lasts until the test ends it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.asleep: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        self.asleep.append((seconds, asyncio.get_running_loop().create_future()))
        await self.asleep[-1][1]

    def wake(self) -> None:
        seconds, sleeper = self.asleep[-1]
        self._clock.passes(seconds)
        sleeper.set_result(None)


@pytest.fixture
def held(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Held:
    held = Held(clock)
    monkeypatch.setattr(limiter_module, "sleep", held.sleep)
    return held


async def test_the_limit_is_waited_for(clock: Clock) -> None:
    limiter, rules = RateLimiter(), held_to(requests=2)
    for _ in range(6):
        await take(limiter, rules)
    assert clock.slept == [pytest.approx(60, abs=0.01)] * 2, "two at once, and then two more a minute"


async def test_they_are_served_in_order_and_one_alone_looks_at_the_clock(held: Held) -> None:
    limiter, rules, served = RateLimiter(), held_to(requests=1), list[int]()
    await take(limiter, rules)

    async def come(number: int) -> None:
        await take(limiter, rules)
        served.append(number)

    tasks = [asyncio.ensure_future(come(number)) for number in range(4)]
    for number in range(4):
        await settle()
        assert served == list(range(number))
        assert len(held.asleep) == number + 1, "only the first of the line waits for the window"
        held.wake()
    await asyncio.gather(*tasks)
    assert served == [0, 1, 2, 3]


async def test_who_is_cancelled_leaves_no_place_taken(held: Held) -> None:
    limiter, rules = RateLimiter(), held_to(requests=1)
    await take(limiter, rules)
    first, second, third = (asyncio.ensure_future(take(limiter, rules)) for _ in range(3))
    await settle()
    first.cancel()
    second.cancel()
    await settle()
    assert first.cancelled()
    assert second.cancelled()
    held.wake()
    await third
    assert len(held.asleep) == 2, "the third one got the first free place"


async def test_nobody_sleeps_past_the_end_of_the_turn(clock: Clock) -> None:
    limiter, rules = RateLimiter(), held_to(requests=1)
    await take(limiter, rules)
    with pytest.raises(RateLimitError, match=r"own limit of 1 requests a minute \(requests_per_minute\)") as caught:
        await take(limiter, rules, left=lambda: 59)
    assert caught.value.retryable
    assert caught.value.retry_after == pytest.approx(60, abs=0.01)
    assert "next place is free in 60.0 s" in str(caught.value)
    assert "providers={'openai': ...}" in str(caught.value)
    assert clock.slept == []
    await take(limiter, rules, left=lambda: 61)


async def test_what_never_fits_is_an_error_at_once(clock: Clock) -> None:
    limiter, rules = RateLimiter(), held_to(tokens=100)
    with pytest.raises(RateLimitError, match=r"101 tokens.*own limit of 100 tokens a minute") as caught:
        await take(limiter, rules, tokens=101)
    assert not caught.value.retryable
    await take(limiter, rules, tokens=100)
    assert clock.slept == []


async def test_loops_in_several_threads_share_the_line(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter, rules, moments = RateLimiter(), held_to(requests=5), list[float]()
    count = limiter._counter.take

    def noted(limits: RateLimits, tokens: int) -> float:
        """Note the time while the first of the line, which alone moves the clock, is still in."""
        if (wait := count(limits, tokens)) == 0:
            moments.append(clock.time())
        return wait

    monkeypatch.setattr(limiter._counter, "take", noted)

    async def some() -> None:
        for _ in range(5):
            await take(limiter, rules)

    async def several() -> None:
        await asyncio.gather(some(), some())

    threads = [threading.Thread(target=lambda: asyncio.run(several())) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))
    assert len(moments) == 40
    assert all(late - early >= 60 for early, late in zip(moments, moments[5:], strict=False))


async def test_a_loop_that_was_closed_holds_up_nobody(held: Held) -> None:
    limiter, rules = RateLimiter(), held_to(requests=1)
    await take(limiter, rules)
    dead = asyncio.new_event_loop()
    left = dead.create_task(take(limiter, rules))

    def give_up() -> None:
        for _ in range(5):
            dead.run_until_complete(asyncio.sleep(0))
        dead.close()

    await asyncio.to_thread(give_up)
    assert not left.done()
    waiting = asyncio.ensure_future(take(limiter, rules))
    await settle()
    held.wake()
    await waiting
    left._log_destroy_pending = False  # type: ignore[attr-defined]  # its loop is gone, which is what is tested
