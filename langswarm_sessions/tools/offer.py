"""What a model is offered in a turn: tools, which of them it must call, and the form of its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import plain_mapping
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ResponseFormat, TurnOptions, check_schema, response_format_of

__all__ = ["turn_options"]

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
"""What at least one provider takes."""

_FREE = frozenset({None, "auto", "none"})


def turn_options(
    tools: Sequence[Mapping[str, Any]] | None,
    tool_choice: str | Mapping[str, Any] | None,
    *,
    response_format: ResponseFormat | None = None,
) -> TurnOptions:
    """Return a turn's options from JSON function definitions.

    Raises:
        InvalidInputError: A tool is no dict or no definition, the choice names none of them, or the response format is
            none.
    """
    given: object = tools
    if given is not None and not isinstance(given, list | tuple):
        raise InvalidInputError("tools must be a list of JSON function definitions.")
    plain = tuple(_tool(tool, where=f"tools[{position}]") for position, tool in enumerate(tools or ()))
    return TurnOptions(
        tools=plain,
        tool_choice=_tool_choice(tool_choice, plain),
        response_format=response_format_of(response_format),
    )


def _tool(tool: object, *, where: str) -> dict[str, Any]:
    plain = plain_mapping(tool, field=where)
    if plain.get("type", "function") == "function":
        _check_function(plain.get("function", plain), where=where)
    return plain


def _check_function(function: object, *, where: str) -> None:
    told = cast("dict[str, Any]", function) if isinstance(function, dict) else {}
    name, description = told.get("name"), told.get("description")
    if not isinstance(name, str) or not name:
        raise InvalidInputError(
            f"{where} needs a 'name': pass {{'name', 'description', 'parameters' (a JSON schema)}}."
        )
    if not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{where}: a tool's name must have 1 to 128 letters (a-z), digits, '_', '-', '.' or ':'. Rename it."
        )
    if not isinstance(description, str | None):
        raise InvalidInputError(f"{where} ({name}): its description must be a string.")
    parameters = told.get("parameters", told.get("input_schema"))
    if parameters is None:
        return
    field = f"{where} ({name}): parameters"
    if not isinstance(parameters, dict) or not _is_of_objects(cast("dict[str, Any]", parameters)):
        raise InvalidInputError(f"{field} must be a JSON schema of type 'object', which has a property for each.")
    check_schema(cast("object", parameters), field=field)


def _is_of_objects(schema: Mapping[str, Any]) -> bool:
    return schema.get("type", "object") in ("object", ["object"])


def _tool_choice(choice: object, tools: Sequence[Mapping[str, Any]]) -> str | dict[str, Any] | None:
    if isinstance(choice, Mapping):
        plain = plain_mapping(cast("object", choice), field="tool_choice")
        if _names_function(plain):
            _check_chosen(normal_tool_choice(plain), tools)
        return plain
    if choice is not None and (not isinstance(choice, str) or not choice):
        raise InvalidInputError("tool_choice must be 'auto', 'none', 'required', a tool's name or a dict.")
    _check_chosen(normal_tool_choice(choice), tools)
    return choice


def _names_function(choice: Mapping[str, Any]) -> bool:
    """Whether a dict names one function; the providers' other forms are theirs to judge."""
    named: object = choice.get("function", choice)
    is_own_form = choice.get("type", "function") not in ("function", "tool")
    return not is_own_form and isinstance(named, dict) and "name" in named


def _check_chosen(chosen: str | None, tools: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a choice that nothing fulfils; what tools of the provider's own are called is known there alone."""
    functions = [function_tool(tool) for tool in tools]
    if chosen in _FREE or None in functions:
        return
    names = [function.name for function in functions if function is not None]
    if not names:
        raise InvalidInputError("tool_choice asks for a call, but there are no tools. Pass tools=[...] with it.")
    name = str(chosen).removeprefix("tool:")
    if chosen != "required" and name not in names:
        raise InvalidInputError(f"tool_choice: {name[:64]!r} is not among the tools: {', '.join(names)}.")
