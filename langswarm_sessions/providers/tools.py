"""Tool definitions and tool choices, brought into one form. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.records import ToolChoice

__all__ = ["FunctionTool", "function_tool", "normal_tool_choice", "parse_arguments"]

_MODES = {"auto": "auto", "none": "none", "required": "required", "any": "required"}


def _no_arguments() -> dict[str, Any]:
    return {"type": "object", "properties": {}, "required": [], "additionalProperties": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionTool:
    """A function a model may call.

    Args:
        name: The function's name.
        description: When and how to use it.
        parameters: JSON schema of its arguments.
        strict: Whether the model must follow the schema to the letter.
    """

    name: str
    description: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=_no_arguments)
    strict: bool = False


def function_tool(tool: Mapping[str, Any]) -> FunctionTool | None:
    """Return the function a tool definition describes; None for a tool that runs at the provider.

    Args:
        tool: `{"name", "description", "parameters"}`, the same under `"function"` (chat form), or with
            `"type": "function"` beside it (responses form). `input_schema` is taken for `parameters`.

    Raises:
        InvalidInputError: The definition has no name, or its parameters are no JSON schema object.

    Example:
        >>> function_tool({"type": "function", "function": {"name": "clock"}}).name
        'clock'
    """
    kind = tool.get("type", "function")
    if kind != "function":
        return None
    inner: object = tool.get("function", tool)
    if not isinstance(inner, Mapping):
        raise InvalidInputError("tools: 'function' must be a dict with name, description and parameters.")
    data: Mapping[str, Any] = inner  # pyright: ignore[reportUnknownVariableType]
    name, schema = data.get("name"), data.get("parameters", data.get("input_schema"))
    if not isinstance(name, str) or not name:
        raise InvalidInputError("tools: each tool needs a 'name' (a non-empty string).")
    if schema is not None and not isinstance(schema, Mapping):
        raise InvalidInputError(f"tools: the 'parameters' of {name!r} must be a JSON schema (a dict).")
    given: dict[str, Any] = {} if schema is None else {"parameters": schema}
    return FunctionTool(name=name, description=data.get("description"), strict=data.get("strict") is True, **given)


def normal_tool_choice(choice: ToolChoice | None) -> str | None:
    """Return `auto`, `none`, `required`, or the name of the one tool to call behind `tool:`.

    Args:
        choice: One of those words (`any` means `required`), a tool's name, or a dict naming a function in chat or
            responses form.

    Raises:
        InvalidInputError: The dict names no function.

    Example:
        >>> normal_tool_choice({"type": "function", "function": {"name": "clock"}})
        'tool:clock'
    """
    if choice is None:
        return None
    if isinstance(choice, str):
        return _MODES.get(choice, f"tool:{choice}")
    inner: object = choice.get("function", choice)
    name: object = inner.get("name") if isinstance(inner, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    if not isinstance(name, str) or not name:
        raise InvalidInputError("tool_choice: a dict must name a function: {'type': 'function', 'name': ...}.")
    return f"tool:{name}"


def parse_arguments(text: str) -> dict[str, Any] | None:
    """Return the arguments of a tool call; None when the model wrote something other than a JSON object.

    Example:
        >>> parse_arguments('{"zone": "UTC"}')
        {'zone': 'UTC'}
    """
    try:
        arguments: object = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return None
    return cast(dict[str, Any], arguments) if isinstance(arguments, dict) else None
