"""How long a provider is waited for: what is left to a fallback, what a retry may cost, what silence says."""

from __future__ import annotations

import asyncio

import pytest

from langswarm_sessions import ProviderTimeoutError, ProviderUnavailableError, RetryPolicy, Session
from langswarm_sessions.prices import Charge, Pricing
from langswarm_sessions.turns.deadline import Deadline
from langswarm_sessions.turns.patience import Patience
from tests.session.kit import Gate, OpenManager
from tests.turns.test_fallback import StandIn

POLICY = RetryPolicy(max_attempts=3, initial_delay=0, jitter=0)


async def with_fallback(open_manager: OpenManager, retry: RetryPolicy = POLICY) -> Session:
    manager = open_manager("memory", providers={"own": StandIn}, fallback="own", retry=retry, telemetry=False)
    return await manager.create_session("user", "mock", "m")


async def answered(session: Session, *, stream: bool, timeout: float | None = None) -> str:
    if stream:
        return "".join([chunk async for chunk in session.send_message_stream("hi", timeout=timeout)])
    return (await session.send_message("hi", timeout=timeout)).content


class Silent:
    """An answer that never begins."""

    async def __call__(self, _: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_hangs_leaves_the_fallback_its_time(open_manager: OpenManager, stream: bool) -> None:
    session = await with_fallback(open_manager)
    session.provider_session.set_responses([Silent()])
    assert await answered(session, stream=stream, timeout=3) == "0 before hi"
    assert (await session.get_messages())[-1].provider_metadata["fallback_from"] == "mock"
    assert len(session.provider_session.requests) == 1


async def test_without_a_fallback_all_the_time_is_the_providers(open_manager: OpenManager) -> None:
    session = await open_manager("memory", retry=POLICY).create_session("user", "mock", "m")
    session.provider_session.set_responses([Silent()])
    with pytest.raises(ProviderTimeoutError, match=r"No answer within 0\.5 s"):
        await session.send_message("hi", timeout=0.5)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_is_not_lost_to_prices_that_take_longer(
    open_manager: OpenManager, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> Charge:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(Pricing, "charge", never)
    session = await open_manager("memory", retry=POLICY).create_session("user", "mock", "m")
    assert await answered(session, stream=stream, timeout=1) == "Mock response to: hi"
    assert [message.status.value for message in await session.get_messages()] == ["completed", "completed"]
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (None, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_pause_that_would_take_all_the_time_is_not_begun(open_manager: OpenManager, stream: bool) -> None:
    session = await open_manager("memory", retry=RetryPolicy(initial_delay=30, jitter=0)).create_session(
        "user", "mock", "m"
    )
    session.provider_session.fail_next("unavailable", times=9)
    async with asyncio.timeout(5):
        with pytest.raises(ProviderUnavailableError, match="the provider is down"):
            await answered(session, stream=stream, timeout=15)
    assert len(session.provider_session.requests) == 1


async def test_a_pause_that_would_take_the_fallbacks_time_is_not_begun(open_manager: OpenManager) -> None:
    session = await with_fallback(open_manager, RetryPolicy(initial_delay=15, jitter=0))
    session.provider_session.fail_next("unavailable", times=9)
    async with asyncio.timeout(5):
        assert await answered(session, stream=False, timeout=20) == "0 before hi"


async def test_the_partial_answer_of_a_fallback_names_whom_it_stands_in_for(open_manager: OpenManager) -> None:
    manager = open_manager("memory", fallback="mock/other", retry=RetryPolicy(max_attempts=1), telemetry=False)
    session = await manager.create_session("user", "mock", "m")
    gate = Gate("part ", "rest", open_pieces=1)
    session.provider_session.fail_next("unavailable")
    session.provider_session.set_responses([gate])
    async with session.send_message_stream("hi") as stream:
        assert await anext(stream) == "part "
    partial = (await session.get_messages())[-1]
    assert (partial.content, str(partial.status)) == ("part ", "interrupted")
    assert partial.provider_metadata["model"] == "other"
    assert partial.provider_metadata["fallback_from"] == "mock"


async def test_who_has_begun_to_answer_has_all_the_time() -> None:
    patience = Patience(Deadline.after(30), has_fallback=True)
    assert patience.left == pytest.approx(20, abs=0.5)
    async with patience.limit() as limit:
        patience.hear()
        assert patience.left == pytest.approx(30, abs=0.5)
        assert ends_in(limit) == pytest.approx(30, abs=0.5)
        patience.ask()
        assert ends_in(limit) == pytest.approx(20, abs=0.5)
        assert patience.silent.left == pytest.approx(20, abs=0.5)


def ends_in(limit: asyncio.Timeout) -> float:
    end = limit.when()
    assert end is not None
    return end - asyncio.get_running_loop().time()


async def test_without_a_deadline_there_is_no_limit() -> None:
    patience = Patience(has_fallback=True)
    async with patience.limit() as limit:
        patience.hear()
        patience.ask()
        assert (patience.left, limit.when()) == (None, None)


@pytest.mark.parametrize(("usual", "seconds"), [(600, 30), (None, 30), (20, 10), (1, 0.5)])
def test_silence_speaks_against_who_had_a_fair_chance(usual: float | None, seconds: float) -> None:
    patience = Patience(Deadline.after(1), usual_seconds=usual)
    assert not patience.is_telling(seconds * 0.99)
    assert patience.is_telling(seconds)
