"""The documented provider_config keys: one table for every provider."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard, cast
from urllib.parse import urlsplit

from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.tools import normal_tool_choice
from langswarm_sessions.records import TurnOptions

__all__ = [
    "DOCUMENTED_SETTINGS",
    "Forms",
    "Setting",
    "check_asked_format",
    "check_forms",
    "check_settings",
    "check_storable",
    "given_settings",
    "in_force",
    "refuse_secrets",
    "takes_format",
    "warn_of_ignored",
]

logger = logging.getLogger(__name__)

Forms = Mapping[str, Callable[[Any], object]]
"""What brings settings into the form that is sent, by their names."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a provider_config key takes.

    Args:
        expects: The legal values in words, for messages.
        accepts: Whether a value is legal.
    """

    expects: str
    accepts: Callable[[object], bool]


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(low: float, high: float | None = None) -> Setting:
    def accepts(value: object) -> bool:
        return _is_number(value) and low <= value and (high is None or value <= high)

    expects = f"a number of at least {low:g}" if high is None else f"a number from {low:g} to {high:g}"
    return Setting(expects, accepts)


def _whole(low: int | None = None) -> Setting:
    def accepts(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and (low is None or value >= low)

    return Setting("a whole number" if low is None else f"a whole number of at least {low}", accepts)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_url(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        _ = parts.port  # read where requests are sent; it may be no number, or none a port can have
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None and not parts.query


def _is_stop(value: object) -> bool:
    return _is_text(value) or (isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_text, value)))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _is_format(value: object) -> bool:
    if not isinstance(value, Mapping):
        return value in ("text", "json_object")
    given = cast("Mapping[str, object]", value)
    nested = given.get("json_schema", given)
    schema = cast("Mapping[str, object]", nested).get("schema") if isinstance(nested, Mapping) else None
    kind = given.get("type")
    return kind in ("text", "json_object") or (kind == "json_schema" and isinstance(schema, Mapping))


def _is_choice(value: object) -> bool:
    if not isinstance(value, Mapping):
        return _is_text(value)
    given = cast("Mapping[str, Any]", value)
    if given.get("type", "function") != "function":
        return _is_text(given["type"])
    try:
        normal_tool_choice(given)
    except InvalidInputError:
        return False
    return True


_TEXT = Setting("a non-empty string", _is_text)
_BOOL = Setting("True or False", lambda value: isinstance(value, bool))
_OBJECT = Setting("a dict", lambda value: isinstance(value, Mapping))
_FORMAT = Setting(
    "'text', 'json_object', or a dict of type 'json_schema' with its name and its 'schema' (a dict)", _is_format
)
_CHOICE = Setting("'auto', 'none', 'required', a tool's name, or a dict that names a tool or its type", _is_choice)

DOCUMENTED_SETTINGS: Mapping[str, Setting] = {
    "agent_id": _TEXT,
    "api": Setting("'responses' or 'chat'", lambda value: value in ("responses", "chat")),
    "api_version": _TEXT,
    "assistant_id": _TEXT,
    "base_url": Setting("an http(s) URL without user, password or query", _is_url),
    "conversation_metadata": _OBJECT,
    "frequency_penalty": _number(-2, 2),
    "instructions": _TEXT,
    "max_tokens": _whole(1),
    "metadata": _OBJECT,
    "native": Setting(
        "'node', 'log', 'ephemeral' or 'none'", lambda value: value in ("node", "log", "ephemeral", "none")
    ),
    "organization": _TEXT,
    "parallel_tool_calls": _BOOL,
    "presence_penalty": _number(-2, 2),
    "project": _TEXT,
    "reasoning_effort": _TEXT,
    "reasoning_summary": _TEXT,
    "response_format": _FORMAT,
    "seed": _whole(),
    "service_tier": _TEXT,
    "stop": Setting("a non-empty string or a list of them", _is_stop),
    "store": _BOOL,
    "temperature": _number(0, 2),
    "thread_metadata": _OBJECT,
    "timeout": Setting("a number of seconds above 0", lambda value: _is_number(value) and value > 0),
    "tool_choice": _CHOICE,
    "top_k": _whole(1),
    "top_p": _number(0, 1),
    "truncation": Setting("'auto' or 'disabled'", lambda value: value in ("auto", "disabled")),
    "user": _TEXT,
    "verbosity": Setting("'low', 'medium' or 'high'", lambda value: value in ("low", "medium", "high")),
}
"""What every provider accepts; its profile says which keys have an effect."""

_SECRETS = frozenset({"access_token", "api_key", "apikey", "authorization", "password", "secret", "token"})


def check_settings(
    config: Mapping[str, Any],
    *,
    provider: str,
    profile: ProviderProfile,
    settings: Mapping[str, Setting] = DOCUMENTED_SETTINGS,
) -> None:
    """Refuse a provider_config that is unknown, ill-typed, or would store a secret. None means "not set".

    Args:
        config: What the user gave.
        provider: The provider's name, for the message.
        profile: Which keys the provider knows.
        settings: What each key takes.

    Raises:
        ConfigurationError: The message names the key and the remedy.
    """
    where, given = f"provider_config of {provider}", cast("object", config)
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"{where} must be a dict of settings, such as {{'temperature': 0.5}}.", provider=provider
        )
    refuse_secrets(config, provider=provider)
    check_keys(config, profile.config_keys | profile.ignored_keys, where=where)
    for name, value in given_settings(config).items():
        if not settings[name].accepts(value):
            raise ConfigurationError(f"{where}: {name} must be {settings[name].expects}.", provider=provider)
        check_storable(value, where=f"{where}: {name}")


def check_forms(config: Mapping[str, Any], forms: Forms, *, provider: str) -> None:
    """Refuse settings that cannot be brought into the form a provider takes: better now than with every turn.

    Args:
        config: What the user gave.
        forms: What brings each into that form.
        provider: The provider's name, for the message.

    Raises:
        ConfigurationError: The message names the key and the remedy.
    """
    for name, form in forms.items():
        if config.get(name) is None:
            continue
        try:
            form(config[name])
        except InvalidInputError as error:
            raise ConfigurationError(f"provider_config of {provider}: {error}", provider=provider) from None


def check_asked_format(options: TurnOptions, *, provider: str, profile: ProviderProfile) -> None:
    """Refuse a response format asked of a provider that has none.

    Args:
        options: What a turn asks for.
        provider: The provider's name, for the message.
        profile: What it can do.

    Raises:
        InvalidInputError: The provider cannot be asked for it.
    """
    if takes_format(options, profile=profile):
        return
    raise InvalidInputError(
        f"response_format: {provider} cannot be asked for a form of its answer. Leave it out and say in words what "
        "form the answer is to have, or hand the session to a provider that can."
    )


def takes_format(options: TurnOptions, *, profile: ProviderProfile) -> bool:
    """Return whether a provider can be asked for the form of answer a turn asks for, if it does."""
    return options.response_format is None or (profile.takes_options and "response_format" in profile.config_keys)


def in_force(config: Mapping[str, Any], options: TurnOptions) -> Mapping[str, Any]:
    """Return a session's settings with what a turn asks for in their place.

    Args:
        config: The session's provider_config.
        options: What the turn asks for.
    """
    if options.response_format is None:
        return config
    return {**config, "response_format": options.response_format}


def refuse_secrets(config: Mapping[str, Any], *, provider: str) -> None:
    """Refuse keys and passwords among settings.

    Raises:
        ConfigurationError: A setting has the name of a secret.
    """
    for name in config:
        if str(name).lower() in _SECRETS:
            raise ConfigurationError(
                f"provider_config of {provider}: {name!r} does not belong here, it would be stored with the session. "
                f"Pass it as providers={{{provider!r}: ...}} or in the environment.",
                provider=provider,
            )


def check_storable(value: object, *, where: str) -> None:
    """Refuse what cannot be stored with the session as JSON.

    Raises:
        ConfigurationError: The value is not plain JSON.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigurationError(f"{where} must be plain JSON (text, numbers, lists, dicts).") from None


def given_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that are set: None means "not set"."""
    return {name: value for name, value in config.items() if value is not None}


def warn_of_ignored(config: Mapping[str, Any], *, provider: str, profile: ProviderProfile, seen: set[str]) -> None:
    """Log once that documented settings have no effect with this provider.

    Args:
        config: What the user gave.
        provider: The provider's name.
        profile: Which keys it ignores.
        seen: Keys that were warned of before; extended.
    """
    ignored = sorted(name for name in given_settings(config) if name in profile.ignored_keys and name not in seen)
    if ignored:
        seen.update(ignored)
        logger.warning("provider_config of %s: %s: kept, but without effect there.", provider, ", ".join(ignored))
