"""What a provider says of an answer, and what the answer costs then: without SDKs and databases, by hand beside it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from langswarm_sessions import ModelPrice
from langswarm_sessions.prices import Pricing
from langswarm_sessions.providers.billing import anthropic_terms
from tests.cost.kit import CANDIDATES, CHAT, COHERE, MESSAGES, RESPONSES
from tests.cost.read import cost_of
from tests.cost.wire import Wire

pytestmark = pytest.mark.usefixtures("price_list")

THOUGHT = {"prompt_tokens": 100, "completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 300}}
WRITTEN = {name: count for name, count in MESSAGES.items() if name != "cache_creation"}
COMPACTED = [{"type": "compaction", "input_tokens": 9_000}, {"type": "message", "input_tokens": 100}]
MISTRAL = {**CHAT, "prompt_tokens_details": None}
VERTEX = "aiplatform.googleapis.com"

UNKNOWN = [
    pytest.param(Wire("openai", "gpt-unknown", RESPONSES), id="unknown model"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, {"model": "gpt-t-2027-01-01"}), id="another model answered"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, host="localhost.example.net"), id="somebody else's server"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, host="api.openai.com.example.net"), id="a name that begins alike"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, host="127.0.0.1"), id="an address"),
    pytest.param(Wire("anthropic", "claude-t", MESSAGES, host="llm.corp.internal"), id="a proxy"),
    pytest.param(Wire("openai", "gpt-t", {}), id="no usage"),
    pytest.param(Wire("openai", "gpt-t", {**RESPONSES, "output_tokens": 0}), id="half of the usage"),
    pytest.param(Wire("openai-chat", "gpt-t", {**CHAT, "prompt_tokens_details": {"audio_tokens": 5}}), id="sound"),
    pytest.param(Wire("openai", "gpt-t", {**RESPONSES, "input_tokens": 300}), id="more cached than sent"),
    pytest.param(Wire("openai", "gpt-odd", RESPONSES), id="billed by the request, too"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, {"service_tier": "scale"}), id="a tier nobody knows"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, {"service_tier": "priority"}), id="a tier not priced yet"),
    pytest.param(
        Wire(
            "openai",
            "gpt-t",
            {
                **RESPONSES,
                "input_tokens_details": {
                    "cached_tokens": 0,
                    "cache_write_tokens": 9,
                    "cache_write_tokens_details": {"ttl_12h_tokens": 9, "ttl_30m_tokens": 0},
                },
            },
        ),
        id="kept for twelve hours",
    ),
    pytest.param(
        Wire(
            "openai", "gpt-t", RESPONSES, {"output": [{"type": "web_search_call", "id": "ws", "status": "completed"}]}
        ),
        id="a search",
    ),
    pytest.param(Wire("anthropic", "claude-t", {**MESSAGES, "service_tier": "priority"}), id="bought capacity"),
    pytest.param(Wire("anthropic", "claude-t", {**MESSAGES, "inference_geo": "us"}), id="kept in a country"),
    pytest.param(
        Wire("anthropic", "claude-t", {**MESSAGES, "server_tool_use": {"web_search_requests": 1}}), id="their search"
    ),
    pytest.param(Wire("gemini", "gemini-t", {**CANDIDATES, "trafficType": "PROVISIONED_THROUGHPUT"}), id="provisioned"),
    pytest.param(Wire("gemini", "gemini-t", {**CANDIDATES, "toolUsePromptTokenCount": 5}), id="tools at the provider"),
    pytest.param(Wire("mistral", "mistral-t", {**CHAT, "num_cached_tokens": 400}), id="a cache without a price"),
    pytest.param(
        Wire("cohere", "command-t", {**COHERE, "billed_units": {**COHERE["billed_units"], "search_units": 1}}),
        id="search units",
    ),
    pytest.param(
        Wire("openai-chat", "grok-t", THOUGHT, host="api.x.ai"), id="reasoning within the answer, or beside it"
    ),
    pytest.param(
        Wire("openai-chat", "grok-t", {**THOUGHT, "total_tokens": 109}, host="api.x.ai"),
        id="more reasoning than answer",
    ),
    pytest.param(
        Wire("openai-chat", "grok-t", {**THOUGHT, "completion_tokens": 400}, host="api.x.ai"), id="no total to tell it"
    ),
    pytest.param(Wire("mistral", "mistral-t", {**MISTRAL, "service_tier": "priority"}), id="a dearer tier of Mistral"),
    pytest.param(Wire("mistral", "mistral-t", {**MISTRAL, "prompt_audio_seconds": 9}), id="sound by the second"),
    pytest.param(Wire("openai-chat", "gpt-search-preview", CHAT), id="a model that searches by itself"),
    pytest.param(Wire("openai-chat", "grok-t", {**CHAT, "num_sources_used": 2}, host="api.x.ai"), id="counted sources"),
    pytest.param(Wire("openai-chat", "gpt-t", CHAT, {"citations": ["https://a.example"]}), id="sources it names"),
    pytest.param(
        Wire("openai-chat", "gemini-t", CHAT, host="generativelanguage.googleapis.com"),
        id="sound that would not be told",
    ),
    pytest.param(Wire("gemini", "gemini-t", {**CANDIDATES, "promptTokensDetails": None}), id="kinds that are not told"),
    pytest.param(Wire("gemini", "gemini-t", {**CANDIDATES, "totalTokenCount": 2_000}), id="tokens nobody counts"),
    pytest.param(Wire("anthropic", "claude-t", WRITTEN), id="kept for minutes, or for an hour"),
    pytest.param(Wire("anthropic", "claude-t", {**MESSAGES, "iterations": COMPACTED}), id="counted beside the total"),
    pytest.param(Wire("gemini", "gemini-t", CANDIDATES, host=f"us-east5-{VERTEX}"), id="Vertex AI in a region"),
    pytest.param(Wire("gemini", "gemini-t", CANDIDATES, host="aiplatform.eu.rep.googleapis.com"), id="in Europe"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, host="ours.openai.azure.com"), id="Azure: regional, or global"),
    pytest.param(Wire("openai", "gpt-t", RESPONSES, host="bedrock-runtime.eu-west-1.amazonaws.com"), id="Bedrock"),
]


@pytest.mark.parametrize("wire", UNKNOWN)
async def test_what_is_not_known_gets_no_figure(wire: Wire) -> None:
    assert await cost_of(wire) is None


KNOWN: list[tuple[Wire, dict[str, Any], str]] = [
    # 600 · 1 + 400 · 1.25 + 100 · 4 = 1,500
    (Wire("openai", "gpt-t", RESPONSES, {"service_tier": "flex"}), {}, "0.0015"),
    (Wire("openai-chat", "gpt-t", CHAT, {"service_tier": "flex"}), {}, "0.0015"),
    # Asked for, and the provider says nothing of it; or it says that it was not so.
    (Wire("openai", "gpt-t", RESPONSES, {"service_tier": None}), {"service_tier": "flex"}, "0.0015"),
    (Wire("openai", "gpt-t", RESPONSES, {"service_tier": "default"}), {"service_tier": "flex"}, "0.003"),
    # 100 · 30 + 600 · 0.3 + 100 · 3.75 + 200 · 6 + 50 · 150 = 12,255
    (Wire("anthropic", "claude-t", {**MESSAGES, "speed": "fast"}), {}, "0.012255"),
    # A request of more than 1,000 tokens: 1,001 · 2 + 100 · 15 = 3,502; of 1,000: 1,000 · 1 + 100 · 10 = 2,000
    (Wire("openai", "gpt-long", {"input_tokens": 1_001, "output_tokens": 100}), {}, "0.003502"),
    (Wire("openai", "gpt-long", {"input_tokens": 1_000, "output_tokens": 100}), {}, "0.002"),
    # 70 · 2 + 30 · 40 + 10 · 8 + 5 · 80 = 1,820
    (
        Wire(
            "openai-chat",
            "gpt-sound",
            {
                "prompt_tokens": 100,
                "prompt_tokens_details": {"audio_tokens": 30},
                "completion_tokens": 15,
                "completion_tokens_details": {"audio_tokens": 5},
            },
        ),
        {},
        "0.00182",
    ),
    # The model that answered; the address, whatever the SDK.
    (Wire("openai", "gpt-t", RESPONSES, {"model": "gpt-t-2026-01-01"}), {}, "0.003"),
    (
        Wire("openai-chat", "llama", {"prompt_tokens": 10, "completion_tokens": 1}, host="api.groq.com"),
        {},
        "0.000012",
    ),
    # 100 · 1 + (9 + 300) · 2 = 718: reasoning beside the answer, which only the total has
    (Wire("openai-chat", "grok-t", {**THOUGHT, "total_tokens": 409}, host="api.x.ai"), {}, "0.000718"),
    # 600 · 2.5 + 400 · 1.25 + 100 · 10: a cache as other servers tell it
    (Wire("openai-chat", "gpt-t", {**CHAT, "prompt_tokens_details": None, "cached_tokens": 400}), {}, "0.003"),
    # Tiers in any letters; what was asked for counts where nothing is told.
    (Wire("openai", "gpt-t", RESPONSES, {"service_tier": "FLEX"}), {}, "0.0015"),
    (Wire("gemini", "gemini-t", {**CANDIDATES, "serviceTier": "STANDARD"}), {}, "0.000613"),
    (Wire("openai", "gpt-t", RESPONSES, {"service_tier": None}), {"service_tier": "default"}, "0.003"),
    (Wire("mistral", "mistral-t", {**MISTRAL, "service_tier": "standard"}), {}, "0.0026"),
    # Where prices hold.
    (Wire("gemini", "gemini-t", CANDIDATES, host=VERTEX), {}, "0.000613"),
    (Wire("openai", "gpt-t", RESPONSES, host="bedrock-runtime.us-east-1.amazonaws.com"), {}, "0.003"),
]


@pytest.mark.parametrize(("wire", "config", "cost"), KNOWN)
async def test_what_is_known_of_other_terms(wire: Wire, config: dict[str, Any], cost: str) -> None:
    assert await cost_of(wire, config) == Decimal(cost)


@pytest.mark.parametrize("tier", ["auto", "AUTO", "flex-processing"])
async def test_a_tier_that_is_left_to_the_provider_and_not_told_is_not_known(tier: str) -> None:
    assert await cost_of(Wire("openai", "gpt-t", RESPONSES, {"service_tier": None}), {"service_tier": tier}) is None


async def test_a_price_of_ones_own_holds_anywhere_but_for_what_it_does_not_say() -> None:
    """Also for models that search: whoever gives a price for them knows what it is a price of."""
    price = ModelPrice(input=1, output=2, cached_input=1)
    search = Wire("openai-chat", "gpt-search-preview", CHAT, host="ours.openai.azure.com")
    assert await cost_of(search, {}, Pricing({("openai-chat", "gpt-search-preview"): price})) == Decimal("0.0012")
    heard = ModelPrice(input=1, output=2, cached_input=1, input_audio=9)
    assert await cost_of(search, {}, Pricing({("openai-chat", "gpt-search-preview"): heard})) is None


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        ("web_search", {"provider_tools": "web_search"}),
        ("bash_code_execution", {"provider_tools": "bash_code_execution"}),
    ]
    + [(free, {}) for free in ("web_fetch", "tool_search_tool_bm25")],
)
def test_tools_at_anthropic_that_are_billed_by_use(name: str, terms: dict[str, str]) -> None:
    assert anthropic_terms({}, [{"type": "server_tool_use", "name": name}, {"type": "text"}]) == terms
