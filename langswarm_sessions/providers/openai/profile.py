"""What the OpenAI provider can do."""

from __future__ import annotations

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "OPENAI_PROFILE"]

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
