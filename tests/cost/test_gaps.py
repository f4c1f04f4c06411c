"""What is not known of a cost: counted by turns, the same everywhere, and seen by who operates."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import ModelPrice, RetryPolicy, Session, SessionManager, ToolCall
from langswarm_sessions.errors import SessionError
from langswarm_sessions.providers.mock import MockFault
from tests.cost.kit import expire_leases
from tests.session.kit import AT_ONCE, Gate, OpenManager
from tests.support.recorded import Recorded

PRICES = {"mock/m": ModelPrice(input=1, output=2, cached_input="0.5")}
ONCE = RetryPolicy(max_attempts=1)
CALL = [ToolCall(id="c1", name="place")]


def place() -> str:
    """Say where."""
    return "here"


def costs_on_turns(recorded: Recorded) -> list[dict[str, Any]]:
    """Return what each turn's span tells of its cost."""
    turns = [span.attributes or {} for span in recorded.spans if span.name.startswith("invoke_agent")]
    return [{name: turn[name] for name in turn if name.startswith("langswarm.cost.")} for turn in turns]


def unpriced(recorded: Recorded) -> dict[tuple[object, object], float | int]:
    """Return how many turns without a whole price were counted, by provider and model."""
    return {
        _place_of(point.attributes): point.value
        for point in recorded.points("langswarm.session.unpriced_turns")
        if isinstance(point, NumberDataPoint)
    }


def _place_of(attributes: Mapping[str, object] | None) -> tuple[object, object]:
    assert attributes is not None
    assert set(attributes) == {"gen_ai.provider.name", "gen_ai.request.model"}
    return attributes["gen_ai.provider.name"], attributes["gen_ai.request.model"]


async def gaps(manager: SessionManager, session: Session) -> tuple[int, int]:
    """Return the turns without a whole price, by the session and by the analytics."""
    return (await session.get_metrics()).unpriced_turns, (await manager.get_analytics()).unpriced_turns


@pytest.mark.parametrize("broken_round", [0, 1])
async def test_a_gap_in_one_round_is_a_gap_of_the_send(
    open_manager: OpenManager, recorded: Recorded, broken_round: int
) -> None:
    manager = open_manager(prices=PRICES, retry=AT_ONCE, telemetry=recorded.telemetry())
    session = await manager.create_session("u", "mock", "m")
    session.provider_session.set_responses([CALL, "done"])

    def breaks_off() -> str:
        session.provider_session.fail_next(MockFault.DROP)
        return "here"

    breaks_off.__name__ = "place"
    if broken_round == 0:
        session.provider_session.fail_next(MockFault.DROP)
    await session.send_message("go", tools=[place if broken_round == 0 else breaks_off], run_tools=True)
    [told] = costs_on_turns(recorded)
    assert told == {
        "langswarm.cost.usd": pytest.approx(float((await session.get_metrics()).total_cost or 0)),
        "langswarm.cost.source": "table",
        "langswarm.cost.is_partial": True,
    }
    assert unpriced(recorded) == {("mock", "m"): 1}, "the send is counted once"
    assert await gaps(manager, session) == (1, 1), "the round that has it"


async def test_turns_without_any_price_are_seen_too_and_those_with_one_add_nothing(
    open_manager: OpenManager, recorded: Recorded
) -> None:
    manager = open_manager(prices=PRICES, telemetry=recorded.telemetry())
    session = await manager.create_session("u", "mock", "m")
    await session.send_message("one")
    assert unpriced(recorded) == {}
    await session.handoff("mock", "nobody-knows")
    for said in ("two", "three"):
        await session.send_message(said)
    async with session.hold_turn():
        pass
    priced, *others = costs_on_turns(recorded)
    assert "langswarm.cost.is_partial" not in priced
    assert others == [{"langswarm.cost.is_partial": True}] * 3
    assert unpriced(recorded) == {("mock", "nobody-knows"): 3}
    assert await gaps(manager, session) == (3, 3)


async def test_where_cost_is_switched_off_telemetry_tells_nothing_of_it(
    open_manager: OpenManager, recorded: Recorded
) -> None:
    manager = open_manager(prices=False, telemetry=recorded.telemetry())
    session = await manager.create_session("u", "mock", "m")
    await session.send_message("one")
    async with session.hold_turn():
        pass
    assert costs_on_turns(recorded) == [{}, {}]
    assert unpriced(recorded) == {}
    assert await gaps(manager, session) == (2, 2)


