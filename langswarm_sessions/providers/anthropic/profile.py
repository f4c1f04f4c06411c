"""What the Anthropic provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.anthropic.content import takes
from langswarm_sessions.providers.anthropic.mapping import given_back
from langswarm_sessions.providers.media import crosses_by
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["ANTHROPIC_PROFILE", "DEFAULT_BASE_URL", "profile_of"]

DEFAULT_BASE_URL = "https://api.anthropic.com"

_WITHOUT_EFFECT = frozenset(
    {
        "agent_id",
        "api",
        "api_version",
        "assistant_id",
        "conversation_metadata",
        "frequency_penalty",
        "metadata",
        "organization",
        "presence_penalty",
        "project",
        "seed",
        "store",
        "thread_metadata",
        "truncation",
        "verbosity",
    }
)
"""Documented settings the Messages API has no field for."""

ANTHROPIC_PROFILE = ProviderProfile(
    native=NativeKind.NONE,
    client=True,
    config_keys=frozenset(DOCUMENTED_SETTINGS) - _WITHOUT_EFFECT,
    ignored_keys=_WITHOUT_EFFECT,
    otel_name="anthropic",
    takes=frozenset({"text", "image", "file"}),
    crosses=crosses_by(takes=takes, given_back=given_back),
)

_WITH_THREADS = replace(ANTHROPIC_PROFILE, native=NativeKind.EPHEMERAL)


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the provider can do under a provider_config: it keeps message threads only where told to."""
    return _WITH_THREADS if config.get("native") == NativeKind.EPHEMERAL else ANTHROPIC_PROFILE
