"""What telemetry says of waits and refusals: events on the turn, two metrics, no content, and nothing for nothing."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint

from langswarm_sessions import ProviderUnavailableError, RateLimitError, Session
from tests.session.kit import OpenManager
from tests.support.recorded import Recorded
from tests.traffic.kit import Clock

WAITS = "langswarm.session.rate_limit.wait"
REFUSALS = "langswarm.session.circuit.refusals"
CANARY = "the canary sings at noon"


async def session_of(open_manager: OpenManager, recorded: Recorded, **settings: Any) -> Session:
    manager = open_manager("memory", providers={"mock": settings}, telemetry=recorded.telemetry())
    return await manager.create_session("user", "mock", "m")


def events(recorded: Recorded, name: str) -> list[dict[str, Any]]:
    """Return the attributes of events, which belong on the spans of turns."""
    found = [(span.name, event) for span in recorded.spans for event in span.events if event.name == name]
    assert {span for span, _ in found} <= {"invoke_agent session"}
    return [dict(event.attributes or {}) for _, event in found]


async def test_a_wait_is_an_event_and_a_measure(open_manager: OpenManager, recorded: Recorded, clock: Clock) -> None:
    session = await session_of(open_manager, recorded, requests_per_minute=1)
    await session.send_message(CANARY)
    assert events(recorded, "langswarm.session.rate_limited") == []
    assert recorded.points(WAITS) == []
    await session.send_message(CANARY)
    [event] = events(recorded, "langswarm.session.rate_limited")
    assert event == {
        "gen_ai.provider.name": "mock",
        "langswarm.rate_limit.wait_seconds": pytest.approx(60, abs=0.01),
    }
    [point] = recorded.points(WAITS)
    assert isinstance(point, HistogramDataPoint)
    assert point.count == 1
    assert point.sum == pytest.approx(60, abs=0.01)
    assert dict(point.attributes or {}) == {"gen_ai.provider.name": "mock"}


async def test_the_wait_is_no_part_of_the_model_call(
    open_manager: OpenManager, recorded: Recorded, clock: Clock
) -> None:
    session = await session_of(open_manager, recorded, requests_per_minute=1)
    await session.send_message("one")
    with pytest.raises(RateLimitError):
        await session.send_message("two", timeout=1)
    assert len([span for span in recorded.spans if span.name == "chat m"]) == 1, "nothing was sent, nothing is traced"


async def test_an_outage_is_told_when_it_begins_and_for_each_request_not_sent(
    open_manager: OpenManager, recorded: Recorded, clock: Clock
) -> None:
    session = await session_of(open_manager, recorded, circuit_breaker={"failure_threshold": 3})
    session.provider_session.fail_next("unavailable", times=3)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError):
            await session.send_message(CANARY)
    assert events(recorded, "langswarm.session.circuit_opened") == [{"gen_ai.provider.name": "mock"}]
    refused = {"gen_ai.provider.name": "mock", "langswarm.circuit.retry_after_seconds": 30.0}
    assert events(recorded, "langswarm.session.circuit_refused") == [refused] * 2
    [point] = recorded.points(REFUSALS)
    assert isinstance(point, NumberDataPoint)
    assert (point.value, dict(point.attributes or {})) == (2, {"gen_ai.provider.name": "mock"})


async def test_nothing_that_was_said_is_told(open_manager: OpenManager, recorded: Recorded, clock: Clock) -> None:
    session = await session_of(
        open_manager, recorded, requests_per_minute=1, tokens_per_minute=200, circuit_breaker={"failure_threshold": 1}
    )
    await session.send_message(CANARY)
    session.provider_session.fail_next("unavailable")
    with pytest.raises(ProviderUnavailableError):
        await session.send_message(CANARY)
    with pytest.raises(ProviderUnavailableError) as refused:
        await session.send_message(CANARY)
    clock.passes(60)
    with pytest.raises(RateLimitError) as too_large:
        await session.send_message(f"{CANARY} " * 100)
    told = f"{[span.to_json() for span in recorded.spans]} {recorded.all_points()} {refused.value} {too_large.value}"
    assert CANARY not in told
