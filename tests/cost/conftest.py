"""What the tests of costs share: a table of prices that no new version of the library changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ClauseOr,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
)

from tests.session.kit import backend, manager, no_globals, open_manager, session
from tests.support.recorded import Recorded

__all__ = ["backend", "manager", "no_globals", "open_manager", "session"]

LATER = date(2999, 1, 1)


def _model(name: str, *others: str, variants: list[PriceVariant] | None = None, **prices: Decimal) -> ModelInfo:
    names = ClauseOr(or_=[ClauseEquals(equals=each) for each in (name, *others)])
    found = {f"{kind}_mtok": price for kind, price in prices.items()}
    now, later = ModelPrice(**found), ModelPrice(**{kind: price * 100 for kind, price in found.items()})
    dated = ConditionalPrice(StartDateConstraint(LATER), prices=later)
    return ModelInfo(name, names, prices=[ConditionalPrice(prices=now), dated], price_variants=variants)


def _providers() -> list[Provider]:
    flex = PriceVariant({"service_tier": "flex"}, ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(4)))
    priority = PriceVariant({"service_tier": "priority"}, ModelPrice(input_mtok=Decimal(9)), StartDateConstraint(LATER))
    openai = [
        _model(
            "gpt-t",
            "gpt-t-2026-01-01",
            variants=[flex, priority],
            input=Decimal("2.5"),
            output=Decimal(10),
            cache_read=Decimal("1.25"),
        ),
        _model(
            "gpt-sound",
            input=Decimal(2),
            output=Decimal(8),
            input_audio=Decimal(40),
            output_audio=Decimal(80),
        ),
        ModelInfo(
            "gpt-long",
            ClauseEquals(equals="gpt-long"),
            prices=ModelPrice(
                input_mtok=TieredPrices(Decimal(1), [Tier(1_000, Decimal(2))]),
                output_mtok=TieredPrices(Decimal(10), [Tier(1_000, Decimal(15))]),
            ),
        ),
        _model("gpt-search-preview", input=Decimal(1), output=Decimal(1), cache_read=Decimal(1)),
        ModelInfo(
            "gpt-odd",
            ClauseEquals(equals="gpt-odd"),
            prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5)),
        ),
    ]
    claude = _model(
        "claude-t",
        input=Decimal(3),
        output=Decimal(15),
        cache_read=Decimal("0.3"),
        cache_write=Decimal("3.75"),
        cache_write_1h=Decimal(6),
        variants=[PriceVariant({"speed": "fast"}, ModelPrice(input_mtok=Decimal(30), output_mtok=Decimal(150)))],
    )
    gemini = _model(
        "gemini-t", input=Decimal("0.3"), output=Decimal("2.5"), cache_read=Decimal("0.03"), input_audio=Decimal(1)
    )
    mistral = _model("mistral-t", input=Decimal(2), output=Decimal(6))
    cohere = _model("command-t", input=Decimal("2.5"), output=Decimal(10))
    grok = _model("grok-t", input=Decimal(1), output=Decimal(2), cache_read=Decimal(1))
    return [
        Provider("openai", "OpenAI", r"https://api\.openai\.com", models=openai),
        Provider("anthropic", "Anthropic", r"https://api\.anthropic\.com", models=[claude]),
        Provider("google", "Google", r"https://(.*\.)?googleapis\.com", models=[gemini]),
        Provider("mistral", "Mistral", r"https://api\.mistral\.ai", models=[mistral]),
        Provider("cohere", "Cohere", r"https://api\.cohere\.(?:ai|com)", models=[cohere]),
        Provider(
            "groq", "Groq", r"https://api\.groq\.com", models=[_model("llama", input=Decimal(1), output=Decimal(2))]
        ),
        Provider("x-ai", "xAI", r"https://api\.x\.ai", models=[grok]),
        Provider("azure", "Azure", r"https://[^.]*\.openai\.azure\.com", models=openai),
        Provider("aws", "AWS", r"https://bedrock-runtime\.[a-z0-9-]+\.amazonaws\.com(/|$)", models=openai),
    ]


@pytest.fixture
def price_list() -> Iterator[DataSnapshot]:
    """The library's table, replaced for a test as a program does that keeps it up to date itself."""
    snapshot = DataSnapshot(_providers(), from_auto_update=True, timestamp=datetime.now(UTC))
    set_custom_snapshot(snapshot)
    yield snapshot
    set_custom_snapshot(None)


@pytest.fixture
def recorded() -> Recorded:
    """What the manager's telemetry says."""
    return Recorded()
