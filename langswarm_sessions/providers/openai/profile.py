"""What the OpenAI provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import EVERY_MEDIUM, ProviderProfile
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "OPENAI_PROFILE", "check_native", "profile_of", "speaks_chat"]

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
    takes=frozenset({"text", "image", "file"}),
)

_KINDS = {"node": NativeKind.NODE, "log": NativeKind.LOG, "none": NativeKind.NONE}
_PROFILES = {kind: replace(OPENAI_PROFILE, native=kind) for kind in _KINDS.values()}

_METADATA = frozenset({"conversation_metadata", "metadata", "thread_metadata"})
_WITHOUT_EFFECT_IN_CHAT = frozenset(
    {"agent_id", "api_version", "assistant_id", "reasoning_summary", "top_k", "truncation"}
)


def _chat_profile(without_effect: frozenset[str]) -> ProviderProfile:
    return replace(
        OPENAI_PROFILE,
        native=NativeKind.NONE,
        config_keys=frozenset(DOCUMENTED_SETTINGS) - without_effect,
        ignored_keys=without_effect,
        takes=EVERY_MEDIUM,
    )


_CHAT = _chat_profile(_WITHOUT_EFFECT_IN_CHAT | _METADATA)
_STORED_CHAT = _chat_profile(_WITHOUT_EFFECT_IN_CHAT)  # metadata is only allowed of completions that are stored


def speaks_chat(config: Mapping[str, Any]) -> bool:
    """Whether a provider_config chooses Chat Completions."""
    return config.get("api") == "chat"


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the provider can do under a provider_config.

    Chat Completions keep no conversation, and neither does the Responses API when it is told not to store.
    """
    if speaks_chat(config):
        return _STORED_CHAT if config.get("store") is True else _CHAT
    kind = "none" if config.get("store") is False else config.get("native") or "node"
    return _PROFILES[_KINDS[kind]]


def check_native(config: Mapping[str, Any]) -> None:
    """Refuse a kind of conversation that there is not, or not with the other settings.

    Raises:
        ConfigurationError: The message names the kinds there are.
    """
    kind = config.get("native")
    if kind is None or kind == "none":
        return
    if kind not in _KINDS:
        raise _refused(f"native must be {' or '.join(map(repr, _KINDS))}, not {kind!r}")
    if speaks_chat(config):
        raise _refused("native must be 'none' with api 'chat': Chat Completions keep no conversation")
    if kind == "log" and config.get("store") is False:
        raise _refused("native 'log' needs a provider that stores: leave out store, or set native to 'none'")


def _refused(why: str) -> ConfigurationError:
    return ConfigurationError(f"provider_config of openai: {why}.", provider="openai")
