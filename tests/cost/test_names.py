"""A price of the library holds for the models that its entry tells, and for no other that is named like them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import (
    ClauseAnd,
    ClauseContains,
    ClauseEndsWith,
    ClauseEquals,
    ClauseOr,
    ClauseRegex,
    ClauseStartsWith,
    MatchLogic,
    ModelInfo,
)

from langswarm_sessions.prices.names import is_named
from langswarm_sessions.prices.table import PriceTable

HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "google": "generativelanguage.googleapis.com",
    "mistral": "api.mistral.ai",
    "deepseek": "api.deepseek.com",
    "aws": "bedrock-runtime.us-east-1.amazonaws.com",
}

INVENTED = [
    "openai gpt-5-nano-ultra",
    "openai gpt-5-nano-x-2025-08-07",
    "openai gpt-4o-audio-preview-hd",
    "openai computer-use-next",
    "openai gpt-3.5-turbo-instruct-plus",
    "openai ft:gpt-4o-2024-hd:acme::AbC1",
    "openai ft:gpt-4o-2024-08-06-hd",
    "openai gpt-5-2099-13-45",
    "anthropic claude-sonnet-4-5-fast",
    "anthropic claude-sonnet-4-55",
    "anthropic claude-opus-4-15",
    "anthropic claude-opus-4-10-20260101",
    "anthropic claude-haiku-4-5-mini",
    "anthropic claude-3-opus-max-20250101",
    "anthropic claude-haiku-4-5-v2:0",
    "google gemini-2.5-pro-max",
    "google gemini-2.5-flash-lite-preview-turbo",
    "google gemini-3.5-flash-9b",
    "google tuned-gemini-1.5-pro",
    "mistral magistral-medium-xl",
    "mistral magistral-small-2513",
    "deepseek deepseek-chat-plus",
    "deepseek deepseek-r1-distill-llama-70b",
    "aws amazon.nova-lite-v2:0",
    "aws mine.anthropic.claude-haiku-4-5-20251001-v1:0",
]
WELL_KNOWN = [
    "openai gpt-5",
    "openai GPT-5",
    "openai gpt-5-nano-2025-08-07",
    "openai gpt-5.2-20251211",
    "openai ft:gpt-4o-2024-08-06:acme::AbC1",
    "openai ft:gpt-4o-mini-2024-07-18:acme:bot:AbC1:ckpt-step-90",
    "anthropic claude-sonnet-4-5",
    "anthropic claude-sonnet-4-5-20250929",
    "anthropic claude-3-5-haiku-latest",
    "anthropic claude-sonnet-4-20250514",
    "anthropic claude-opus-4-20250514",
    "google gemini-2.5-pro",
    "google gemini-2.0-flash-001",
    "google gemini-2.5-flash-lite-preview-09-2025",
    "mistral magistral-medium-2509",
    "deepseek deepseek-chat",
    "aws us.anthropic.claude-haiku-4-5-20251001-v1:0",
    "aws anthropic.claude-3-5-sonnet-20241022-v2:0",
]


def _is_known(table: PriceTable, asked: str) -> bool:
    provider, model = asked.split()
    return table.rates(HOSTS[provider], model, at=datetime.now(UTC), terms={}) is not None


def test_an_invented_variant_has_no_figure_and_a_well_known_form_has_its_models() -> None:
    table = PriceTable(get_snapshot())
    assert [each for each in INVENTED if _is_known(table, each)] == []
    assert [each for each in WELL_KNOWN if not _is_known(table, each)] == []


def _clauses(match: MatchLogic) -> Iterator[MatchLogic]:
    if isinstance(match, ClauseOr | ClauseAnd):
        for each in match.or_ if isinstance(match, ClauseOr) else match.and_:
            yield from _clauses(each)
    else:
        yield match


def _told(model: ModelInfo) -> Iterator[str]:
    """Return the names that an entry tells, and the beginnings and ends of names."""
    yield model.id
    for clause in _clauses(model.match):
        match clause:
            case ClauseStartsWith(told) | ClauseContains(told) | ClauseEndsWith(told) | ClauseEquals(told):
                yield told
            case _:
                pass


def test_of_the_whole_table_every_name_is_known_and_none_that_only_begins_or_ends_so() -> None:
    unknown: list[str] = []
    guessed: list[str] = []
    for model in (model for provider in get_snapshot().providers for model in provider.models):
        if all(isinstance(clause, ClauseEquals) for clause in _clauses(model.match)):
            continue  # these hold for nothing else
        for name in _told(model):
            if not is_named(model, name):
                unknown.append(name)
            variants = (f"{name}-imaginary", f"{name}-imaginary-20260101", f"imaginary-{name}")
            guessed += [variant for variant in variants if is_named(model, variant)]
    assert unknown == []
    assert guessed == []


@pytest.mark.parametrize(
    ("pattern", "name", "named"),
    [
        (r"^gpt-x-\d{4}-\d{2}-\d{2}$", "gpt-x-2026-01-01", True),
        (r"^gpt-x-.*$", "gpt-x-anything", False),
        (r"^gpt-x-\w+$", "gpt-x-anything", False),
        (r"^gpt-x-\d", "gpt-x-1b", False),
        (r"^(?!.*-tts$)", "gpt-x-1b", False),
    ],
)
def test_a_pattern_tells_names_only_if_it_tells_all_of_them(pattern: str, name: str, named: bool) -> None:
    info = ModelInfo("another", ClauseRegex(pattern))
    assert info.is_match(name)
    assert is_named(info, name) is named
