"""Rate limits of turns: every request waits for its place, within the turn's time; who leaves takes nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from langswarm_sessions import (
    ConfigurationError,
    ProviderSession,
    ProviderUnavailableError,
    RateLimitError,
    Session,
    SessionManager,
    TurnState,
    create_session_manager,
)
from langswarm_sessions.interfaces.traffic import RateLimits
from langswarm_sessions.presets import PRESETS
from tests.session.kit import OpenManager
from tests.traffic.kit import Clock, settle

MINUTE = pytest.approx(60, abs=0.01)


async def limited(open_manager: OpenManager, **settings: Any) -> Session:
    manager = open_manager("memory", providers={"mock": settings}, telemetry=False)
    return await manager.create_session("user", "mock", "m", session_id="s")


async def streamed(session: Session, text: str) -> str:
    return "".join([chunk async for chunk in session.send_message_stream(text)])


async def test_turns_wait_for_their_place(open_manager: OpenManager, clock: Clock) -> None:
    session = await limited(open_manager, requests_per_minute=2)
    for _ in range(2):
        await session.send_message("hi")
        assert await streamed(session, "hi") == "Mock response to: hi"
    assert clock.slept == [MINUTE]


async def test_every_attempt_counts(open_manager: OpenManager, clock: Clock) -> None:
    session = await limited(open_manager, requests_per_minute=2)
    await session.send_message("one")
    session.provider_session.fail_next("unavailable")
    await session.send_message("two")
    assert clock.slept == [MINUTE], "the second attempt was the third request"
    session.provider_session.forget()
    await session.send_message("three")
    assert (await session.get_metrics()).rebuilds == 1
    assert clock.slept == [MINUTE, MINUTE], "the try with the lost thread, and the rebuilt one"


async def test_a_look_into_a_doubtful_log_counts(open_manager: OpenManager, clock: Clock) -> None:
    manager = open_manager("memory", providers={"mock": {"requests_per_minute": 3}}, telemetry=False)
    session = await manager.create_session("user", "mock", "m", provider_config={"native": "log"})
    await session.send_message("one")
    session.provider_session.fail_next("timeout", stored="nothing")
    await session.send_message("two")
    assert len(session.provider_session.looks) == 1
    assert clock.slept == [MINUTE], "three requests for answers and one look"


async def test_tokens_are_estimated_and_then_corrected(open_manager: OpenManager, clock: Clock) -> None:
    session = await limited(open_manager, tokens_per_minute=1000)
    session.provider_session.set_responses(["x " * 1800, "short", "short"])
    usage = (await session.send_message("hi")).provider_metadata["usage"]
    assert 900 <= usage["input_tokens"] + usage["output_tokens"] < 1000
    await session.send_message("y " * 20)
    assert clock.slept == []
    await session.send_message("y " * 200)
    assert clock.slept, "the answers' tokens count"


async def test_a_turn_without_the_time_to_wait_fails_at_once(open_manager: OpenManager, clock: Clock) -> None:
    session = await limited(open_manager, requests_per_minute=1)
    await session.send_message("one")
    with pytest.raises(RateLimitError, match=r"own limit of 1 requests a minute.*nothing was sent") as caught:
        await session.send_message("two", timeout=30)
    error = caught.value
    assert (error.retryable, error.provider, error.session_id) == (True, "mock", "s")
    assert error.retry_after == MINUTE
    assert clock.slept == []
    assert len(session.provider_session.requests) == 1, "it was not tried again either"
    assert [message.status for message in await session.get_messages()][-1] is TurnState.FAILED


async def test_a_turn_whose_time_ends_in_the_line_says_whose_limit_it_was(
    open_manager: OpenManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asleep = asyncio.Event()

    async def sleep(_: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("langswarm_sessions.turns.traffic.limiter.sleep", sleep)
    manager = open_manager("memory", providers={"mock": {"requests_per_minute": 1}}, telemetry=False)
    sessions = [await manager.create_session("user", "mock", "m") for _ in range(3)]
    await sessions[0].send_message("one")
    first = asyncio.ensure_future(sessions[1].send_message("two", timeout=100))
    await asleep.wait()
    with pytest.raises(RateLimitError, match="own limit of 1 requests a minute"):
        await sessions[2].send_message("three", timeout=0.5)
    first.cancel()
    await asyncio.wait([first])
    assert first.cancelled()


async def test_a_request_larger_than_a_minutes_budget_is_refused(open_manager: OpenManager, clock: Clock) -> None:
    session = await limited(open_manager, tokens_per_minute=50)
    with pytest.raises(RateLimitError, match=r"more than a whole minute.*tokens_per_minute") as caught:
        await session.send_message("word " * 100)
    assert not caught.value.retryable
    assert session.provider_session.requests == []
    assert (await session.send_message("hi")).content == "Mock response to: hi"


async def test_who_is_cancelled_while_waiting_takes_no_place(
    open_manager: OpenManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = asyncio.Event()

    async def sleep(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    session = await limited(open_manager, requests_per_minute=1)
    await session.send_message("one")
    with monkeypatch.context() as patched:
        patched.setattr("langswarm_sessions.turns.traffic.limiter.sleep", sleep)
        task = asyncio.ensure_future(session.send_message("two"))
        await waiting.wait()
        task.cancel()
        await asyncio.wait([task])
    clock.passes(60.01)
    await session.send_message("three")
    assert clock.slept == [], "the place was free"
    said = [(message.content, str(message.status)) for message in await session.get_messages()]
    assert ("two", "interrupted") in said


async def test_a_fallback_answers_instead_of_waiting_too_long(open_manager: OpenManager, clock: Clock) -> None:
    class Spare(ProviderSession):
        async def send_message(self, content: str, history: Any) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
            return f"spare: {content}"

        async def get_provider_metadata(self) -> dict[str, Any]:
            return {}

        async def update_provider_config(self, config: dict[str, Any]) -> None: ...

        async def cleanup_provider_resources(self) -> None: ...

    manager = open_manager(
        "memory", providers={"mock": {"requests_per_minute": 1}, "spare": Spare}, fallback="spare/s", telemetry=False
    )
    session = await manager.create_session("user", "mock", "m")
    await session.send_message("one")
    reply = await session.send_message("two", timeout=30)
    assert (reply.content, reply.provider_metadata["fallback_from"]) == ("spare: two", "mock")


async def test_a_retry_after_beyond_the_turns_time_is_not_slept_through(open_manager: OpenManager) -> None:
    session = await open_manager("memory", telemetry=False).create_session("user", "mock", "m")
    session.provider_session.fail_next("rate_limit", retry_after=30)
    with pytest.raises(RateLimitError) as caught:
        await asyncio.wait_for(session.send_message("hi", timeout=20), timeout=5)
    assert caught.value.retry_after == 30
    assert len(session.provider_session.requests) == 1


class Own(ProviderSession):
    """A user's own provider; `raised` is what it fails with."""

    asked: int = 0
    raised: Exception | None = None

    async def send_message(self, content: str) -> str:  # type: ignore[override]  # pyright: ignore[reportIncompatibleMethodOverride]
        type(self).asked += 1
        if self.raised is not None:
            raise self.raised
        return content

    async def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    async def update_provider_config(self, config: dict[str, Any]) -> None: ...

    async def cleanup_provider_resources(self) -> None: ...


