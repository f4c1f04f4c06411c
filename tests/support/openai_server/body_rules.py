"""What the API demands of a body beyond its types: required fields, limits, and what this server leaves out."""

from __future__ import annotations

import re

from tests.support.provider_server.json_types import JsonObject, objects, string

from .api_errors import ApiError

_NUMBER_LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "max_output_tokens": (16, 10_000_000),
    "top_logprobs": (0, 20),
}
_NOT_SERVED = ("background", "prompt")
_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_METADATA_PAIRS, _METADATA_KEY, _METADATA_VALUE = 16, 64, 512


def check_body(body: JsonObject) -> None:
    """Refuse a body that is well typed and still no legal request.

    Raises:
        ApiError: 400, naming the field.
    """
    _check_presence(body)
    check_numbers(body)
    check_metadata(body)
    for index, tool in enumerate(objects(body.get("tools"))):
        if string(tool, "type") == "function":
            check_function(tool, index)


def check_numbers(body: JsonObject) -> None:
    """Refuse numbers out of their limits.

    Raises:
        ApiError: 400, naming the field.
    """
    for field, (lowest, highest) in _NUMBER_LIMITS.items():
        value = body.get(field)
        if isinstance(value, int | float) and not lowest <= value <= highest:
            side = "below_min" if value < lowest else "above_max"
            message = f"Invalid '{field}': expected a value between {lowest:g} and {highest:g}, but got {value:g}."
            raise ApiError(400, message, code=f"{'integer' if lowest > 1 else 'decimal'}_{side}_value", param=field)


def _check_presence(body: JsonObject) -> None:
    if not string(body, "model"):
        raise ApiError(400, "Missing required parameter: 'model'.", code="missing_required_parameter", param="model")
    if body.get("conversation") and body.get("previous_response_id"):
        message = "Mutually exclusive parameters: 'previous_response_id' and 'conversation'."
        raise ApiError(400, message, code="mutually_exclusive_parameters", param="previous_response_id")
    for field in _NOT_SERVED:
        if body.get(field):
            raise ApiError(400, f"Unsupported parameter: '{field}'.", code="unsupported_parameter", param=field)
    if not (body.get("input") or body.get("previous_response_id") or body.get("conversation")):
        message = "One of 'input', 'previous_response_id', 'prompt' or 'conversation' must be provided."
        raise ApiError(400, message, code="missing_required_parameter", param="input")


def check_metadata(body: JsonObject) -> None:
    """Refuse more metadata than the API takes: 16 pairs, keys of 64 and values of 512 characters.

    Raises:
        ApiError: 400, naming the limit.
    """
    metadata = body.get("metadata")
    pairs = metadata if isinstance(metadata, dict) else {}
    if len(pairs) > _METADATA_PAIRS:
        message = f"Invalid 'metadata': at most {_METADATA_PAIRS} properties, but got {len(pairs)}."
        raise ApiError(400, message, code="object_above_max_properties", param="metadata")
    for key, value in pairs.items():
        if len(key) > _METADATA_KEY or (isinstance(value, str) and len(value) > _METADATA_VALUE):
            raise ApiError(
                400, f"Invalid 'metadata.{key}': string too long.", code="string_above_max_length", param="metadata"
            )


def check_function(tool: JsonObject, index: int) -> None:
    """Refuse a function whose name or strict schema the API does not take.

    Raises:
        ApiError: 400, naming the tool.
    """
    name = string(tool, "name")
    if not _TOOL_NAME.fullmatch(name):
        message = f"Invalid 'tools[{index}].name': string does not match pattern '^[a-zA-Z0-9_-]+$'."
        raise ApiError(400, message, code="invalid_value", param=f"tools[{index}].name")
    parameters = tool.get("parameters")
    if tool.get("strict") is True and isinstance(parameters, dict):
        problem = _strict_problem(parameters)
        if problem:
            message = f"Invalid schema for function '{name}': {problem}."
            code = "invalid_function_parameters"
            raise ApiError(400, message, code=code, param=f"tools[{index}].parameters")


def _strict_problem(schema: JsonObject) -> str | None:
    """Return why a JSON schema cannot be used with ``strict: true``, None when it can."""
    properties = schema.get("properties")
    if string(schema, "type") == "object" or isinstance(properties, dict):
        if schema.get("additionalProperties") is not False:
            return "'additionalProperties' is required to be supplied and to be false"
        required = schema.get("required")
        named = set(properties) if isinstance(properties, dict) else set[str]()
        if named - {key for key in (required if isinstance(required, list) else []) if isinstance(key, str)}:
            return "'required' is required to be supplied and to be an array including every key in properties"
    nested = list(properties.values()) if isinstance(properties, dict) else []
    for part in objects([*nested, schema.get("items")]):
        problem = _strict_problem(part)
        if problem:
            return problem
    return None
