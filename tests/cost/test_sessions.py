"""What sessions cost: over turns and processes, providers and failures, and what is not known of it."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions import ModelPrice, RetryPolicy, Session, SessionManager, SessionMessage, create_session_manager
from langswarm_sessions.errors import SessionError
from langswarm_sessions.providers.mock import MockFault
from tests.cost.kit import RESPONSES, begin, expire_leases
from tests.cost.wire import Wire
from tests.session.kit import AT_ONCE, Gate, OpenManager, rows_of
from tests.support.recorded import Recorded

PRICES = {
    "mock/m": ModelPrice(input=1, output=2, cached_input="0.5"),
    "mock/dear": ModelPrice(input=1_000, output=2_000, cached_input=500),
}


def cost_of(message: SessionMessage) -> Decimal:
    """Work out by hand what an answer of the mock costs by the table."""
    usage: dict[str, int] = message.provider_metadata["usage"]
    factor = 1_000 if message.provider_metadata["model"] == "dear" else 1
    plain = usage["input_tokens"] - usage["cached_tokens"]
    cached, made = Decimal(usage["cached_tokens"]), Decimal(usage["output_tokens"])
    return (plain + cached / 2 + 2 * made) * factor / 10**6


@pytest.fixture
def priced(open_manager: OpenManager) -> SessionManager:
    return open_manager(prices=PRICES, retry=AT_ONCE)


async def total(session: Session) -> tuple[Decimal | None, int]:
    metrics = await session.get_metrics()
    return metrics.total_cost, metrics.unpriced_turns


async def test_a_turn_that_another_process_took_over_may_have_been_billed(open_manager: OpenManager) -> None:
    dying = open_manager(prices=PRICES, retry=AT_ONCE)
    lost = await dying.create_session("u", "mock", "m", session_id="s")
    lost.provider_session.set_responses([(gate := Gate("never told"))])
    call = asyncio.create_task(lost.send_message("one"))
    await gate.asked.wait()
    await expire_leases(dying)

    survivor = open_manager(prices=PRICES, retry=AT_ONCE)
    session = await survivor.get_session("s")
    reply = await session.send_message("two")
    assert await total(session) == (cost_of(reply), 1)
    figures = await survivor.get_analytics()
    assert (figures.total_cost, figures.unpriced_turns) == (cost_of(reply), 1)
    call.cancel()
    with pytest.raises((asyncio.CancelledError, SessionError)):
        await call
    assert await total(session) == (cost_of(reply), 1)


async def test_turns_add_up_and_a_handoff_goes_on_counting(priced: SessionManager) -> None:
    session = await priced.create_session("u", "mock", "m")
    assert await total(session) == (None, 0)
    replies = [await session.send_message(text) for text in ("one", "two")]
    await session.handoff("mock", "dear")
    replies.append(await session.send_message("three"))
    await session.handoff("mock", "nobody-knows")
    unknown = await session.send_message("four")
    assert "cost_usd" not in unknown.provider_metadata
    costs = [cost_of(reply) for reply in replies]
    assert [Decimal(reply.provider_metadata["cost_usd"]) for reply in replies] == costs
    assert await total(session) == (sum(costs), 1)

    figures = await priced.get_analytics()
    assert figures.model_cost == {"m": sum(costs[:2]), "dear": costs[2]}
    assert figures.provider_cost == {"mock": figures.total_cost} == {"mock": sum(costs)}
    assert figures.unpriced_turns == 1
    assert (await priced.get_analytics(end_date=session.created_at)).total_cost is None

    await session.clear_messages()
    assert await total(session) == (sum(costs), 1), "what was paid stays paid"
    await session.delete()
    assert (await priced.get_analytics()).total_cost is None, "as all figures are of sessions that are not deleted"
    await priced.restore_session(session.session_id)
    assert (await priced.get_analytics()).total_cost == sum(costs)
    session = await priced.get_session(session.session_id)
    assert await total(session) == (sum(costs), 1)
    exported = await session.export_conversation()
    assert exported["cost"] == {"total": f"{sum(costs):f}".rstrip("0"), "currency": "USD", "unpriced_turns": 1}


async def test_what_was_paid_is_not_worked_out_again(tmp_path: Path) -> None:
    """Another process, other prices: what is stored stays."""
    where = {"db_path": tmp_path / "s.db"}
    async with create_session_manager("sqlite", storage_config=where, prices=PRICES) as manager:
        session = await manager.create_session("u", "mock", "m", session_id="s")
        first = cost_of(await session.send_message("one"))
    others = {"mock/m": {"input": 7, "output": 7, "cached_input": 7}}
    async with create_session_manager("sqlite", storage_config=where, prices=others) as manager:
        session = await manager.get_session("s")
        assert await total(session) == (first, 0)
        usage = (await session.send_message("two")).provider_metadata["usage"]
        second = Decimal(7 * usage["total_tokens"]) / 10**6
        assert await total(session) == (first + second, 0)


async def test_an_answer_given_out_again_costs_nothing(priced: SessionManager) -> None:
    session = await priced.create_session("u", "mock", "m")
    first = await session.send_message("one", idempotency_key="k")
    again = await session.send_message("one", idempotency_key="k")
    assert again.message_id == first.message_id
    assert await total(session) == (cost_of(first), 0)


@pytest.mark.parametrize(
    ("fault", "unpriced"),
    [(MockFault.DROP, 1), (MockFault.TIMEOUT, 1), (MockFault.RATE_LIMIT, 0)],
)
async def test_an_attempt_that_may_have_been_billed_is_a_gap(
    priced: SessionManager, fault: MockFault, unpriced: int
) -> None:
    session = await priced.create_session("u", "mock", "m")
    session.provider_session.fail_next(fault)
    reply = await session.send_message("one")
    assert await total(session) == (cost_of(reply), unpriced)
    assert (await session.get_metrics()).retries == 1


@pytest.mark.parametrize(("fault", "unpriced"), [(MockFault.AUTH, 0), (MockFault.DROP, 1)])
async def test_a_turn_that_failed_is_unpriced_unless_it_was_refused(
    open_manager: OpenManager, fault: MockFault, unpriced: int
) -> None:
    manager = open_manager(prices=PRICES, retry=RetryPolicy(max_attempts=1))
    session = await manager.create_session("u", "mock", "m")
    session.provider_session.fail_next(fault)
    with pytest.raises(SessionError):
        await session.send_message("one")
    assert await total(session) == (None, unpriced)


async def test_a_turn_broken_off_is_unpriced(priced: SessionManager) -> None:
    session = await priced.create_session("u", "mock", "m")
    session.provider_session.set_responses([Gate("a", "b", open_pieces=1)])
    stream = session.send_message_stream("one")
    async for _ in stream:
        break
    await stream.aclose()
    assert await total(session) == (None, 1)


class Refusing:
    """Middleware that lets no answer through."""

    async def process_message(self, session_id: str, message: SessionMessage, context: Any) -> SessionMessage:
        if message.role == "assistant":
            raise RuntimeError("no")
        return message


async def test_an_answer_that_middleware_refuses_was_billed_all_the_same(open_manager: OpenManager) -> None:
    manager = open_manager(prices=PRICES, middleware=[Refusing()])
    session = await manager.create_session("u", "mock", "m")
    with pytest.raises(SessionError):
        await session.send_message("one")
    metrics = await session.get_metrics()
    assert metrics.total_tokens > 0
    assert metrics.total_cost is not None
    assert (metrics.total_cost > 0, metrics.unpriced_turns) == (True, 0)
    [turn] = await rows_of(manager, "SELECT state, cost, total_tokens FROM turns")
    assert (turn["state"], turn["total_tokens"]) == ("failed", metrics.total_tokens)
    assert turn["cost"] == metrics.total_cost * 10**12


class OneModelDown(Wire):
    """Answers for every model but the first that it was asked for."""

    def answer(self, request: Any) -> tuple[int, bytes]:
        self.status = 503 if f'"{self.model}"'.encode() in request.content else 200
        return super().answer(request)


async def test_another_model_of_the_same_provider_is_not_priced_by_the_sessions_settings(
    open_manager: OpenManager,
) -> None:
    wire = OneModelDown(
        "mistral", "mistral-t", {"prompt_tokens": 1_000, "completion_tokens": 100, "total_tokens": 1_100}
    )
    flex = ModelPrice(input=2, output=6, service_tiers={"flex": ModelPrice(input=1, output=3)})
    manager = open_manager(
        providers={"mistral": wire.client()},
        prices={"mistral/mistral-t": flex},  # whose name this wire answers with
        fallback="mistral/other",
        retry=RetryPolicy(max_attempts=1),
    )
    session = await begin(manager, wire, service_tier="flex")
    reply = await session.send_message("one")
    assert reply.provider_metadata["fallback_from"] == "mistral"
    assert Decimal(reply.provider_metadata["cost_usd"]) == Decimal("0.0026")


async def test_a_fallback_answers_at_its_own_price(open_manager: OpenManager) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES, status=503)
    manager = open_manager(
        providers={"openai": wire.client()}, prices=PRICES, fallback="mock/m", retry=RetryPolicy(max_attempts=1)
    )
    session = await begin(manager, wire)
    reply = await session.send_message("one")
    assert (reply.provider_metadata["fallback_from"], Decimal(reply.provider_metadata["cost_usd"])) == (
        "openai",
        cost_of(reply),
    )
    assert await total(session) == (cost_of(reply), 0)


async def test_summaries_are_paid_for_by_the_turn_that_needs_them(open_manager: OpenManager) -> None:
    manager = open_manager(prices=PRICES, summarizer="mock/dear", telemetry=(recorded := Recorded()).telemetry())
    session = await manager.create_session(
        "u", "mock", "m", strategy="client", session_config={"max_tokens_window": 200}
    )
    replies = [await session.send_message(f"{number} " + "word " * 60) for number in range(4)]
    assert await session.get_summary() is not None
    said = sum((cost_of(reply) for reply in replies), Decimal(0))
    known, unpriced = await total(session)
    assert known is not None
    assert (known > said, unpriced) == (True, 0)
    points = {
        str((point.attributes or {})["gen_ai.request.model"]): point.value
        for point in recorded.points("langswarm.session.cost")
        if isinstance(point, NumberDataPoint)
    }
    assert set(points) == {"m", "dear"}
    assert points["m"] == pytest.approx(float(said))
    assert points["dear"] == pytest.approx(float(known - said))


async def test_sessions_at_once_do_not_mix_and_none_is_lost(priced: SessionManager) -> None:
    sessions = [await priced.create_session("u", "mock", model) for model in ("m", "dear", "m")]

    async def talk(session: Session) -> Decimal:
        return sum([cost_of(await session.send_message(f"{number}")) for number in range(5)], Decimal(0))

    spent = await asyncio.gather(*map(talk, sessions))
    assert [await total(session) for session in sessions] == [(each, 0) for each in spent]
    same = sessions[0]
    more = await asyncio.gather(*(same.send_message(str(number)) for number in range(5)))
    assert await total(same) == (spent[0] + sum(map(cost_of, more)), 0)
    assert (await priced.get_analytics()).total_cost == sum(spent) + sum(map(cost_of, more))


def test_the_blocking_face_tells_it_too() -> None:
    with create_session_manager(storage="memory", prices=PRICES, blocking=True) as manager:
        session = manager.create_session("u", "mock", "m")
        reply = session.send_message("one")
        assert session.get_metrics().total_cost == cost_of(reply)
        assert manager.get_analytics().total_cost == cost_of(reply)


class SixMethods:
    """A storage of a user's own: it keeps what it is given."""

    def __init__(self) -> None:
        self.sessions: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}

    def create_session(
        self, session_id: str, user_id: str, provider: str, model: str, config: Any, context: Any
    ) -> None:
        self.sessions[session_id] = {
            "user_id": user_id,
            "provider": provider,
            "model": model,
            "config": config,
            "context": context,
        }

    def get_session(self, session_id: str) -> Any:
        return self.sessions.get(session_id)

    def add_message(self, session_id: str, message: dict[str, Any]) -> None:
        self.messages.setdefault(session_id, []).append(message)

    def get_messages(self, session_id: str, limit: Any = None, role: Any = None, since: Any = None) -> Any:
        return list(self.messages.get(session_id, []))

    def health_check(self) -> bool:
        return True

    def close(self) -> None:
        """Keep everything."""


