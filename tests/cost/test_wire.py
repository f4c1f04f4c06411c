"""From the usage on the wire to the session's cost: each figure is worked out by hand beside it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data_snapshot import DataSnapshot
from opentelemetry.sdk.metrics.export import NumberDataPoint

from langswarm_sessions_otel import semconv
from tests.cost.kit import CANDIDATES, CHAT, COHERE, MESSAGES, RESPONSES, ask, begin
from tests.cost.wire import Wire
from tests.session.kit import OpenManager, rows_of
from tests.support.recorded import Recorded

pytestmark = pytest.mark.usefixtures("price_list")

PRICED = [
    # 600 · 2.5 + 400 · 1.25 + 100 · 10 = 3,000 dollars for a million requests
    pytest.param("openai", "gpt-t", RESPONSES, "0.003", id="OpenAI responses"),
    pytest.param("openai-chat", "gpt-t", CHAT, "0.003", id="OpenAI chat"),
    # 100 · 3 + 600 · 0.3 + 100 · 3.75 + 200 · 6 + 50 · 15 = 2,805
    pytest.param("anthropic", "claude-t", MESSAGES, "0.002805", id="Anthropic with a cache"),
    # 700 · 0.3 + 100 · 0.03 + 200 · 1 (sound) + 80 · 2.5 = 613
    pytest.param("gemini", "gemini-t", CANDIDATES, "0.000613", id="Gemini with sound"),
    # 1,000 · 2 + 100 · 6 = 2,600
    pytest.param("mistral", "mistral-t", {**CHAT, "prompt_tokens_details": None}, "0.0026", id="Mistral"),
    # 10 · 2.5 + 20 · 10 = 225: what is billed, not all that was read
    pytest.param("cohere", "command-t", COHERE, "0.000225", id="Cohere"),
]


@pytest.mark.parametrize(("provider", "model", "usage", "cost"), PRICED)
async def test_a_cost_from_the_wire_to_the_total(
    open_manager: OpenManager, recorded: Recorded, provider: str, model: str, usage: Mapping[str, Any], cost: str
) -> None:
    wire, each = Wire(provider, model, usage), Decimal(cost)
    manager = open_manager(
        storage="memory", providers={provider.partition("-")[0]: wire.client()}, telemetry=recorded.telemetry()
    )
    session = await begin(manager, wire)
    for _ in range(2):
        reply = await session.send_message("hi")
        assert reply.provider_metadata["cost_usd"] == cost

    stored = await rows_of(manager, "SELECT cost, unpriced FROM turns ORDER BY turn_index")
    assert stored == [{"cost": each * 10**12, "unpriced": 0}] * 2
    [row] = await rows_of(manager, "SELECT cost, priced_turns, unpriced_turns FROM sessions")
    assert row == {"cost": 2 * each * 10**12, "priced_turns": 2, "unpriced_turns": 0}

    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (2 * each, 0)
    figures = await manager.get_analytics()
    assert figures.total_cost == figures.model_cost[model] == figures.provider_cost[session.provider] == 2 * each

    name = semconv.PROVIDER_NAMES.get(session.provider, session.provider)
    [point] = recorded.points("langswarm.session.cost")
    assert dict(point.attributes or {}) == {"gen_ai.provider.name": name, "gen_ai.request.model": model}
    assert isinstance(point, NumberDataPoint)
    assert point.value == pytest.approx(float(2 * each))
    turns = [span for span in recorded.spans if span.name.startswith("invoke_agent")]
    assert [span.attributes["langswarm.cost.usd"] for span in turns if span.attributes] == [float(each)] * 2
    sources = {str(span.attributes["langswarm.cost.source"]) for span in turns if span.attributes}
    assert [source.startswith("genai-prices ") for source in sources] == [True]


async def test_a_table_kept_up_to_date_by_the_program_is_the_one_in_force(
    open_manager: OpenManager, price_list: DataSnapshot
) -> None:
    wire = Wire("openai", "gpt-new", RESPONSES)
    session, _ = await ask(open_manager, wire)
    assert (await session.get_metrics()).total_cost is None
    from dataclasses import replace

    from genai_prices.data_snapshot import set_custom_snapshot
    from genai_prices.types import ClauseEquals

    openai, *others = price_list.providers
    renamed = replace(openai.models[0], id="gpt-new", match=ClauseEquals(equals="gpt-new"))
    set_custom_snapshot(DataSnapshot([replace(openai, models=[renamed]), *others], from_auto_update=True))
    await session.send_message("again")
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (Decimal("0.003"), 1)
