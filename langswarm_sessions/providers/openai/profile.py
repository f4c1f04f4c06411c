"""What the OpenAI provider can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import EVERY_MEDIUM, Crosses, ProviderProfile
from langswarm_sessions.providers.media import crosses_by
from langswarm_sessions.providers.openai.chat_messages import given_back as given_back_in_chat
from langswarm_sessions.providers.openai.mapping import given_back
from langswarm_sessions.providers.openai.media import chat_takes, is_own_address, responses_take
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS, Setting
from langswarm_sessions.records import NativeKind

__all__ = ["DEFAULT_BASE_URL", "OPENAI_PROFILE", "OPENAI_SETTINGS", "check_native", "profile_of", "speaks_chat"]

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

_OWN: Mapping[str, Setting] = {"compact_threshold": DOCUMENTED_SETTINGS["max_tokens"]}
"""Settings no other provider has, of the Responses API."""

OPENAI_SETTINGS: Mapping[str, Setting] = {**DOCUMENTED_SETTINGS, **_OWN}

OPENAI_PROFILE = ProviderProfile(
    native=NativeKind.NODE,
    client=True,
    config_keys=frozenset(OPENAI_SETTINGS) - _WITHOUT_EFFECT,
    ignored_keys=_WITHOUT_EFFECT,
    otel_name="openai",
    takes=frozenset({"text", "image", "file"}),
)

_RESPONSES = crosses_by(takes=responses_take, given_back=given_back)
_CHAT_CROSSES = crosses_by(takes=chat_takes, given_back=given_back_in_chat)
_OTHER_SERVERS: Mapping[bool, Crosses] = {
    False: crosses_by(takes=partial(responses_take, is_own=False), given_back=given_back),
    True: crosses_by(takes=partial(chat_takes, is_own=False), given_back=given_back_in_chat),
}
"""What crosses to servers of others, by whether they are asked for Chat Completions."""

_KINDS = {"node": NativeKind.NODE, "log": NativeKind.LOG, "none": NativeKind.NONE}
_PROFILES = {kind: replace(OPENAI_PROFILE, native=kind, crosses=_RESPONSES) for kind in _KINDS.values()}

_METADATA = frozenset({"conversation_metadata", "metadata", "thread_metadata"})
_WITHOUT_EFFECT_IN_CHAT = frozenset(
    {"agent_id", "api_version", "assistant_id", "reasoning_summary", "top_k", "truncation", *_OWN}
)


def _chat_profile(without_effect: frozenset[str]) -> ProviderProfile:
    return replace(
        OPENAI_PROFILE,
        native=NativeKind.NONE,
        config_keys=frozenset(OPENAI_SETTINGS) - without_effect,
        ignored_keys=without_effect,
        takes=EVERY_MEDIUM,
        crosses=_CHAT_CROSSES,
    )


_CHAT = _chat_profile(_WITHOUT_EFFECT_IN_CHAT | _METADATA)
_STORED_CHAT = _chat_profile(_WITHOUT_EFFECT_IN_CHAT)  # metadata is only allowed of completions that are stored


def speaks_chat(config: Mapping[str, Any]) -> bool:
    """Whether a provider_config chooses Chat Completions."""
    return config.get("api") == "chat"


def profile_of(config: Mapping[str, Any], *, address: str = DEFAULT_BASE_URL) -> ProviderProfile:
    """Return what the provider can do under a provider_config.

    Chat Completions keep no conversation, and neither does the Responses API when it is told not to store.

    Args:
        config: The provider_config.
        address: Where requests go: servers of others may take other types of content.
    """
    profile = _profile_of(config)
    return profile if is_own_address(address) else replace(profile, crosses=_OTHER_SERVERS[speaks_chat(config)])


def _profile_of(config: Mapping[str, Any]) -> ProviderProfile:
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
