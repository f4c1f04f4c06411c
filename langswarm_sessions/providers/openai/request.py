"""One request's body. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.mapping import Item, input_items
from langswarm_sessions.providers.openai.settings import METADATA_KEYS, merged_metadata, text_format
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice

if TYPE_CHECKING:
    from openai.types.responses.response_create_params import ResponseCreateParamsStreaming

__all__ = ["Dialect", "is_kept", "request_body"]

_ENCRYPTED = "reasoning.encrypted_content"
_PLAIN_FIELDS = {
    "max_tokens": "max_output_tokens",
    "service_tier": "service_tier",
    "temperature": "temperature",
    "top_p": "top_p",
    "truncation": "truncation",
    "user": "safety_identifier",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What a model or server turned out to take.

    Args:
        encrypts: It returns reasoning encrypted (models that do not reason refuse to be asked).
        replays: It takes back the encrypted reasoning of this transcript (another account cannot read it).
        is_own: It is OpenAI's own API, which tells what types of content it takes.
    """

    encrypts: bool = True
    replays: bool = True
    is_own: bool = True

    def without(self, failure: Failure) -> Dialect | None:
        """Return what to try after a refusal; None when the refusal is about something else."""
        if self.encrypts and (
            (failure.param or "").startswith("include") or failure.says("encrypted content is not supported")
        ):
            return replace(self, encrypts=False)
        if self.replays and failure.code == "invalid_encrypted_content":
            return replace(self, replays=False)
        return None


def is_kept(request: ProviderRequest, config: Mapping[str, Any]) -> bool:
    """Whether the provider is to keep the answer: only when asked, and unless `store` forbids it."""
    return request.keep_native and config.get("store") is not False


def request_body(
    request: ProviderRequest,
    *,
    session_id: str,
    model: str,
    config: Mapping[str, Any],
    dialect: Dialect,
    conversation: str | None = None,
) -> ResponseCreateParamsStreaming:
    """Return the body of `POST /responses`.

    Args:
        request: What the planner decided to send.
        session_id: Its digest helps the provider's prompt cache find the conversation.
        model: The model.
        config: The session's provider_config.
        dialect: What the model takes.
        conversation: The conversation it is a turn of; None continues from the request's node, if it has one.

    Raises:
        InvalidInputError: A tool definition is malformed.
        InvalidRequestError: The new input holds content the API does not take.
    """
    config = in_force(config, request.options)
    body: dict[str, Any] = {
        "model": model,
        "input": input_items(request.messages, model=model, replay_reasoning=dialect.replays, is_own=dialect.is_own),
        "stream": True,
        "store": is_kept(request, config) or config.get("store") is True,
        "prompt_cache_key": hashlib.sha256(session_id.encode()).hexdigest()[:32],
    }
    if conversation is not None:
        body["conversation"] = conversation
    elif request.native is not None:
        body["previous_response_id"] = request.native.id
    if request.instructions:
        body["instructions"] = request.instructions
    if dialect.encrypts:
        body["include"] = [_ENCRYPTED]
    body |= {wire: config[name] for name, wire in _PLAIN_FIELDS.items() if name in config}
    if "compact_threshold" in config:
        body["context_management"] = [{"type": "compaction", "compact_threshold": config["compact_threshold"]}]
    body |= _reasoning(config) | _text(config) | _tools(request, config)
    if metadata := merged_metadata(config, METADATA_KEYS if conversation is None else ("metadata",)):
        body["metadata"] = metadata
    return cast("ResponseCreateParamsStreaming", body)


def _reasoning(config: Mapping[str, Any]) -> dict[str, Any]:
    fields = {"effort": config.get("reasoning_effort"), "summary": config.get("reasoning_summary")}
    given = {name: value for name, value in fields.items() if value is not None}
    return {"reasoning": given} if given else {}


def _text(config: Mapping[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = {}
    if "response_format" in config:
        text["format"] = text_format(config["response_format"])
    if "verbosity" in config:
        text["verbosity"] = config["verbosity"]
    return {"text": text} if text else {}


def _tools(request: ProviderRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    options = request.options
    if not options.tools:
        return {}
    fields: dict[str, Any] = {"tools": wire_tools(options.tools)}
    choice = options.tool_choice if options.tool_choice is not None else config.get("tool_choice")
    if choice is not None:
        fields["tool_choice"] = _tool_choice(choice)
    if "parallel_tool_calls" in config:
        fields["parallel_tool_calls"] = config["parallel_tool_calls"]
    return fields


def wire_tools(tools: Iterable[Mapping[str, Any]]) -> list[Item]:
    """Return tool definitions in the API's form; those of other types than function go as they are.

    Raises:
        InvalidInputError: A definition is malformed.
    """
    wire: list[Item] = []
    for tool in tools:
        function = function_tool(tool)
        if function is None:
            wire.append(dict(tool))
            continue
        item: Item = {
            "type": "function",
            "name": function.name,
            "parameters": dict(function.parameters),
            "strict": function.strict,
        }
        wire.append({**item, "description": function.description} if function.description else item)
    return wire


def _tool_choice(choice: ToolChoice) -> object:
    if isinstance(choice, Mapping) and choice.get("type", "function") != "function":
        return dict(choice)
    normal = normal_tool_choice(choice) or "auto"
    mode, _, name = normal.partition(":")
    return {"type": "function", "name": name} if name else mode
