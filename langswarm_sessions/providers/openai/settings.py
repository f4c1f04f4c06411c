"""What of the settings the API takes, and in which form. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError

__all__ = ["METADATA_KEYS", "check_metadata", "merged_metadata", "text_format"]

METADATA_KEYS = ("thread_metadata", "conversation_metadata", "metadata")


def check_metadata(config: Mapping[str, Any]) -> None:
    """Refuse metadata the API would refuse: at most 16 pairs, keys of 64 and values of 512 characters.

    Raises:
        ConfigurationError: The message names the limit.
    """
    pairs = merged_metadata(config)
    too_long = any(len(key) > 64 or len(value) > 512 for key, value in pairs.items())
    if len(pairs) > 16 or too_long:
        raise ConfigurationError(
            "provider_config of openai: metadata takes at most 16 pairs, keys of 64 and values of 512 characters.",
            provider="openai",
        )


def merged_metadata(config: Mapping[str, Any], names: Iterable[str] = METADATA_KEYS) -> dict[str, str]:
    """Return metadata as text: by default thread's and conversation's and the plain one, merged.

    Args:
        config: provider_config.
        names: The settings to merge; later ones win.
    """
    merged: dict[str, Any] = {}
    for name in names:
        merged.update(config.get(name) or {})
    return {str(key): value if isinstance(value, str) else str(value) for key, value in merged.items()}


def text_format(response_format: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a response format in the API's form.

    Args:
        response_format: `text`, `json_object`, or a dict in chat form (`json_schema` nested) or in responses form.

    Raises:
        ConfigurationError: A schema lacks its name.

    Example:
        >>> text_format("json_object")
        {'type': 'json_object'}
    """
    if isinstance(response_format, str):
        return {"type": response_format}
    given = dict(response_format)
    nested = given.pop("json_schema", None)
    if isinstance(nested, Mapping):
        given |= cast(Mapping[str, Any], nested)
    if given.get("type") == "json_schema" and not ("name" in given and "schema" in given):
        raise ConfigurationError(
            "provider_config of openai: response_format of type json_schema needs 'name' and 'schema'.",
            provider="openai",
        )
    return given
