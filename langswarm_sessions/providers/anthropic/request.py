"""One request's body. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.anthropic.content import Block
from langswarm_sessions.providers.anthropic.mapping import Conversation
from langswarm_sessions.providers.anthropic.settings import output_format
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice

__all__ = ["COUNTED_FIELDS", "DEFAULT_MAX_TOKENS", "Body", "Dialect", "request_body", "wire_tool_choice"]

Body = dict[str, Any]

DEFAULT_MAX_TOKENS = 32_000
"""What every model since Claude 4 takes; one that takes less says so, and is asked again with what it named."""

COUNTED_FIELDS = frozenset({"messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"})
"""Fields of a request that count as input."""

_UNTYPED = ("temperature", "top_k", "top_p")
"""Fields the API has and the SDK's method does not."""

_CHOICES = {"auto": "auto", "none": "none", "required": "any"}
_OWN_CHOICES = frozenset({"any", "auto", "none", "tool"})
_TOO_MANY = re.compile(r"max_tokens: \d+ > (\d+)")
_NO_SYSTEM = ("role 'system'", 'role "system"', 'role: "system"', "role: 'system'", "role `system`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a model turned out to take.

    Args:
        system_in_place: It takes system messages within the conversation.
        max_tokens: The longest answer it gives, in tokens.
        unthreaded: Digests of settings under which it keeps no threads.
    """

    system_in_place: bool = True
    max_tokens: int = DEFAULT_MAX_TOKENS
    unthreaded: frozenset[str] = frozenset()

    def without(self, failure: Failure, body: Body, *, settings: str) -> Dialect | None:
        """Return what to try after a refusal; None when the refusal is about something else.

        Args:
            failure: What the provider told.
            body: The body it refused.
            settings: The digest of its settings.
        """
        if failure.code == "thread_unsupported_request" and "thread" in body:
            return replace(self, unthreaded=self.unthreaded | {settings})
        has_system = any(message["role"] == "system" for message in body["messages"])
        if has_system and self.system_in_place and failure.mentions(*_NO_SYSTEM):
            return replace(self, system_in_place=False)
        limit = _TOO_MANY.search(failure.message)
        if limit is not None and body["max_tokens"] == self.max_tokens > int(limit[1]) > 0:
            return replace(self, max_tokens=int(limit[1]))
        return None


def request_body(
    request: ProviderRequest, told: Conversation, *, model: str, config: Mapping[str, Any], dialect: Dialect
) -> Body:
    """Return the arguments of the SDK's `messages.create` for a whole conversation.

    Args:
        request: What the planner decided to send.
        told: Its messages in the API's form.
        model: The model.
        config: The session's provider_config.
        dialect: What the model takes.

    Raises:
        InvalidInputError: A tool definition is malformed.
    """
    body: Body = {
        "model": model,
        "max_tokens": config.get("max_tokens") or dialect.max_tokens,
        "messages": told.messages,
        "stream": True,
        "cache_control": {"type": "ephemeral"},
    }
    if system := "\n\n".join([*([request.instructions] if request.instructions else []), *told.system]):
        body["system"] = system
    body |= _tools(request, config) | _output(in_force(config, request.options))
    if "stop" in config:
        stop = config["stop"]
        body["stop_sequences"] = [stop] if isinstance(stop, str) else list(stop)
    if "service_tier" in config:
        body["service_tier"] = config["service_tier"]
    if "user" in config:
        body["metadata"] = {"user_id": config["user"]}
    if untyped := {name: config[name] for name in _UNTYPED if name in config}:
        body["extra_body"] = untyped
    return body


def _output(config: Mapping[str, Any]) -> Body:
    fields: Body = {}
    output: Body = {}
    if "reasoning_effort" in config:
        output["effort"] = config["reasoning_effort"]
    if "response_format" in config and (wanted := output_format(config["response_format"])) is not None:
        output["format"] = wanted
    if output:
        fields["output_config"] = output
    if "reasoning_summary" in config:
        shown = "omitted" if config["reasoning_summary"] in ("none", "omitted") else "summarized"
        fields["thinking"] = {"type": "adaptive", "display": shown}
    return fields


def _tools(request: ProviderRequest, config: Mapping[str, Any]) -> Body:
    options = request.options
    if not options.tools:
        return {}
    fields: Body = {"tools": wire_tools(options.tools)}
    given = options.tool_choice if options.tool_choice is not None else config.get("tool_choice")
    choice = wire_tool_choice(given)
    if config.get("parallel_tool_calls") is False:
        choice = choice or {"type": "auto"}
        if choice["type"] != "none":
            choice["disable_parallel_tool_use"] = True
    return {**fields, "tool_choice": choice} if choice else fields


def wire_tools(tools: Iterable[Mapping[str, Any]]) -> list[Block]:
    """Return tool definitions in the API's form; those that run at the provider go as they are.

    Raises:
        InvalidInputError: A definition is malformed.
    """
    wire: list[Block] = []
    for tool in tools:
        given = {**tool, "type": "function"} if tool.get("type") == "custom" else tool
        function = function_tool(given)
        if function is None:
            wire.append(dict(tool))
            continue
        item: Block = {"name": function.name, "input_schema": {"type": "object", **function.parameters}}
        if function.description:
            item["description"] = function.description
        wire.append({**item, "strict": True} if function.strict else item)
    return wire


def wire_tool_choice(choice: ToolChoice | None) -> Block | None:
    """Return a choice of tools in the API's form; None when there is none.

    Args:
        choice: As `normal_tool_choice` takes it, or the API's own.

    Raises:
        InvalidInputError: It names no tool.
    """
    kind = choice.get("type") if isinstance(choice, Mapping) else None
    if isinstance(choice, Mapping) and kind in _OWN_CHOICES and (kind != "tool" or choice.get("name")):
        return dict(choice)
    normal = normal_tool_choice(choice)
    if normal is None:
        return None
    mode, _, name = normal.partition(":")
    return {"type": "tool", "name": name} if name else {"type": _CHOICES[mode]}