async def test_a_users_own_provider_can_be_held_to_limits_too(
    open_manager: OpenManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"client": Own, "requests_per_minute": 1, "circuit_breaker": {"failure_threshold": 2}}
    session = await open_manager("memory", providers={"own": held}, telemetry=False).create_session("user", "own", "m")
    await session.send_message("one")
    await session.send_message("two")
    assert clock.slept == [MINUTE]
    monkeypatch.setattr(Own, "raised", ConnectionError("down"))
    asked = Own.asked
    with pytest.raises(ProviderUnavailableError, match="circuit_breaker"):
        await session.send_message("three")
    assert Own.asked == asked + 2, "two failures of three attempts, then nothing was sent"


async def test_the_managers_limit_holds_for_who_says_nothing_else(open_manager: OpenManager, clock: Clock) -> None:
    own = {"client": Own, "requests_per_minute": None}
    manager = open_manager("memory", providers={"own": own}, rate_limits={"requests_per_minute": 1}, telemetry=False)
    for provider, waits in (("own", 0), ("mock", 1)):
        session = await manager.create_session("user", provider, "m")
        await session.send_message("one")
        await session.send_message("two")
        assert len(clock.slept) == waits


async def test_the_production_preset_has_a_limit_and_development_none(clock: Clock) -> None:
    assert PRESETS["development"].rate_limits == RateLimits()
    assert PRESETS["production"].rate_limits == RateLimits(requests_per_minute=500)
    given: list[tuple[RateLimits | None, int]] = [(None, 1), (RateLimits(), 0)]
    for limits, waits in given:
        clock.slept.clear()
        manager = create_session_manager("memory", preset="production", hooks=[], rate_limits=limits, telemetry=False)
        async with manager:
            session = await manager.create_session("user", "mock", "m")
            for _ in range(501):
                await session.send_message("hi")
        assert len(clock.slept) == waits


@pytest.mark.parametrize(
    ("providers", "told"),
    [
        ({"mock": {"requests_per_minute": 0}}, "requests_per_minute must be a whole number"),
        ({"mock": {"tokens_per_minute": "many"}}, "tokens_per_minute must be a whole number"),
        ({"mock": {"circuit_breaker": True}}, "circuit_breaker must be None or a dict"),
        ({"mock": {"circuit_breaker": {"failure_treshold": 1}}}, "Did you mean 'failure_threshold'"),
        ({"mock": {"circuit_breaker": {"recovery_seconds": 0}}}, "recovery_seconds must be a positive number"),
        ({"mock": {"requests_per_minute": 1, "api_key": "k"}}, "unknown key 'api_key'"),
        ({"openai": {"api_key": "k", "request_per_minute": 1}}, "Did you mean 'requests_per_minute'"),
        ({"openai": {"api_key": "k", "requests_per_minute": 1.5}}, "requests_per_minute must be a whole number"),
        ({"nowhere": {"requests_per_minute": 1}}, "unknown provider 'nowhere'"),
    ],
)
async def test_wrong_settings_are_refused_by_name(
    open_manager: OpenManager, providers: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigurationError, match=told):
        await open_manager("memory", providers=providers).create_session("user", next(iter(providers)), "m")


def test_wrong_limits_of_a_manager_are_refused() -> None:
    for wrong in ({"requests": 1}, {"requests_per_minute": -1}, 5):
        with pytest.raises(ConfigurationError, match="rate_limits"):
            SessionManager("memory", rate_limits=wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


async def test_a_stream_whose_reader_leaves_while_it_waits_takes_no_place(
    open_manager: OpenManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def sleep(_: float) -> None:
        await asyncio.Event().wait()

    session = await limited(open_manager, requests_per_minute=1)
    await session.send_message("one")
    with monkeypatch.context() as patched:
        patched.setattr("langswarm_sessions.turns.traffic.limiter.sleep", sleep)
        stream = session.send_message_stream("two")
        reading = asyncio.ensure_future(anext(stream))
        await settle()
        reading.cancel()
        await asyncio.wait([reading])
        await stream.aclose()
    clock.passes(60.01)
    await session.send_message("three")
    assert clock.slept == []