@pytest.mark.parametrize(
    ("sources", "told"),
    [(["table", "table"], "table"), (["table", "genai-prices 1"], "mixed"), (["a", "b", "a"], "mixed")],
)
def test_prices_of_several_places_are_mixed(recorded: Recorded, sources: list[str], told: str) -> None:
    telemetry = recorded.telemetry()
    with telemetry.turn(
        session_id="s", agent_name="session", operation="send", mode="native", provider="mock", model="m", stream=False
    ) as turn:
        for source in sources:
            turn.charged(0.25, provider="mock", model="m", source=source)
    assert costs_on_turns(recorded) == [
        {"langswarm.cost.usd": 0.25 * len(sources), "langswarm.cost.source": told},
    ]


async def test_a_turn_is_counted_once_however_often_it_is_attempted(open_manager: OpenManager) -> None:
    manager = open_manager(prices=PRICES, retry=ONCE)
    session = await manager.create_session("u", "mock", "m")
    for _ in range(2):
        session.provider_session.fail_next(MockFault.DROP)
        with pytest.raises(SessionError):
            await session.send_message("one", idempotency_key="k")
        assert await gaps(manager, session) == (1, 1)
    await session.send_message("one", idempotency_key="k")
    assert await gaps(manager, session) == (1, 1)
    assert (await session.get_metrics()).total_cost is not None


async def test_a_turn_taken_over_again_is_counted_once(open_manager: OpenManager) -> None:
    calls: list[asyncio.Task[Any]] = []
    for _ in range(2):
        dying = open_manager(prices=PRICES, retry=AT_ONCE)
        if not calls:
            await dying.create_session("u", "mock", "m", session_id="s")
        lost = await dying.get_session("s")
        lost.provider_session.set_responses([(gate := Gate("never told"))])
        calls.append(asyncio.create_task(lost.send_message("one", idempotency_key="k")))
        await gate.asked.wait()
        await expire_leases(dying)
    survivor = open_manager(prices=PRICES, retry=AT_ONCE)
    session = await survivor.get_session("s")
    await session.send_message("two")
    assert await gaps(survivor, session) == (1, 1)
    for call in calls:
        call.cancel()
        with pytest.raises((asyncio.CancelledError, SessionError)):
            await call


async def test_a_turn_that_is_taken_over_and_run_again_by_its_key_is_counted_once(open_manager: OpenManager) -> None:
    dying = open_manager(prices=PRICES, retry=AT_ONCE)
    lost = await dying.create_session("u", "mock", "m", session_id="s")
    lost.provider_session.set_responses([(gate := Gate("never told"))])
    call = asyncio.create_task(lost.send_message("one", idempotency_key="k"))
    await gate.asked.wait()
    await expire_leases(dying)
    survivor = open_manager(retry=AT_ONCE)
    session = await survivor.get_session("s")
    await session.send_message("one", idempotency_key="k")
    assert await gaps(survivor, session) == (1, 1)
    call.cancel()
    with pytest.raises((asyncio.CancelledError, SessionError)):
        await call


async def test_who_falls_silent_between_two_answers_leaves_no_gap(open_manager: OpenManager) -> None:
    """The first answer is stored, and paid for; the second was not asked for."""
    dying = open_manager(prices=PRICES, retry=AT_ONCE)
    lost = await dying.create_session("u", "mock", "m", session_id="s")
    lost.provider_session.set_responses([CALL, "done"])
    runs, goes_on = asyncio.Event(), asyncio.Event()

    async def place() -> str:
        """Say where."""
        runs.set()
        await goes_on.wait()
        return "here"

    call = asyncio.create_task(lost.send_message("go", tools=[place], run_tools=True))
    await runs.wait()
    await expire_leases(dying)
    survivor = open_manager(prices=PRICES, retry=AT_ONCE)
    session = await survivor.get_session("s")
    await session.send_message("two")
    assert await gaps(survivor, session) == (0, 0)
    call.cancel()
    with pytest.raises((asyncio.CancelledError, SessionError)):
        await call
