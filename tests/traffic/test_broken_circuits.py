"""Circuits of turns: an outage is not asked again and again, a fallback answers at once, nothing else opens them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from langswarm_sessions import (
    NativeStateLostError,
    ProviderError,
    ProviderUnavailableError,
    RateLimitError,
    RetryPolicy,
    Session,
    SessionError,
    SessionManager,
)
from tests.session.kit import Gate, OpenManager
from tests.traffic.kit import Clock
from tests.turns.test_fallback import StandIn

POLICY: dict[str, float] = {"failure_threshold": 3, "recovery_seconds": 30}


def manager_of(open_manager: OpenManager, policy: dict[str, float] = POLICY, **arguments: Any) -> SessionManager:
    providers = {"mock": {"circuit_breaker": policy}, "own": StandIn}
    return open_manager("memory", providers=providers, telemetry=False, **arguments)


async def guarded(open_manager: OpenManager, policy: dict[str, float] = POLICY, **arguments: Any) -> Session:
    return await manager_of(open_manager, policy, **arguments).create_session("user", "mock", "m", session_id="s")


async def outage(session: Session) -> None:
    """Open the circuit: three attempts fail."""
    session.provider_session.fail_next("unavailable", times=3)
    with pytest.raises(ProviderUnavailableError, match="the provider is down"):
        await session.send_message("hi")


def asked(session: Session) -> int:
    return len(session.provider_session.requests)


async def ask(session: Session, *, stream: bool = False) -> str:
    if stream:
        return "".join([chunk async for chunk in session.send_message_stream("hi")])
    return (await session.send_message("hi")).content


@pytest.mark.parametrize("stream", [False, True])
async def test_after_an_outage_turns_fail_at_once(open_manager: OpenManager, clock: Clock, stream: bool) -> None:
    session = await guarded(open_manager)
    await outage(session)
    before = asked(session)
    with pytest.raises(ProviderUnavailableError, match=r"nothing was sent \(circuit_breaker\)") as caught:
        await ask(session, stream=stream)
    error = caught.value
    assert (error.retryable, error.retry_after, error.provider, error.session_id) == (True, 30, "mock", "s")
    assert asked(session) == before
    assert (await session.get_metrics()).retries == 2, "those of the outage alone"


@pytest.mark.parametrize("stream", [False, True])
async def test_one_turn_tries_and_closes_it(open_manager: OpenManager, clock: Clock, stream: bool) -> None:
    session = await guarded(open_manager)
    await outage(session)
    clock.passes(30)
    assert await ask(session, stream=stream) == "Mock response to: hi"
    assert await ask(session, stream=stream) == "Mock response to: hi"


async def test_while_one_turn_tries_the_others_are_refused(open_manager: OpenManager, clock: Clock) -> None:
    manager = manager_of(open_manager)
    session, other = [await manager.create_session("user", "mock", "m") for _ in range(2)]
    await outage(session)
    clock.passes(30)
    gate = Gate("back")
    session.provider_session.set_responses([gate])
    trying = asyncio.ensure_future(session.send_message("hi"))
    await gate.asked.wait()
    with pytest.raises(ProviderUnavailableError, match="circuit_breaker"):
        await ask(other)
    gate.let()
    assert (await trying).content == "back"
    assert await ask(other) == "Mock response to: hi"


async def test_a_try_that_fails_opens_it_for_as_long_again(open_manager: OpenManager, clock: Clock) -> None:
    session = await guarded(open_manager)
    await outage(session)
    clock.passes(30)
    session.provider_session.fail_next("timeout")
    before = asked(session)
    with pytest.raises(ProviderUnavailableError, match="circuit_breaker") as caught:
        await session.send_message("hi")
    assert caught.value.retry_after == 30
    assert asked(session) == before + 1, "one request, no retries"


@pytest.mark.parametrize("ending", ["answer", "failure"])
async def test_a_slow_try_keeps_its_own_ending_after_the_next_one_failed(
    open_manager: OpenManager, clock: Clock, ending: str
) -> None:
    manager = manager_of(open_manager, retry=RetryPolicy(max_attempts=1))
    session, other = [await manager.create_session("user", "mock", "m") for _ in range(2)]
    session.provider_session.fail_next("unavailable", times=3)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError, match="the provider is down"):
            await ask(session)
    clock.passes(30)
    asked, may_end = asyncio.Event(), asyncio.Event()

    async def slow(_: object) -> AsyncIterator[str]:
        asked.set()
        await may_end.wait()
        if ending == "failure":
            raise ProviderUnavailableError("still down")
        yield "slow"

    session.provider_session.set_responses([slow])
    trying = asyncio.ensure_future(session.send_message("hi"))
    await asked.wait()
    clock.passes(30)
    other.provider_session.fail_next("unavailable")
    with pytest.raises(ProviderUnavailableError, match="the provider is down"):
        await ask(other)
    may_end.set()
    if ending == "answer":
        assert (await trying).content == "slow"
    else:
        with pytest.raises(ProviderUnavailableError, match="still down"):
            await trying
    with pytest.raises(ProviderUnavailableError, match="circuit_breaker") as caught:
        await ask(other)
    assert caught.value.retry_after == 30, "counted from the second try's failure"


@pytest.mark.parametrize("way", ["cancelled", "stream left"])
async def test_a_try_that_is_left_lets_the_next_turn_try(open_manager: OpenManager, clock: Clock, way: str) -> None:
    session = await guarded(open_manager)
    await outage(session)
    clock.passes(30)
    gate = Gate("never ", "ending")
    session.provider_session.set_responses([gate])
    if way == "cancelled":
        task = asyncio.ensure_future(session.send_message("hi"))
        await gate.asked.wait()
        task.cancel()
        await asyncio.wait([task])
    else:
        gate.let(1)
        async with session.send_message_stream("hi") as stream:
            await anext(stream)
    assert await ask(session) == "Mock response to: hi"


async def test_a_fallback_answers_at_once(open_manager: OpenManager, clock: Clock) -> None:
    session = await guarded(open_manager, fallback="own")
    session.provider_session.fail_next("unavailable", times=3)
    assert (await session.send_message("one")).provider_metadata["fallback_from"] == "mock"
    before = asked(session)
    reply = await session.send_message("two")
    assert reply.content == "2 before two"
    assert reply.provider_metadata["fallback_from"] == "mock"
    assert asked(session) == before
    clock.passes(30)
    assert "fallback_from" not in (await session.send_message("three")).provider_metadata


@pytest.mark.parametrize("fault", ["auth", "quota", "refused", "overflow", "busy", "rate_limit"])
async def test_what_only_a_provider_at_work_says_opens_nothing(
    open_manager: OpenManager, clock: Clock, fault: str
) -> None:
    session = await guarded(open_manager)
    session.provider_session.fail_next(fault, times=24)
    for _ in range(4):
        with pytest.raises(SessionError) as caught:
            await session.send_message("hi")
        assert "circuit_breaker" not in str(caught.value)
    assert asked(session) >= 4


@pytest.mark.parametrize(
    "fault", [ZeroDivisionError("x"), NativeStateLostError("gone"), RateLimitError("own", retryable=False)]
)
async def test_what_says_nothing_of_the_provider_opens_nothing(
    open_manager: OpenManager, clock: Clock, fault: Exception
) -> None:
    session = await guarded(open_manager)
    session.provider_session.fail_next(fault, times=6)
    for _ in range(6):
        with pytest.raises(type(fault)):
            await session.send_message("hi")
    assert await ask(session) == "Mock response to: hi"


async def test_turns_that_end_before_their_provider_answers_open_nothing(
    open_manager: OpenManager, clock: Clock
) -> None:
    session = await guarded(open_manager)
    for _ in range(4):
        session.provider_session.set_responses([Gate("never")])
        with pytest.raises(ProviderError, match="timeout="):
            await session.send_message("hi", timeout=0.5)
    session.provider_session.set_responses([])
    assert await ask(session) == "Mock response to: hi"


@pytest.mark.parametrize("stream", [False, True])
async def test_turns_that_gave_their_provider_a_fair_chance_and_heard_nothing_open_it(
    open_manager: OpenManager, clock: Clock, stream: bool
) -> None:
    retry = RetryPolicy(deadline=3)  # of which the silent provider has two seconds, and the fallback one
    session = await guarded(open_manager, {"failure_threshold": 2, "recovery_seconds": 30}, retry=retry, fallback="own")

    async def never(_: object) -> str:
        await asyncio.Event().wait()
        raise AssertionError

    session.provider_session.set_responses([never] * 3)
    for _ in range(3):
        assert "before hi" in await ask(session, stream=stream)
    assert asked(session) == 2, "then the fallback answers without waiting"


async def test_a_turn_that_runs_out_of_time_in_the_middle_of_an_answer_opens_nothing(
    open_manager: OpenManager, clock: Clock
) -> None:
    session = await guarded(open_manager, retry=RetryPolicy(deadline=0.5))
    for _ in range(4):
        session.provider_session.set_responses([Gate("part ", "rest", open_pieces=1)])
        with pytest.raises(ProviderError, match="timeout="):
            await ask(session)
    session.provider_session.set_responses([])
    assert await ask(session) == "Mock response to: hi"


@pytest.mark.parametrize("fault", ["unavailable", "timeout", "drop", "eof"])
async def test_what_speaks_for_an_outage_opens_it(open_manager: OpenManager, clock: Clock, fault: str) -> None:
    session = await guarded(open_manager)
    session.provider_session.fail_next(fault, times=3)
    with pytest.raises(ProviderError):
        await session.send_message("hi")
    with pytest.raises(ProviderUnavailableError, match="circuit_breaker"):
        await session.send_message("hi")


async def test_an_answer_between_failures_counts_anew(open_manager: OpenManager, clock: Clock) -> None:
    session = await guarded(open_manager)
    for _ in range(4):
        session.provider_session.fail_next("unavailable", times=2)
        assert await ask(session) == "Mock response to: hi"


async def test_by_default_the_mock_is_always_asked(open_manager: OpenManager) -> None:
    session = await open_manager("memory", telemetry=False).create_session("user", "mock", "m")
    session.provider_session.fail_next("unavailable", times=12)
    for _ in range(4):
        with pytest.raises(ProviderUnavailableError, match="the provider is down"):
            await session.send_message("hi")
    assert asked(session) == 12


async def test_the_log_names_the_provider_and_nothing_that_was_said(
    open_manager: OpenManager, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="langswarm_sessions")
    await outage(await guarded(open_manager))
    assert [record.getMessage() for record in caplog.records] == ["mock is down: nothing is sent to it for 30 s."]