async def test_a_storage_of_six_methods_tells_it_after_a_restart() -> None:
    """The answers carry what they cost; what a turn without an answer cost is not in them."""
    storage = SixMethods()
    async with create_session_manager(storage=storage, prices=PRICES) as manager:  # type: ignore[call-overload]
        session = await manager.create_session("u", "mock", "m", session_id="s")
        costs = [cost_of(await session.send_message(text)) for text in ("one", "two")]
        assert await total(session) == (sum(costs), 0)
    async with create_session_manager(storage=storage, prices=False) as manager:  # type: ignore[call-overload]
        session = await manager.get_session("s")
        assert await total(session) == (sum(costs), 0)
        await session.send_message("three")
        assert await total(session) == (sum(costs), 1)


async def test_a_sum_in_spans_and_their_gaps(open_manager: OpenManager, recorded: Recorded) -> None:
    manager = open_manager(prices=PRICES, retry=AT_ONCE, telemetry=recorded.telemetry())
    session = await manager.create_session("u", "mock", "m")
    session.provider_session.fail_next(MockFault.DROP)
    reply = await session.send_message("one")
    await session.send_message("two")
    first, second = [span.attributes or {} for span in recorded.spans if span.name.startswith("invoke_agent")]
    assert first["langswarm.cost.usd"] == pytest.approx(float(cost_of(reply)))
    assert first["langswarm.cost.source"] == "table"
    assert first["langswarm.cost.is_partial"] is True
    assert "langswarm.cost.is_partial" not in second
    await session.handoff("mock", "nobody-knows")
    await session.send_message("three")
    *_, last = [span.attributes or {} for span in recorded.spans if span.name.startswith("invoke_agent")]
    assert [name for name in last if name.startswith("langswarm.cost")] == ["langswarm.cost.is_partial"]
