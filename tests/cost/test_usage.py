"""Tokens as providers count them, through our adapters and through the library's own reading of the same answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from genai_prices import extract_usage

from langswarm_sessions.records import Usage
from tests.cost.kit import CHAT, COHERE, MESSAGES, RESPONSES
from tests.cost.read import read
from tests.cost.wire import Wire

THEIRS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "cached_audio_tokens": "cache_audio_read_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "output_image_tokens": "output_image_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
}

SOUND = {
    "prompt_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 30, "cache_write_tokens": 5},
    "completion_tokens": 40,
    "completion_tokens_details": {
        "reasoning_tokens": 7,
        "audio_tokens": 20,
        "accepted_prediction_tokens": 0,
        "rejected_prediction_tokens": 0,
    },
    "total_tokens": 140,
}
XAI = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "prompt_tokens_details": {"text_tokens": 32, "audio_tokens": 0, "image_tokens": 0, "cached_tokens": 6},
    "completion_tokens_details": {"reasoning_tokens": 94, "audio_tokens": 0, "accepted_prediction_tokens": 0},
    "num_sources_used": 0,
}
GROQ = {
    "queue_time": 0.05,
    "prompt_tokens": 45,
    "prompt_time": 0.002,
    "completion_tokens": 19,
    "completion_time": 0.01,
    "total_tokens": 64,
    "total_time": 0.012,
    "prompt_tokens_details": {"cached_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 8},
}
DEEPSEEK = {
    "prompt_tokens": 50,
    "completion_tokens": 30,
    "total_tokens": 80,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 12},
    "prompt_cache_hit_tokens": 40,
    "prompt_cache_miss_tokens": 10,
}
WRITES = {**RESPONSES, "input_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100}}
THINKING = {**MESSAGES, "output_tokens_details": {"thinking_tokens": 20}}
GEMINI = {
    "promptTokenCount": 1_000,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 800}, {"modality": "AUDIO", "tokenCount": 200}],
    "cachedContentTokenCount": 100,
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 40}],
    "candidatesTokenCount": 50,
    "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 20}],
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1_080,
}
USED_TOOLS = {"toolUsePromptTokenCount": 9, "totalTokenCount": 1_089}

ANSWERS = [
    ("openai", "responses", Wire("openai", "gpt-5", RESPONSES)),
    ("openai", "responses", Wire("openai", "gpt-5", WRITES)),
    ("openai", "chat", Wire("openai-chat", "gpt-5", CHAT)),
    ("openai", "chat", Wire("openai-chat", "gpt-audio", SOUND)),
    ("x-ai", "chat", Wire("openai-chat", "grok-4", XAI)),
    ("groq", "default", Wire("openai-chat", "openai/gpt-oss-120b", GROQ)),
    ("deepseek", "chat", Wire("openai-chat", "deepseek-chat", DEEPSEEK)),
    ("anthropic", "default", Wire("anthropic", "claude-sonnet-4-5", MESSAGES)),
    ("anthropic", "default", Wire("anthropic", "claude-sonnet-4-5", THINKING)),
    ("google", "default", Wire("gemini", "gemini-2.5-flash", GEMINI)),
    ("google", "default", Wire("gemini", "gemini-2.5-flash", {**GEMINI, **USED_TOOLS})),
    ("mistral", "default", Wire("mistral", "mistral-large-latest", {**CHAT, "completion_tokens_details": None})),
    ("cohere", "default", Wire("cohere", "command-a-03-2025", COHERE)),
    ("cohere", "tokens", Wire("cohere", "command-a-03-2025", {**COHERE, "cached_tokens": 12})),
]


@pytest.mark.parametrize(("provider", "flavor", "wire"), ANSWERS)
def test_the_library_reads_the_same_tokens(provider: str, flavor: str, wire: Wire) -> None:
    whole: Mapping[str, Any] = {"model": wire.model, "usage": wire.usage}
    if wire.provider == "gemini":
        whole = {"modelVersion": wire.model, "usageMetadata": wire.usage}
    theirs: Any = extract_usage(whole, provider_id=provider, api_flavor=flavor).usage
    completed = read(wire)
    ours = completed.calls[0].usage if completed.calls and flavor == "default" else completed.usage
    counted = {name: getattr(ours, name) for name in THEIRS}
    assert counted == {name: getattr(theirs, their_name, None) or 0 for name, their_name in THEIRS.items()}
    assert ours.total_tokens == ours.input_tokens + ours.output_tokens


def test_every_count_of_ours_is_compared() -> None:
    assert {*THEIRS, "total_tokens"} == {*Usage.__dataclass_fields__}


READ = {
    ("openai", "types/completion_usage.py", "CompletionUsage|PromptTokensDetails|CompletionTokensDetails"): (
        "prompt_tokens completion_tokens total_tokens prompt_tokens_details completion_tokens_details cached_tokens "
        "cache_write_tokens audio_tokens reasoning_tokens",
        # Predictions that were not taken are part of the answer; pictures that are sent cost what text does.
        "text_tokens image_tokens accepted_prediction_tokens rejected_prediction_tokens",
    ),
    ("openai", "types/responses/response_usage.py", r"\w+"): (
        "input_tokens output_tokens total_tokens input_tokens_details output_tokens_details cached_tokens "
        "cache_write_tokens cache_write_tokens_details reasoning_tokens ttl_12h_tokens",
        "ttl_30m_tokens",
    ),
    ("anthropic", "types/usage.py", "Usage"): (
        "input_tokens output_tokens cache_creation cache_creation_input_tokens cache_read_input_tokens inference_geo "
        "output_tokens_details server_tool_use service_tier speed",
        "",
    ),
    ("anthropic", "types/cache_creation.py", "CacheCreation"): (
        "ephemeral_1h_input_tokens ephemeral_5m_input_tokens",
        "",
    ),
    ("google.genai", "types.py", "GenerateContentResponseUsageMetadata"): (
        "cache_tokens_details cached_content_token_count candidates_token_count candidates_tokens_details "
        "prompt_token_count prompt_tokens_details thoughts_token_count tool_use_prompt_token_count total_token_count "
        "traffic_type",
        "tool_use_prompt_tokens_details _initial_prompt_token_count",
    ),
    ("mistralai.client", "models/usageinfo.py", "UsageInfo"): (
        "prompt_tokens completion_tokens total_tokens prompt_audio_seconds service_tier",
        "__pydantic_extra__",
    ),
    ("mistralai.client", "models/conversationusageinfo.py", "ConversationUsageInfo"): (
        "prompt_tokens completion_tokens total_tokens connector_tokens",
        "connectors",  # named by the entries of the answer, too
    ),
    ("cohere", "types/usage.py", "Usage"): ("billed_units tokens cached_tokens", ""),
    ("cohere", "types/usage_billed_units.py", "UsageBilledUnits"): (
        "input_tokens output_tokens search_units classifications",
        "",
    ),
}
"""The fields of what SDKs tell of usage: those that are read, and those that change no price."""


@pytest.mark.parametrize(("package", "path", "kinds"), READ)
def test_an_sdk_tells_nothing_that_is_not_read(package: str, path: str, kinds: str) -> None:
    """A new field of an SDK may be billed at a price of its own."""
    read_fields, others = READ[package, path, kinds]
    assert {*_fields(package, path, kinds=kinds)} - {"model_config"} == {*read_fields.split(), *others.split()}


def _fields(package: str, path: str, *, kinds: str) -> Iterator[str]:
    """Yield the names of the fields of an SDK's models, read off its source: nothing is imported."""
    top, *inner = package.split(".")
    spec = find_spec(top)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    places = [Path(place, *inner, path) for place in spec.submodule_search_locations]
    source = next(place for place in places if place.exists()).read_text()
    for body in re.findall(rf"^class (?:{kinds})\(.*?\):\n(.*?)(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^  (?:  )?(\w+): ", body, re.MULTILINE)
