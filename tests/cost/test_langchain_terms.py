"""What LangChain's packages for providers tell of an answer, and what they leave out, in the shapes that they write."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable, RunnableLambda
from langchain_openai import ChatOpenAI
from openai import APIConnectionError

from langswarm_sessions import ModelPrice
from langswarm_sessions.ids import now
from langswarm_sessions.interfaces import Completed
from langswarm_sessions.prices import Pricing
from langswarm_sessions.prices.rates import Rate, Rates
from langswarm_sessions.records import UNTOLD
from langswarm_sessions.turns.costs import was_not_billed
from langswarm_sessions_langchain.messages import usage_of
from langswarm_sessions_langchain.provider.errors import failures_of, translate
from langswarm_sessions_langchain.runnable.billed import billed_call
from langswarm_sessions_langchain.runnable.homes import may_be
from langswarm_sessions_langchain.runnable.inside import chat_models_in

USAGE = {
    "input_tokens": 1_000,
    "cache_read_input_tokens": 600,
    "cache_creation_input_tokens": 300,
    "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200},
    "output_tokens": 50,
    "server_tool_use": None,
    "service_tier": "standard",
    "inference_geo": "not_available",
    "speed": None,
}
SPLIT = {"cache_read": 600, "cache_creation": 0, "ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}
SEARCHED = {"web_search_queries": ["a"], "grounding_chunks": [], "grounding_supports": []}
NOT_SEARCHED: dict[str, list[str]] = {name: [] for name in SEARCHED}


def told(about: dict[str, Any], sent: dict[str, int] | None = None, made: dict[str, int] | None = None) -> AIMessage:
    usage: Any = {"input_tokens": 1_900, "output_tokens": 50, "total_tokens": 1_950}
    usage |= {"input_token_details": sent or {}, "output_token_details": made or {}}
    return AIMessage("hey", usage_metadata=usage, response_metadata={"model_name": "m", **about})


def anthropic(**usage: Any) -> AIMessage:
    about: dict[str, Any] = {"model_provider": "anthropic", "usage": {**USAGE, **usage}}
    return told(about, SPLIT)


GOOGLE = {"model_provider": "google_genai"}
OPENAI = {"model_provider": "openai"}


TERMS: list[tuple[AIMessage, dict[str, str]]] = [
    (anthropic(), {"service_tier": "standard", UNTOLD: "audio,image"}),
    (anthropic(speed="fast"), {"service_tier": "standard", "speed": "fast", UNTOLD: "audio,image"}),
    (
        anthropic(service_tier="priority", inference_geo="us"),
        {"service_tier": "priority", "inference_geo": "us", UNTOLD: "audio,image"},
    ),
    (
        anthropic(server_tool_use={"web_search_requests": 2}),
        {"service_tier": "standard", "provider_tools": "web_search_requests", UNTOLD: "audio,image"},
    ),
    # Streamed: nothing but tokens is left, and how long what was written is kept is not told either.
    (
        told({"model_provider": "anthropic"}, {"cache_read": 600, "cache_creation": 300}),
        {UNTOLD: "audio,hour,image,terms"},
    ),
    (told({"model_provider": "anthropic"}, {"cache_read": 600, "cache_creation": 0}), {UNTOLD: "audio,image,terms"}),
    # Gemini's searches; at Vertex AI, or who knows where, capacity that was bought may have served it.
    (told({**GOOGLE, "grounding_metadata": SEARCHED}, {"cache_read": 0}), {"provider_tools": "grounding_metadata"}),
    (told({**GOOGLE, "grounding_metadata": NOT_SEARCHED}, {"cache_read": 0}), {}),
    (told({"model_provider": "google_vertexai"}, {"cache_read": 0}), {UNTOLD: "audio,image,terms"}),
    (told({**OPENAI, "service_tier": "flex"}), {"service_tier": "flex", UNTOLD: "image"}),
    (told({**OPENAI, "token_usage": {"num_sources_used": 3}}), {"provider_tools": "num_sources_used", UNTOLD: "image"}),
    (told(OPENAI, {"audio": 5, "cache_read": 5}), {UNTOLD: "audio,image"}),
    (told({"model_provider": "mistralai"}), {UNTOLD: "audio,cached,image"}),
    (told({"model_provider": "in-house"}, {"cache_read": 0, "audio": 0}, {"image": 0}), {}),
    (told({"model_provider": "bedrock_converse", "serviceTier": {"type": "priority"}}), {"service_tier": "priority"}),
    (
        told({"model_provider": "bedrock_converse", "performanceConfig": {"latency": "optimized"}}),
        {"latency": "optimized"},
    ),
    (told({"model_provider": "bedrock_converse", "trace": {"guardrail": {"a": 1}}}), {"provider_tools": "trace"}),
    (told({"model_provider": "cohere"}), {UNTOLD: "all,audio,cached,image"}),
]
_BESIDE = {
    "google_genai": {UNTOLD: "audio,image,terms"},
    "bedrock_converse": {UNTOLD: "audio,image"},
}


@pytest.mark.parametrize(("answer", "terms"), TERMS)
def test_what_an_answer_tells_of_its_terms(answer: AIMessage, terms: dict[str, str]) -> None:
    beside = _BESIDE.get(answer.response_metadata["model_provider"], {})
    assert billed_call(answer, (), model="m").terms == {**terms, **beside}


def test_what_was_asked_for_counts_where_an_answer_does_not_tell() -> None:
    asked = ChatOpenAI(
        model="m", api_key=lambda: "k", service_tier="flex", extra_body={"search_parameters": {"mode": "on"}}
    )
    call = billed_call(told(OPENAI), (), model="m", asked=asked)
    assert (call.host, call.terms["service_tier"]) == ("api.openai.com", "flex")
    assert call.terms["provider_tools"] == "search_parameters"
    other = ChatOpenAI(model="m", api_key=lambda: "k", service_tier="priority")
    assert billed_call(told(OPENAI), [asked, other], model="m").terms["service_tier"] == "several"


@pytest.mark.parametrize(
    ("price", "cost"),
    [
        ({"cached_input": 1}, Decimal("0.002")),
        ({"cached_input": 1, "service_tiers": {"priority": {"input": 9, "output": 9}}}, None),
        ({"cached_input": 1, "cache_write": 1, "input_audio": 9}, None),
        ({}, None),
    ],
    ids=["one price", "several prices", "sound", "no price for what was cached"],
)
async def test_a_price_of_ones_own_where_terms_are_not_told(price: dict[str, Any], cost: Decimal | None) -> None:
    answer = told({"model_provider": "anthropic"}, {"cache_read": 600, "cache_creation": 0})
    calls = (billed_call(answer, (), model="m"),)
    completed = Completed(parts=(), model="m", usage=calls[0].usage, calls=calls)
    provider: Any = SimpleNamespace(name="langchain", model="m", endpoint=lambda: ("api.anthropic.com", 443))
    pricing = Pricing({("anthropic", "m"): ModelPrice(input=1, output=2, **price)})
    charge = await pricing.charge(completed, provider=provider, settings={}, at=now())
    assert charge.by_source.get("table") == cost


@pytest.mark.parametrize("tier", ["flex", "priority"])
def test_tokens_of_a_tier_are_told_under_its_name(tier: str) -> None:
    """As langchain-openai writes them; the counter of the tier itself holds what the others leave."""
    sent = {f"{tier}_cache_read": 400, f"{tier}_cache_creation": 50, tier: 1_500}
    usage = usage_of(told(OPENAI, sent, {f"{tier}_reasoning": 20, tier: 30}))
    assert (usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens) == (400, 50, 20)


def test_what_a_chat_model_could_not_send_was_not_sent() -> None:
    """Its package wraps what the transport raised; an error without a status may be one of an SDK that has none."""
    request, failures = httpx2.Request("POST", "https://api.openai.com"), failures_of("langchain")
    refused, broken = APIConnectionError(request=request), APIConnectionError(request=request)
    refused.__cause__, broken.__cause__ = httpx2.ConnectError("nobody there"), httpx2.ReadError("broke off")
    found = [translate(error, failures=failures, chat_model="ChatOpenAI") for error in (refused, broken)]
    assert [(was_not_billed(error), getattr(error, "was_begun", None)) for error in found] == [
        (True, False),
        (False, False),
    ]
    begun = translate(
        RuntimeError("x", {"code": "rate_limit_exceeded"}), failures=failures, chat_model="C", streaming=True
    )
    assert not was_not_billed(begun)


def test_reasoning_beside_an_answer_and_pictures_are_counted() -> None:
    usage: Any = {"input_tokens": 100, "output_tokens": 9, "total_tokens": 409}
    usage |= {"output_token_details": {"reasoning": 300, "image": 5}}
    found = usage_of(AIMessage("x", usage_metadata=usage))
    assert (found.output_tokens, found.reasoning_tokens, found.output_image_tokens) == (309, 300, 5)


@pytest.mark.parametrize(
    ("kind", "price"),
    [
        ("audio", "input_audio"),
        ("audio", "output_audio"),
        ("cached", "cached_input"),
        ("hour", "cache_write_1h"),
        ("image", "output_image"),
    ],
)
def test_what_is_not_told_matters_where_it_has_a_price_of_its_own(kind: str, price: str) -> None:
    one = Rate(Decimal(1))
    plain = Rates(input=one, output=one)
    assert plain.are_known_without([kind])
    assert not replace(plain, **{price: one}).are_known_without([kind])
    assert not plain.are_known_without(["all"])
    assert not plain.are_known_without(["terms"])


@pytest.mark.parametrize(
    ("asked", "answered", "is_it"),
    [
        ("gpt-5", "gpt-5", True),
        ("gpt-5", "gpt-5-2025-08-07", True),
        ("gpt-4", "gpt-4-0613", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", True),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku-20241022", True),
        ("models/gemini-2.0-flash", "gemini-2.0-flash-001", True),
        ("gpt-5", "gpt-5-mini", False),
        ("gpt-5", "gpt-5-mini-2025-08-07", False),
        ("gpt-4o", "gpt-4o-audio-preview", False),
        ("gpt-5-mini", "gpt-5", False),
    ],
)
def test_whose_answer_it_may_be(asked: str, answered: str, is_it: bool) -> None:
    assert may_be(answered, ChatOpenAI(model=asked, api_key=lambda: "k")) is is_it


MODEL = FakeMessagesListChatModel(responses=[])


class Settings:
    """Has a model as an attribute of its instances."""

    def __init__(self) -> None:
        self.model = MODEL


WITHIN = Settings()


class Holder:
    """Holds a model as programs do."""

    shared = MODEL

    def __init__(self, model: BaseChatModel | None = None) -> None:
        self._model = model
        self._others: dict[str, object] = {}

    def ask(self, said: Any) -> Any:
        assert self._model is not None
        return self._model.invoke(said)

    def ask_shared(self, said: Any) -> Any:
        return MODEL.invoke(said)


async def _ask_global(said: Any) -> Any:
    return await MODEL.ainvoke(said)


def _ask_attribute(said: Any) -> Any:
    return WITHIN.model.invoke(said)


def _ask_within(said: Any) -> Any:
    def inner() -> Any:
        return [model.invoke(said) for model in (MODEL,)]

    return inner()


def _ask_default(said: Any, model: BaseChatModel = MODEL) -> Any:
    return model.invoke(said)


def _asks_nobody(said: Any) -> Any:
    return asyncio.iscoroutine(said)


@pytest.mark.parametrize(
    "function",
    [
        Holder(MODEL).ask,
        Holder().ask_shared,
        _ask_global,
        _ask_attribute,
        _ask_within,
        _ask_default,
        partial(_ask_default, model=MODEL),
    ],
)
def test_models_that_a_program_holds_are_seen(function: Any) -> None:
    bound: Runnable[Any, Any] = RunnableLambda(function)
    assert chat_models_in(bound) == (MODEL,)


def test_what_is_too_much_to_look_through_is_not_known() -> None:
    assert chat_models_in(RunnableLambda(_asks_nobody)) == ()
    many: list[object] = [MODEL, *({} for _ in range(6_000))]
    assert chat_models_in({"many": many}) == ()
    assert chat_models_in({"few": many[:100], "plain": list(range(10_000))}) == (MODEL,)
