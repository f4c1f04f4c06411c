"""One request's body. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.cohere.answers import Item
from langswarm_sessions.providers.cohere.mapping import Senses, chat_messages
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import FunctionTool, function_tool, normal_tool_choice

__all__ = ["request_body", "senses_of", "wire_format"]

_PLAIN_FIELDS = {
    "frequency_penalty": "frequency_penalty",
    "max_tokens": "max_tokens",
    "presence_penalty": "presence_penalty",
    "safety_mode": "safety_mode",
    "seed": "seed",
    "temperature": "temperature",
    "top_k": "k",
    "top_p": "p",
}


def senses_of(config: Mapping[str, Any], *, sees: bool) -> Senses:
    """Return what the model takes: with thinking switched off, the API takes no earlier thinking either.

    Args:
        config: The session's provider_config.
        sees: Whether the model takes images, as far as is known.
    """
    return Senses(sees=sees, thinks=config.get("reasoning_effort") != "none")


def request_body(request: ProviderRequest, *, model: str, config: Mapping[str, Any], senses: Senses) -> dict[str, Any]:
    """Return the body of `POST /v2/chat`, but for `stream`, as arguments of the SDK's `chat_stream`.

    Args:
        request: What the planner decided to send.
        model: The model.
        config: The session's provider_config.
        senses: What the model takes.

    Raises:
        InvalidInputError: A tool definition is malformed, or the tool to call is not among the tools.
        InvalidRequestError: The new input holds content the API or the model does not take.
    """
    system: list[Item] = [{"role": "system", "content": request.instructions}] if request.instructions else []
    body: dict[str, Any] = {
        "model": model,
        "messages": system + chat_messages(request.messages, model=model, senses=senses),
    }
    body |= {wire: config[name] for name, wire in _PLAIN_FIELDS.items() if name in config}
    if "stop" in config:
        stop: str | list[str] = config["stop"]
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if wanted := in_force(config, request.options).get("response_format"):
        body["response_format"] = wire_format(wanted)
    if "citation_mode" in config:
        body["citation_options"] = {"mode": config["citation_mode"]}
    return body | _thinking(config) | _tools(request, config)


def _thinking(config: Mapping[str, Any]) -> dict[str, Any]:
    """Cohere's models think or do not: every effort but `none` switches it on."""
    effort, budget = config.get("reasoning_effort"), config.get("thinking_budget")
    if effort == "none":
        return {"thinking": {"type": "disabled"}}
    if effort is None and budget is None:
        return {}
    enabled: Item = {"type": "enabled"}
    return {"thinking": enabled if budget is None else {**enabled, "token_budget": budget}}


def wire_format(response_format: str | Mapping[str, Any]) -> Item:
    """Return a response format in the API's form.

    Args:
        response_format: `text`, `json_object`, or a dict: the API's own, chat form (`json_schema` with `schema` in it)
            or responses form (`schema` beside `type`).

    Raises:
        ConfigurationError: The format asks for a schema and has none.

    Example:
        >>> wire_format({"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object"}}})
        {'type': 'json_object', 'json_schema': {'type': 'object'}}
    """
    given: Mapping[str, Any] = {"type": response_format} if isinstance(response_format, str) else response_format
    kind = given.get("type")
    if kind not in {"json_object", "json_schema"}:
        return dict(given)
    schema: object = given.get("json_schema", given.get("schema"))
    if kind == "json_schema" and isinstance(schema, Mapping) and "json_schema" in given:
        schema = cast("Mapping[str, object]", schema).get("schema")
    if isinstance(schema, Mapping):
        return {"type": "json_object", "json_schema": dict(cast("Mapping[str, Any]", schema))}
    if kind == "json_schema" or schema is not None:
        raise ConfigurationError(
            "provider_config of cohere: response_format of type json_schema needs a 'schema' (a dict).",
            provider="cohere",
        )
    return {"type": "json_object"}


def _tools(request: ProviderRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    options = request.options
    if not options.tools:
        return {}
    tools = _functions(options.tools)
    fields: dict[str, Any] = {}
    chosen = options.tool_choice if options.tool_choice is not None else config.get("tool_choice")
    mode, _, name = (normal_tool_choice(chosen) or "auto").partition(":")
    if name:  # the API cannot name one: it is offered alone
        tools, mode = [tool for tool in tools if tool.name == name], "required"
        if not tools:
            raise InvalidInputError("tool_choice: it names a tool that is not among the tools.")
    if mode != "auto":
        fields["tool_choice"] = mode.upper()
    if all(tool.strict for tool in tools):
        fields["strict_tools"] = True
    return {"tools": [_wire_tool(tool) for tool in tools], **fields}


def _functions(tools: Iterable[Mapping[str, Any]]) -> list[FunctionTool]:
    found = [function_tool(tool) for tool in tools]
    functions = [tool for tool in found if tool is not None]
    if len(functions) < len(found):
        raise InvalidInputError("tools: Cohere runs no tools of its own; give only tools of type 'function'.")
    return functions


def _wire_tool(tool: FunctionTool) -> Item:
    function: Item = {"name": tool.name, "parameters": dict(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}
