"""The bodies of requests, for both APIs. Pure functions, but for the lazy import of the SDK's request types."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.errors import InvalidInputError, InvalidRequestError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.gemini.contents import input_contents
from langswarm_sessions.providers.gemini.mapping import Item
from langswarm_sessions.providers.gemini.profile import ONLY_WITHOUT_STATE, keeps_nothing
from langswarm_sessions.providers.gemini.steps import input_steps
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import FunctionTool, function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice

if TYPE_CHECKING:
    from google.genai.types import Content, GenerateContentConfig, HttpOptions

__all__ = ["content_arguments", "interaction_body", "is_kept", "wire_choice"]

_SHARED_FIELDS = {
    "max_tokens": "max_output_tokens",
    "seed": "seed",
    "temperature": "temperature",
    "top_p": "top_p",
}
_CONTENT_FIELDS = {**_SHARED_FIELDS, "service_tier": "service_tier", "store": "store"}
_MODES = {"auto": "auto", "none": "none", "required": "any"}
_SHORTEST_DEADLINE = 10
_LONGEST_ANSWER = 600


def is_kept(request: ProviderRequest, config: Mapping[str, Any]) -> bool:
    """Whether the provider is to keep the answer: only when asked, and unless the settings forbid it."""
    return request.keep_native and not keeps_nothing(config)


# Interactions


def interaction_body(request: ProviderRequest, *, model: str, config: Mapping[str, Any]) -> Item:
    """Return the body of `POST /interactions`.

    Only the history is inherited from the interaction before: all else goes with every request.

    Args:
        request: What the planner decided to send.
        model: The model.
        config: The session's provider_config.

    Raises:
        InvalidInputError: A tool definition is malformed.
        InvalidRequestError: The new input holds content the API does not take.
    """
    body: Item = {
        "model": model,
        "input": input_steps(request.messages, model=model),
        "stream": True,
        "store": is_kept(request, config),
    }
    if request.native is not None:
        body["previous_interaction_id"] = request.native.id
    if request.instructions:
        body["system_instruction"] = request.instructions
    if "service_tier" in config:
        body["service_tier"] = config["service_tier"]
    if wanted := wanted_format(in_force(config, request.options)):
        body["response_format"] = {"type": "text", **wanted}
    if tools := request.options.tools:
        body["tools"] = [_interaction_tool(tool) for tool in tools]
    if generation := _generation_config(request, config):
        body["generation_config"] = generation
    return body


def _generation_config(request: ProviderRequest, config: Mapping[str, Any]) -> Item:
    fields: Item = {wire: config[name] for name, wire in _SHARED_FIELDS.items() if name in config}
    if "stop" in config:
        fields["stop_sequences"] = _stop(config["stop"])
    if "reasoning_effort" in config:
        fields["thinking_level"] = config["reasoning_effort"]
    if "reasoning_summary" in config:
        fields["thinking_summaries"] = "none" if config["reasoning_summary"] == "none" else "auto"
    mode, names = _tool_choice(request, config)
    if names:
        fields["tool_choice"] = {"allowed_tools": {"mode": mode, "tools": names}}
    elif mode:
        fields["tool_choice"] = mode
    return fields


def _interaction_tool(tool: Mapping[str, Any]) -> Item:
    function = function_tool(tool)
    if function is None:
        return dict(tool)
    return {"type": "function", **_declared(function, schema="parameters")}


# generate_content


def content_arguments(
    request: ProviderRequest, *, model: str, config: Mapping[str, Any], seconds: float
) -> tuple[list[Content], GenerateContentConfig]:
    """Return `contents` and `config` of `generate_content_stream`.

    Args:
        request: What the planner decided to send.
        model: The model.
        config: The session's provider_config.
        seconds: How long a silent request may take.

    Raises:
        InvalidInputError: A tool definition is malformed.
        InvalidRequestError: The new input holds content the API does not take.
    """
    from google.genai.types import AutomaticFunctionCallingConfig, Content, GenerateContentConfig
    from pydantic import TypeAdapter, ValidationError

    contents = input_contents(request.messages, model=model)
    fields = _content_config(request, config)
    try:
        # As JSON: base64 is read as such.
        return TypeAdapter(list[Content]).validate_json(json.dumps(contents)), GenerateContentConfig(
            **fields,
            automatic_continuation=False,
            automatic_function_calling=AutomaticFunctionCallingConfig(disable=True),
            http_options=_http_options(request, seconds),
        )
    except ValidationError as error:
        place = ".".join(str(step) for step in error.errors(include_input=False)[0]["loc"])
    raise InvalidRequestError(
        f"gemini: the request cannot be encoded (at {place}). Check tools and settings, and that data is base64.",
        provider="gemini",
    )


def _http_options(request: ProviderRequest, seconds: float) -> HttpOptions:
    from google.genai.types import HttpOptions, HttpRetryOptions

    # The provider ends the whole answer by it, so it is not what a silence may take; below ten seconds it refuses.
    deadline = max(_SHORTEST_DEADLINE, math.ceil(request.timeout or max(seconds, _LONGEST_ANSWER)))
    return HttpOptions(
        timeout=math.ceil(seconds * 1000),
        headers={"X-Server-Timeout": str(deadline)},
        retry_options=HttpRetryOptions(attempts=1),
    )


def _content_config(request: ProviderRequest, config: Mapping[str, Any]) -> Item:
    fields: Item = {wire: config[name] for name, wire in _CONTENT_FIELDS.items() if name in config}
    if keeps_nothing(config):  # else the session's other turns would be asked without them
        fields |= {name: config[name] for name in ONLY_WITHOUT_STATE if name in config}
    if request.instructions:
        fields["system_instruction"] = request.instructions
    if "stop" in config:
        fields["stop_sequences"] = _stop(config["stop"])
    thinking: Item = {}
    if "reasoning_effort" in config:
        thinking["thinking_level"] = config["reasoning_effort"].upper()
    if "reasoning_summary" in config:
        thinking["include_thoughts"] = config["reasoning_summary"] != "none"
    if thinking:
        fields["thinking_config"] = thinking
    if wanted := wanted_format(in_force(config, request.options)):
        fields["response_mime_type"] = wanted["mime_type"]
        if "schema" in wanted:
            fields["response_json_schema"] = wanted["schema"]
    if tools := request.options.tools:
        fields["tools"] = _content_tools(tools)
    mode, names = _tool_choice(request, config)
    if mode:
        chosen = {"mode": mode.upper(), **({"allowed_function_names": names} if names else {})}
        fields["tool_config"] = {"function_calling_config": chosen}
    return fields


def _content_tools(tools: Sequence[Mapping[str, Any]]) -> list[Item]:
    functions = [(tool, function_tool(tool)) for tool in tools]
    declared = [_declared(function, schema="parameters_json_schema") for _, function in functions if function]
    own = [
        {str(tool["type"]): {name: value for name, value in tool.items() if name != "type"}}
        for tool, function in functions
        if function is None
    ]
    return [*([{"function_declarations": declared}] if declared else []), *own]


# What both share


def _declared(function: FunctionTool, *, schema: str) -> Item:
    declared: Item = {"name": function.name, schema: dict(function.parameters)}
    return {**declared, "description": function.description} if function.description else declared


def _tool_choice(request: ProviderRequest, config: Mapping[str, Any]) -> tuple[str | None, list[str]]:
    """Return the mode of tool choice and the names that may be called, as far as they are given."""
    options = request.options
    choice: ToolChoice | None = options.tool_choice if options.tool_choice is not None else config.get("tool_choice")
    if choice is None or not options.tools:
        return None, []
    return wire_choice(choice)


def wire_choice(choice: ToolChoice) -> tuple[str, list[str]]:
    """Return a choice of tools in the API's terms: the mode, and the names that may be called.

    Raises:
        InvalidInputError: It is a dict that names no function.
    """
    kind: object = choice.get("type") if isinstance(choice, Mapping) else None
    if kind not in {None, "function"}:
        raise InvalidInputError("gemini: tool_choice must be 'auto', 'none', 'required', or name a function.")
    normal = normal_tool_choice(choice) or "auto"
    mode, _, name = normal.partition(":")
    return ("any", [name]) if name else (_MODES[mode], [])


def _stop(stop: str | Iterable[str]) -> list[str]:
    return [stop] if isinstance(stop, str) else list(stop)


def wanted_format(config: Mapping[str, Any]) -> Item:
    """Return MIME type and JSON schema of the setting `response_format`; nothing for plain text.

    Example:
        >>> wanted_format({"response_format": "json_object"})
        {'mime_type': 'application/json'}
    """
    given = config.get("response_format")
    if given is None:
        return {}
    data: Item = dict(given) if isinstance(given, Mapping) else {"type": given}  # pyright: ignore[reportUnknownArgumentType]
    nested = data.pop("json_schema", None)
    if isinstance(nested, Mapping):
        data |= cast(Item, nested)
    if data.get("type") == "text":
        return {}
    schema = data.get("schema")
    return {"mime_type": "application/json", **({"schema": schema} if schema is not None else {})}
