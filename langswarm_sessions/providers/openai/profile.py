"""What the OpenAI provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "OPENAI_PROFILE", "profile_of"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"

_WITHOUT_EFFECT = frozenset(
    {
        "agent_id",
        "api_version",
        "assistant_id",  # Assistants threads were shut down in August 2026
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "top_k",
    }
)
"""Documented settings the Responses API has no field for."""

OPENAI_PROFILE = ProviderProfile(
    native=NativeKind.NODE,
    client=True,
    config_keys=frozenset(DOCUMENTED_SETTINGS) - _WITHOUT_EFFECT,
    ignored_keys=_WITHOUT_EFFECT,
    otel_name="openai",
)

_WITHOUT_STORE = replace(OPENAI_PROFILE, native=NativeKind.NONE)


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the provider can do under a provider_config: told not to store, it keeps no conversation."""
    return _WITHOUT_STORE if config.get("store") is False else OPENAI_PROFILE
