"""From tokens and prices to dollars: exact, whole, and the same as the library works out."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import Usage as TheirUsage
from hypothesis import example, given
from hypothesis import strategies as st

from langswarm_sessions.prices.library import LIBRARY
from langswarm_sessions.prices.rates import Rate, Rates, cost_of
from langswarm_sessions.records import Usage, plain_amount
from langswarm_sessions.storage.sql.types import from_picodollars, to_picodollars

prices = st.decimals(min_value=0, max_value=200, places=6, allow_nan=False, allow_infinity=False)
counts = st.integers(min_value=0, max_value=200_000)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Return tokens that can be: the parts are no more than the whole."""
    plain, cached, briefly, an_hour = (draw(counts) for _ in range(4))
    written, thought = draw(counts), draw(counts)
    return Usage(
        input_tokens=plain + cached + briefly + an_hour,
        output_tokens=written + thought,
        cached_tokens=cached,
        cache_write_tokens=briefly + an_hour,
        cache_write_1h_tokens=an_hour,
        reasoning_tokens=thought,
    )


@given(usages(), st.lists(prices, min_size=5, max_size=5), st.integers(min_value=1, max_value=30))
@example(Usage(input_tokens=1, output_tokens=1), [Decimal("0.0000015")] * 5, 1)
def test_the_sum_is_exact_whatever_precision_the_program_works_with(
    usage: Usage, each: list[Decimal], precision: int
) -> None:
    names = ("input", "output", "cached_input", "cache_write", "cache_write_1h")
    with localcontext() as context:
        context.prec = precision
        cost = cost_of(usage, Rates(**{name: Rate(price) for name, price in zip(names, each, strict=True)}))
    plain = usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens
    briefly = usage.cache_write_tokens - usage.cache_write_1h_tokens
    parts = (plain, usage.output_tokens, usage.cached_tokens, briefly, usage.cache_write_1h_tokens)
    exact = sum((Fraction(count) * Fraction(price) for count, price in zip(parts, each, strict=True)), Fraction(0))
    assert cost is not None
    assert abs(Fraction(cost) - exact / 10**6) <= Fraction(1, 2 * 10**12)
    assert from_picodollars(to_picodollars(cost)) == cost, "it is stored as it is"
    assert Decimal(plain_amount(cost)) == cost


@given(st.lists(st.integers(min_value=0, max_value=10**16), max_size=50))
def test_amounts_are_summed_without_a_loss(amounts: list[int]) -> None:
    assert to_picodollars(sum(map(from_picodollars, amounts), Decimal(0))) == sum(amounts)


@given(usages(), st.sampled_from(["claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-1"]))
async def test_it_is_what_the_library_works_out(usage: Usage, model: str) -> None:
    library = await LIBRARY.loaded()
    assert library is not None
    moment = datetime(2026, 11, 1, tzinfo=UTC)
    rates = library.rates("api.anthropic.com", model, at=moment, terms={})
    theirs = TheirUsage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        cache_write_1h_tokens=usage.cache_write_1h_tokens,
    )
    known = get_snapshot().calc(theirs, model, "anthropic", None, moment)
    assert rates is not None
    assert cost_of(usage, rates) == known.total_price


async def test_the_newest_table_knows_models_of_every_provider() -> None:
    library = await LIBRARY.loaded()
    assert library is not None
    now = datetime.now(UTC)

    def is_known(host: str, model: str, **terms: str) -> bool:
        return library.rates(host, model, at=now, terms=terms) is not None

    for host, model in [
        ("api.openai.com", "gpt-5"),
        ("api.anthropic.com", "claude-sonnet-4-5"),
        ("generativelanguage.googleapis.com", "gemini-2.5-flash"),
        ("api.mistral.ai", "mistral-large-latest"),
        ("api.cohere.com", "command-a-03-2025"),
    ]:
        assert is_known(host, model), model
    assert is_known("api.openai.com", "gpt-5", processing="batch")
    assert not is_known("api.openai.com", "gpt-5", service_tier="no such")
    assert not is_known("api.openai.com", "gpt-5", service_tier="flex", speed="fast")
    assert not is_known("api.openai.com", "no-such-model")
    assert not is_known("api.example.com", "gpt-5")


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("api.openai.com", "openai"),
        ("api.anthropic.com", "anthropic"),
        ("generativelanguage.googleapis.com", "google"),
        ("us-central1-aiplatform.googleapis.com", None),
        ("api.mistral.ai", "mistral"),
        ("api.cohere.com", "cohere"),
        ("api.groq.com", "groq"),
        ("mine.openai.azure.com", None),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws"),
        ("openrouter.ai", None),
        ("open.bigmodel.cn", None),
        ("api.minimax.io", "minimax"),
        ("api.minimaxi.com", None),
        ("adb-1.cloud.databricks.com", None),
        ("api.openai.com.example.org", None),
        ("evil-googleapis.com", None),
        ("eu.api.openai.com", None),
        ("localhost", None),
        ("127.0.0.1", None),
    ],
)
async def test_a_provider_is_known_by_its_own_address_alone(host: str, provider: str | None) -> None:
    library = await LIBRARY.loaded()
    assert library is not None
    home = library.table.provider_at(host)
    assert (None if home is None else home.id) == provider


@pytest.mark.parametrize(
    "usage",
    [
        Usage(input_tokens=10, cached_tokens=11),
        Usage(input_tokens=10, cached_tokens=1),
        Usage(input_tokens=10, cache_write_tokens=1),
        Usage(input_tokens=10, cache_write_tokens=3, cache_write_1h_tokens=4),
        Usage(input_tokens=10, input_audio_tokens=1),
        Usage(input_tokens=10, output_tokens=5, output_audio_tokens=1),
        Usage(input_tokens=10, output_tokens=5, output_image_tokens=1),
        Usage(input_tokens=2**53, output_tokens=2**53),
    ],
)
def test_tokens_without_a_price_and_tokens_that_cannot_be_have_no_cost(usage: Usage) -> None:
    assert cost_of(usage, Rates(input=Rate(Decimal(1)), output=Rate(Decimal(1)))) is None


@pytest.mark.parametrize(
    ("amount", "text"), [("0", "0"), ("10", "10"), ("1E+1", "10"), ("0.10", "0.1"), ("1.20E-7", "0.00000012")]
)
def test_amounts_as_text(amount: str, text: str) -> None:
    assert plain_amount(Decimal(amount)) == text
