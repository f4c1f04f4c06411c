"""What the Mistral provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.media import crosses_by
from langswarm_sessions.providers.mistral.answers import given_back
from langswarm_sessions.providers.mistral.mapping import Target, takes
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "MISTRAL_PROFILE", "check_native", "profile_of"]

DEFAULT_BASE_URL = "https://api.mistral.ai"

_WITHOUT_EFFECT = frozenset(
    {
        "api",
        "api_version",
        "assistant_id",
        "organization",
        "project",
        "reasoning_summary",
        "truncation",
        "user",
        "verbosity",
    }
)
"""Documented settings the API has no field for."""

_KEEPS_NOTHING = ProviderProfile(
    native=NativeKind.NONE,
    client=True,
    config_keys=frozenset(DOCUMENTED_SETTINGS) - _WITHOUT_EFFECT,
    ignored_keys=_WITHOUT_EFFECT,
    otel_name="mistral_ai",
    takes=frozenset({"text", "image", "file", "audio"}),
    crosses=crosses_by(takes=partial(takes, target=Target.CHAT), given_back=given_back),
)

MISTRAL_PROFILE = replace(
    _KEEPS_NOTHING,
    native=NativeKind.LOG,
    forks=True,
    takes=_KEEPS_NOTHING.takes - {"audio"},
    crosses=crosses_by(takes=partial(takes, target=Target.CONVERSATION), given_back=given_back),
    unkept=_KEEPS_NOTHING,
)


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the provider can do under a provider_config: told to, it keeps no conversation."""
    told_not_to = config.get("native") == NativeKind.NONE or config.get("store") is False
    return _KEEPS_NOTHING if told_not_to else MISTRAL_PROFILE


def check_native(config: Mapping[str, Any]) -> None:
    """Refuse a kind of conversation Mistral does not keep, and two settings that contradict each other.

    Raises:
        ConfigurationError: The message names the kinds there are.
    """
    native = config.get("native")
    if native not in (None, NativeKind.LOG, NativeKind.NONE):
        raise ConfigurationError(
            f"provider_config of mistral: native must be 'log' (a conversation, the default) or 'none'; "
            f"Mistral keeps no {native!r}.",
            provider="mistral",
        )
    if native == NativeKind.LOG and config.get("store") is False:
        raise ConfigurationError(
            "provider_config of mistral: native='log' keeps a conversation and store=False forbids it; leave out one.",
            provider="mistral",
        )
