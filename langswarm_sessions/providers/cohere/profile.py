"""What the Cohere provider can do, and what its settings take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.cohere.mapping import given_back, takes
from langswarm_sessions.providers.media import crosses_by
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS, Setting
from langswarm_sessions.records import NativeKind

__all__ = ["COHERE_PROFILE", "COHERE_SETTINGS", "DEFAULT_BASE_URL"]

DEFAULT_BASE_URL = "https://api.cohere.com"

_SAFETY_MODES = ("CONTEXTUAL", "STRICT", "OFF")
_CITATION_MODES = ("ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF")
_MOST_STOPS = 5


def _within(name: str, low: float, high: float) -> Setting:
    documented = DOCUMENTED_SETTINGS[name]
    return Setting(
        f"a number from {low:g} to {high:g}",
        lambda value: documented.accepts(value) and low <= cast(float, value) <= high,
    )


def _one_of(*words: str) -> Setting:
    return Setting(f"one of {', '.join(words)}", lambda value: value in words)


def _are_few_stops(value: object) -> bool:
    if not DOCUMENTED_SETTINGS["stop"].accepts(value):
        return False
    return isinstance(value, str) or len(cast("Sequence[str]", value)) <= _MOST_STOPS


_LIMITS: Mapping[str, Setting] = {
    "frequency_penalty": _within("frequency_penalty", 0, 1),
    "native": Setting("'none': Cohere keeps no conversations", lambda value: value == "none"),
    "presence_penalty": _within("presence_penalty", 0, 1),
    "stop": Setting(f"a non-empty string or a list of at most {_MOST_STOPS}", _are_few_stops),
    "top_k": _within("top_k", 1, 500),
    "top_p": _within("top_p", 0.01, 0.99),
}
"""Documented settings of which the API takes less than others do."""

_OWN: Mapping[str, Setting] = {
    "citation_mode": _one_of(*_CITATION_MODES),
    "safety_mode": _one_of(*_SAFETY_MODES),
    "thinking_budget": DOCUMENTED_SETTINGS["max_tokens"],
}
"""Settings no other provider has."""

COHERE_SETTINGS: Mapping[str, Setting] = {**DOCUMENTED_SETTINGS, **_LIMITS, **_OWN}

_WITH_EFFECT = frozenset(
    {
        "base_url",
        "instructions",
        "max_tokens",
        "reasoning_effort",
        "response_format",
        "seed",
        "temperature",
        "timeout",
        "tool_choice",
        *_LIMITS,
        *_OWN,
    }
)

COHERE_PROFILE = ProviderProfile(
    takes=frozenset({"text", "image"}),
    crosses=crosses_by(takes=takes, given_back=given_back),
    native=NativeKind.NONE,
    client=True,
    config_keys=_WITH_EFFECT,
    ignored_keys=frozenset(DOCUMENTED_SETTINGS) - _WITH_EFFECT,
    otel_name="cohere",
)
