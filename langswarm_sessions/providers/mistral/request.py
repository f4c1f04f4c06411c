"""The bodies of requests, and what of them a conversation keeps from its start. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.mistral.chat import chat_messages
from langswarm_sessions.providers.mistral.mapping import Entry, Mapped, Target, entries_of
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice

__all__ = [
    "append_body",
    "chat_body",
    "conversation_inputs",
    "fingerprint",
    "fork_body",
    "merged_metadata",
    "start_body",
    "wire_format",
    "wire_tools",
]

_COMPLETION_FIELDS = {
    "frequency_penalty": "frequency_penalty",
    "max_tokens": "max_tokens",
    "presence_penalty": "presence_penalty",
    "reasoning_effort": "reasoning_effort",
    "seed": "random_seed",
    "stop": "stop",
    "temperature": "temperature",
    "top_p": "top_p",
}
_CHAT_FIELDS = {
    **_COMPLETION_FIELDS,
    "parallel_tool_calls": "parallel_tool_calls",
    "service_tier": "service_tier",
    "top_k": "top_k",
}
_NOT_OF_AN_AGENT = ("temperature", "top_p")
"""What agents' completions do not take: the agent has its own."""
_METADATA_KEYS = ("thread_metadata", "conversation_metadata", "metadata")


def conversation_inputs(request: ProviderRequest, *, model: str) -> Mapped:
    """Return the input entries of a request to a conversation.

    Args:
        request: What the planner decided to send.
        model: The model.

    Raises:
        InvalidRequestError: The new input holds content a conversation does not take.
    """
    issued = () if request.native is None else request.native.open_calls
    return entries_of(request.messages, model=model, target=Target.CONVERSATION, issued=issued)


def start_body(request: ProviderRequest, *, model: str, config: Mapping[str, Any], inputs: Mapped) -> dict[str, Any]:
    """Return what starts a conversation.

    Args:
        request: What the planner decided to send.
        model: The model.
        config: The session's provider_config.
        inputs: What `conversation_inputs` made of the messages.

    Raises:
        InvalidInputError: A tool definition or the tool choice is not one a conversation takes.
        ConfigurationError: `response_format` lacks its name or schema.
    """
    agent = config.get("agent_id")
    body: dict[str, Any] = {"inputs": inputs.entries, "store": True}
    body |= {"agent_id": agent} if agent else {"model": model}
    if instructions := "\n\n".join([*_given(request.instructions), *inputs.system]):
        body["instructions"] = instructions
    if request.options.tools:
        body["tools"] = wire_tools(request.options.tools)
    if metadata := merged_metadata(config):
        body["metadata"] = metadata
    return body | _completion_args(request, config)


def append_body(request: ProviderRequest, *, config: Mapping[str, Any], inputs: Mapped) -> dict[str, Any]:
    """Return what continues a conversation: arguments are as for `start_body`."""
    return {"inputs": inputs.entries, "store": True} | _completion_args(request, config)


def fork_body(request: ProviderRequest, *, config: Mapping[str, Any], inputs: Mapped) -> dict[str, Any]:
    """Return what continues a copy of a conversation, which is given metadata anew: arguments as for `start_body`."""
    metadata = merged_metadata(config)
    return append_body(request, config=config, inputs=inputs) | ({"metadata": metadata} if metadata else {})


def fingerprint(request: ProviderRequest, *, model: str, config: Mapping[str, Any]) -> str:
    """Return a digest of what a conversation keeps from its start: model or agent, instructions, tools.

    Args:
        request: What the planner decided to send.
        model: The model.
        config: The session's provider_config.

    Raises:
        InvalidInputError: A tool definition is malformed.
    """
    agent = config.get("agent_id")
    kept = [agent or model, bool(agent), request.instructions or "", wire_tools(request.options.tools)]
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:32]


