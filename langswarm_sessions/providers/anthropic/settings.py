"""Which values of the documented settings the Messages API has a word for. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError

__all__ = ["check_values", "output_format"]

_KINDS = ("ephemeral", "none")
_EFFORTS = ("low", "medium", "high", "xhigh", "max")
_TIERS = ("auto", "standard_only")


def check_values(config: Mapping[str, Any]) -> None:
    """Refuse settings of the right type that every request would be refused for.

    Raises:
        ConfigurationError: The message names the setting and its legal values.
    """
    _one_of(config, "native", _KINDS)
    _one_of(config, "reasoning_effort", _EFFORTS)
    _one_of(config, "service_tier", _TIERS)
    temperature = config.get("temperature")
    if temperature is not None and temperature > 1:
        raise _refused("temperature must be a number from 0 to 1")
    if config.get("response_format") is not None:
        output_format(config["response_format"])


def output_format(response_format: str | Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a response format in the API's form; None for plain text.

    Args:
        response_format: `text`, or a dict of type `json_schema` in chat form (`json_schema` nested) or flat.

    Raises:
        ConfigurationError: It is another format, or has no schema.

    Example:
        >>> output_format({"type": "json_schema", "schema": {"type": "object"}})
        {'type': 'json_schema', 'schema': {'type': 'object'}}
    """
    given: dict[str, Any] = {"type": response_format} if isinstance(response_format, str) else {**response_format}
    if given.get("type") == "text":
        return None
    nested = given.get("json_schema")
    if isinstance(nested, Mapping):
        given |= dict(cast(Mapping[str, Any], nested))
    schema: object = given.get("schema")
    if given.get("type") != "json_schema" or not isinstance(schema, Mapping):
        raise ConfigurationError(
            "anthropic: response_format must be 'text' or a dict of type 'json_schema' with a 'schema'.",
            provider="anthropic",
        )
    return {"type": "json_schema", "schema": dict(cast(Mapping[str, Any], schema))}


def _one_of(config: Mapping[str, Any], name: str, values: tuple[str, ...]) -> None:
    if config.get(name) is not None and config[name] not in values:
        raise _refused(f"{name} must be one of {', '.join(map(repr, values))}")


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(f"provider_config of anthropic: {what}.", provider="anthropic")
