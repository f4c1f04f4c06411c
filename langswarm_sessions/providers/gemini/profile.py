"""What the Gemini provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.messages import Part, Role
from langswarm_sessions.providers.gemini import contents, steps
from langswarm_sessions.providers.gemini.mapping import media_of
from langswarm_sessions.providers.media import crosses_by
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "GEMINI_PROFILE", "ONLY_WITHOUT_STATE", "check_choices", "keeps_nothing", "profile_of"]

DEFAULT_BASE_URL = "https://generativelanguage.googleapis.com"

_WITHOUT_EFFECT = frozenset(
    {
        "agent_id",
        "api",
        "assistant_id",
        "conversation_metadata",
        "metadata",
        "organization",
        "parallel_tool_calls",
        "project",
        "thread_metadata",
        "truncation",
        "user",
        "verbosity",
    }
)
"""Documented settings the Gemini API has no field for."""

ONLY_WITHOUT_STATE = frozenset({"frequency_penalty", "presence_penalty", "top_k"})
"""Settings of generate_content that interactions have no field for."""

_KINDS = ("node", "none")
_EFFORTS = ("minimal", "low", "medium", "high", "xhigh")


def _takes(part: Part, _: Role, *, api: str) -> bool:
    return media_of(part, api=api) is not None


_WITHOUT_STATE = ProviderProfile(
    native=NativeKind.NONE,
    client=True,
    config_keys=frozenset(DOCUMENTED_SETTINGS) - _WITHOUT_EFFECT,
    ignored_keys=_WITHOUT_EFFECT,
    otel_name="gcp.gemini",
    crosses=crosses_by(takes=partial(_takes, api=contents.API), given_back=contents.given_back),
)

GEMINI_PROFILE = replace(
    _WITHOUT_STATE,
    native=NativeKind.NODE,
    config_keys=_WITHOUT_STATE.config_keys - ONLY_WITHOUT_STATE,
    ignored_keys=_WITHOUT_STATE.ignored_keys | ONLY_WITHOUT_STATE,
    crosses=crosses_by(takes=partial(_takes, api=steps.API), given_back=steps.given_back),
    unkept=_WITHOUT_STATE,
)


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the provider can do under a provider_config: told to keep nothing, it has no conversations."""
    return _WITHOUT_STATE if keeps_nothing(config) else GEMINI_PROFILE


def keeps_nothing(config: Mapping[str, Any]) -> bool:
    """Whether a provider_config forbids Gemini to keep conversations."""
    return config.get("store") is False or config.get("native") == "none"


def check_choices(config: Mapping[str, Any]) -> None:
    """Refuse values Gemini has not.

    Raises:
        ConfigurationError: The message names those it has.
    """
    _check_choice("native", config.get("native"), _KINDS)
    _check_choice("reasoning_effort", config.get("reasoning_effort"), _EFFORTS)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise ConfigurationError(
            f"provider_config of gemini: {name} must be one of {', '.join(map(repr, choices))}.", provider="gemini"
        )