def chat_body(request: ProviderRequest, *, session_id: str, model: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a chat completion, of an agent's if there is one.

    Args:
        request: What the planner decided to send.
        session_id: Its digest helps the provider's prompt cache find the conversation.
        model: The model.
        config: The session's provider_config.

    Raises:
        InvalidInputError: A tool definition is malformed.
        InvalidRequestError: The new input holds content the API does not take.
        ConfigurationError: `response_format` lacks its name or schema.
    """
    mapped = entries_of(request.messages, model=model, target=Target.CHAT)
    agent = config.get("agent_id")
    fields = {wire: config[name] for name, wire in _CHAT_FIELDS.items() if name in config}
    if agent:
        fields = {name: value for name, value in fields.items() if name not in _NOT_OF_AN_AGENT}
    body: dict[str, Any] = {
        **({"agent_id": agent} if agent else {"model": model}),
        "messages": chat_messages(mapped.entries, system=[*_given(request.instructions), *mapped.system]),
        "prompt_cache_key": hashlib.sha256(session_id.encode()).hexdigest()[:32],
        **fields,
    }
    if request.options.tools:
        body["tools"] = wire_tools(request.options.tools)
        if (choice := _choice(request, config)) is not None:
            mode, _, name = choice.partition(":")
            body["tool_choice"] = {"type": "function", "function": {"name": name}} if name else mode
    if wanted := in_force(config, request.options).get("response_format"):
        body["response_format"] = wire_format(wanted)
    if metadata := merged_metadata(config):
        body["metadata"] = metadata
    return body


def _given(instructions: str | None) -> tuple[str, ...]:
    return (instructions,) if instructions else ()


def _completion_args(request: ProviderRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    args = {wire: config[name] for name, wire in _COMPLETION_FIELDS.items() if name in config}
    if wanted := in_force(config, request.options).get("response_format"):
        args["response_format"] = wire_format(wanted)
    if request.options.tools and (choice := _choice(request, config)) is not None:
        if ":" in choice:
            raise InvalidInputError(
                "tool_choice: a Mistral conversation cannot be told which tool to call. Use 'required' with that tool "
                "alone, or strategy 'client'."
            )
        args["tool_choice"] = choice
    return {"completion_args": args} if args else {}


def _choice(request: ProviderRequest, config: Mapping[str, Any]) -> str | None:
    asked: ToolChoice | None = request.options.tool_choice
    return normal_tool_choice(config.get("tool_choice") if asked is None else asked)


def wire_tools(tools: Iterable[Mapping[str, Any]]) -> list[Entry]:
    """Return tool definitions in the API's form; those of other types than function go as they are.

    Raises:
        InvalidInputError: A definition is malformed.
    """
    wire: list[Entry] = []
    for tool in tools:
        function = function_tool(tool)
        if function is None:
            wire.append(dict(tool))
            continue
        described = {"description": function.description} if function.description else {}
        strict = {"strict": True} if function.strict else {}
        made = {"name": function.name, "parameters": dict(function.parameters), **described, **strict}
        wire.append({"type": "function", "function": made})
    return wire


def wire_format(response_format: str | Mapping[str, Any]) -> dict[str, Any]:
    """Return a response format in chat form, whichever it was given in.

    Raises:
        ConfigurationError: A schema lacks its name, or is missing.
    """
    if isinstance(response_format, str):
        return {"type": response_format}
    given = dict(response_format)
    if given.get("type") != "json_schema":
        return given
    nested = given.pop("json_schema", None)
    inner = {**given, **cast("Mapping[str, Any]", nested)} if isinstance(nested, Mapping) else given
    schema = {name: inner[name] for name in ("name", "description", "schema", "strict") if inner.get(name) is not None}
    if not ("name" in schema and "schema" in schema):
        raise ConfigurationError(
            "provider_config of mistral: response_format of type json_schema needs 'name' and 'schema'.",
            provider="mistral",
        )
    return {"type": "json_schema", "json_schema": schema}


def merged_metadata(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata to attach: thread's and conversation's and the plain one."""
    merged: dict[str, Any] = {}
    for name in _METADATA_KEYS:
        merged.update(config.get(name) or {})
    return merged
