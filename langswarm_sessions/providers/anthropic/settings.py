"""Which values of the documented settings the Messages API has a word for. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError, InvalidInputError

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
        _schema_in(config["response_format"])


def output_format(response_format: str | Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a response format in the API's form; None for plain text.

    Args:
        response_format: `text`, or a dict of type `json_schema` in chat form (`json_schema` nested) or flat.

    Raises:
        ConfigurationError: It is another format, or has no schema.
        InvalidInputError: The API has no words for the schema.

    Example:
        >>> output_format({"type": "json_schema", "schema": {"type": "object"}})
        {'type': 'json_schema', 'schema': {'type': 'object', 'properties': {}, 'additionalProperties': False}}
    """
    schema = _schema_in(response_format)
    return None if schema is None else {"type": "json_schema", "schema": _wire_schema(schema)}


def _wire_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema in the subset of JSON Schema the API takes, as the SDK brings that of a class into it."""
    from anthropic import transform_schema

    try:
        return transform_schema(_with_single_types(schema))
    except (ValueError, AssertionError, AttributeError, TypeError) as error:  # what the SDK meets in odd schemas
        raise InvalidInputError(
            "response_format: anthropic takes a schema only if each of its parts has a 'type' of JSON Schema's, "
            "'anyOf', 'allOf', 'enum' or 'const'. Give those that have none a type."
        ) from error


def _with_single_types(part: object) -> Any:
    """Return a schema whose lists of types are alternatives, the form of them the SDK knows."""
    if isinstance(part, list):
        return [_with_single_types(item) for item in cast("Sequence[object]", part)]
    if not isinstance(part, Mapping):
        return part
    plain = {name: _with_single_types(value) for name, value in cast("Mapping[str, Any]", part).items()}
    kinds: object = plain.get("type")
    if not isinstance(kinds, list) or "enum" in plain or "const" in plain:
        return plain
    told = {name: plain.pop(name) for name in ("$defs", "description", "title") if name in plain}
    variants = [{"type": "null"} if kind == "null" else {**plain, "type": kind} for kind in cast("list[object]", kinds)]
    return {**told, "anyOf": variants}


def _schema_in(response_format: str | Mapping[str, Any]) -> Mapping[str, Any] | None:
    given: dict[str, Any] = {"type": response_format} if isinstance(response_format, str) else {**response_format}
    if given.get("type") == "text":
        return None
    nested = given.get("json_schema")
    if isinstance(nested, Mapping):
        given |= dict(cast(Mapping[str, Any], nested))
    schema: object = given.get("schema")
    if given.get("type") != "json_schema" or not isinstance(schema, Mapping):
        raise ConfigurationError(
            "provider_config of anthropic: response_format must be 'text' or a dict of type 'json_schema' with a "
            "'schema'.",
            provider="anthropic",
        )
    return cast("Mapping[str, Any]", schema)


def _one_of(config: Mapping[str, Any], name: str, values: tuple[str, ...]) -> None:
    if config.get(name) is not None and config[name] not in values:
        raise _refused(f"{name} must be one of {', '.join(map(repr, values))}")


def _refused(what: str) -> ConfigurationError:
    return ConfigurationError(f"provider_config of anthropic: {what}.", provider="anthropic")
