"""A user's own prices: how they are written, what is refused, and that they come before the library's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from langswarm_sessions import ConfigurationError, ModelPrice, create_session_manager
from tests.cost.kit import CHAT, RESPONSES, ask, begin
from tests.cost.wire import Wire
from tests.session.kit import OpenManager

CENT = ModelPrice(input=1, output=2, cached_input="0.5")

FREE = {"input": 0, "output": 0}

FORMS: list[Any] = [
    {"openai/gpt-t": CENT},
    {("openai", "gpt-t"): CENT},
    {"openai/gpt-t": {"input": 1, "output": 2, "cached_input": 0.5}},
    {" openai / gpt-t ": {"input": Decimal(1), "output": "2.0", "cached_input": "5e-1"}},
]


@pytest.mark.parametrize("prices", FORMS)
async def test_a_table_comes_before_the_library_in_every_form(
    open_manager: OpenManager, price_list: object, prices: Any
) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES)
    manager = open_manager(providers={"openai": wire.client()}, prices=prices)
    session = await begin(manager, wire)
    reply = await session.send_message("hi")
    assert reply.provider_metadata["cost_usd"] == "0.001", "600 · 1 + 400 · 0.5 + 100 · 2"


@pytest.mark.parametrize(
    ("told", "tiers", "cost"),
    [
        ({"model": "gpt-t-2030"}, {}, Decimal("0.001")),
        ({"service_tier": "flex"}, {}, None),
        ({"service_tier": "flex"}, {"flex": {"input": 10, "output": 10, "cached_input": 10}}, Decimal("0.011")),
        ({"service_tier": "standard"}, {"flex": {"input": 10, "output": 10}}, Decimal("0.001")),
        ({"output": [{"type": "web_search_call", "id": "w", "status": "completed"}]}, {}, None),
    ],
    ids=["another model answers", "a tier it has not", "a tier it has", "the standard tier", "a search"],
)
async def test_a_table_holds_for_what_it_says(
    open_manager: OpenManager, told: dict[str, Any], tiers: Any, cost: Decimal | None
) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES, told, host="llm.corp.internal")
    price = ModelPrice(input=1, output=2, cached_input="0.5", service_tiers=tiers)
    manager = open_manager(providers={"openai": wire.client()}, prices={"openai/gpt-t": price})
    session = await begin(manager, wire)
    await session.send_message("hi")
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (cost, 0 if cost else 1)


async def test_the_model_that_answered_comes_before_the_one_asked_for(open_manager: OpenManager) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES, {"model": "gpt-t-2030"})
    prices = {"openai/gpt-t": CENT, "openai/gpt-t-2030": ModelPrice(input=10, output=20, cached_input=5)}
    session = await begin(open_manager(providers={"openai": wire.client()}, prices=prices), wire)
    assert (await session.send_message("hi")).provider_metadata["cost_usd"] == "0.01"


async def test_what_a_table_does_not_say_is_not_filled_in(open_manager: OpenManager, price_list: object) -> None:
    """The library knows what reading its cache costs; the table was asked first, and does not."""
    wire = Wire("openai-chat", "gpt-t", CHAT)
    manager = open_manager(providers={"openai": wire.client()}, prices={"openai/gpt-t": {"input": 1, "output": 2}})
    session = await begin(manager, wire)
    await session.send_message("hi")
    assert (await session.get_metrics()).total_cost is None


async def test_a_tier_a_table_does_not_have_is_not_the_librarys(open_manager: OpenManager) -> None:
    wire = Wire("openai", "gpt-5", RESPONSES, {"service_tier": "flex"})
    for prices, priced in (({}, True), ({"openai/gpt-5": CENT}, False)):
        manager = open_manager(providers={"openai": wire.client()}, prices=prices)
        session = await begin(manager, wire)
        await session.send_message("hi")
        assert ((await session.get_metrics()).total_cost is not None) is priced


@pytest.mark.parametrize("off", [False, None])
async def test_it_can_be_switched_off(open_manager: OpenManager, price_list: object, off: Any) -> None:
    wire = Wire("openai", "gpt-t", RESPONSES)
    manager = open_manager(providers={"openai": wire.client()}, prices=off)
    session = await begin(manager, wire)
    reply = await session.send_message("hi")
    assert "cost_usd" not in reply.provider_metadata
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (None, 1)


async def test_an_alias_of_a_provider_is_the_provider(open_manager: OpenManager) -> None:
    wire = Wire("gemini", "gemini-t", {"promptTokenCount": 1_000, "candidatesTokenCount": 10, "totalTokenCount": 1_010})
    manager = open_manager(providers={"gemini": wire.client()}, prices={"google/gemini-t": {"input": 1, "output": 1}})
    session = await begin(manager, wire)
    await session.send_message("hi")
    assert (await session.get_metrics()).total_cost == Decimal("0.00101")


WRONG: list[tuple[Any, str]] = [
    ({"gpt-5": CENT}, r"'gpt-5' is no key.*openai/gpt-5"),
    ({"openai/": CENT}, r"'openai/' is no key"),
    ({("openai",): CENT}, r"is no key"),
    ({("openai", "a", "b"): CENT}, r"is no key"),
    ({3: CENT}, r"3 is no key"),
    ({"openai/a": CENT, ("openai", "a"): CENT}, r"'openai/a' is there twice"),
    ({"openai/a": 3}, r"prices\['openai/a'\] must be a ModelPrice or a dict"),
    ({"openai/a": {"input": 1}}, r"prices\['openai/a'\] lacks output"),
    ({"openai/a": {}}, r"lacks input and output"),
    (
        {"openai/a": {"input": 1, "output": 2, "cashed_input": 3}},
        r"unknown key 'cashed_input'.*Did you mean 'cached_input'",
    ),
    ({"openai/a": {"input": -1, "output": 2}}, r"prices\['openai/a'\]: input must be a price in US dollars"),
    ({"openai/a": {"input": 1, "output": float("nan")}}, r"output must be a price"),
    ({"openai/a": {"input": 1, "output": Decimal("Infinity")}}, r"output must be a price"),
    ({"openai/a": {"input": 1, "output": "free"}}, r"output must be a price"),
    ({"openai/a": {"input": True, "output": 1}}, r"input must be a price"),
    ({"openai/a": {"input": None, "output": 1}}, r"input must be a price"),
    ({"openai/a": {"input": 1, "output": 2_000_000}}, r"of 0 to 1,000,000"),
    (
        {"openai/a": {"input": 1, "output": 2, "service_tiers": {"flex": {"input": 1}}}},
        r"service_tiers\['flex'\] lacks output",
    ),
    ({"openai/a": {"input": 1, "output": 2, "service_tiers": ["flex"]}}, r"service_tiers must be a dict"),
    ({"openai/a": {"input": 1, "output": 2, "service_tiers": {1: CENT}}}, r"whose keys are names of tiers"),
    (
        {"openai/a": {"input": 1, "output": 2, "service_tiers": {"Default": CENT}}},
        r"prices\['openai/a'\]: service_tiers\['Default'\] is the standard tier.*input",
    ),
    (
        {"openai/a": {"input": 1, "output": 2, "service_tiers": {"flex": CENT, "Flex": CENT}}},
        r"service_tiers\['Flex'\] is there twice",
    ),
    (
        {"openai/a": {"input": 1, "output": 2, "service_tiers": {"flex": {**FREE, "service_tiers": {"x": FREE}}}}},
        r"service_tiers\['flex'\] has service_tiers of its own",
    ),
    (["openai/a"], r"prices must be a dict of 'provider/model' to ModelPrice, True"),
    ("openai", r"prices must be a dict"),
]


@pytest.mark.parametrize(("prices", "message"), WRONG)
def test_a_wrong_table_is_refused_by_name_and_remedy(prices: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        create_session_manager(storage="memory", prices=prices)


def test_prices_are_kept_as_decimals_and_numbers_mean_what_they_show() -> None:
    price = ModelPrice(input=0.1, output="1e-7", cache_write=3)
    assert (price.input, price.output, price.cache_write) == (Decimal("0.1"), Decimal("1e-7"), Decimal(3))
    assert price == ModelPrice(input="0.1", output=Decimal("0.0000001"), cache_write="3.0")


class Float64(float):
    """As numpy shows its numbers, and pandas the cells of a table."""

    def __repr__(self) -> str:
        return f"np.float64({float(self)!r})"


def test_numbers_of_a_table_of_numpy_are_numbers() -> None:
    assert ModelPrice(input=Float64(0.1), output=1).input == Decimal("0.1")


async def test_the_library_has_no_figure_for_a_mock(open_manager: OpenManager) -> None:
    session = await open_manager().create_session("u", "mock", "gpt-5")
    await session.send_message("hi")
    metrics = await session.get_metrics()
    assert (metrics.total_cost, metrics.unpriced_turns) == (None, 1)


async def test_one_that_answers_where_the_figure_is_unlikely_has_none(open_manager: OpenManager) -> None:
    """More than 10,000 dollars for one answer: its tokens were not counted in tokens."""
    wire = Wire("openai", "gpt-t", {**RESPONSES, "output_tokens": 20_000_000})
    session, _ = await ask(open_manager, wire)
    assert (await session.get_metrics()).unpriced_turns == 1
