"""The body of one request to Chat Completions. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.openai.chat_messages import REASONING_FIELDS, chat_messages
from langswarm_sessions.providers.openai.media import is_own_address
from langswarm_sessions.providers.openai.settings import merged_metadata, text_format
from langswarm_sessions.providers.settings import in_force
from langswarm_sessions.providers.tools import function_tool, normal_tool_choice
from langswarm_sessions.records import ToolChoice

if TYPE_CHECKING:
    from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming

__all__ = ["ChatDialect", "chat_body", "first_dialect"]

_PLAIN_FIELDS = (
    "frequency_penalty",
    "presence_penalty",
    "reasoning_effort",
    "seed",
    "service_tier",
    "stop",
    "store",
    "temperature",
    "top_p",
    "verbosity",
)
_OLD_LIMIT, _NEW_LIMIT = "max_tokens", "max_completion_tokens"
_UNKNOWN_FIELD_CODES = frozenset({"unknown_parameter", "unsupported_parameter"})
_UNKNOWN_FIELD_WORDS = ("not support", "unsupported", "unrecognized", "unknown", "not permitted", "unexpected")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDialect:
    """What a server or model takes, at first by its address, then by what it refused.

    Args:
        is_own: It is OpenAI's own API, which has fields that others do not know.
        limit: The field that bounds the answer's tokens.
        is_limit_sure: Whether the other one was refused.
        takes_stream_options: It can be asked to report tokens.
        replays_reasoning: It takes back the reasoning that led to tool calls.
    """

    is_own: bool = False
    limit: str = _OLD_LIMIT
    is_limit_sure: bool = False
    takes_stream_options: bool = True
    replays_reasoning: bool = True

    def without(self, failure: Failure) -> ChatDialect | None:
        """Return what to try after a refusal; None when the refusal is about something else."""
        if failure.status not in {400, 422}:
            return None
        if self.takes_stream_options and _refuses(failure, "stream_options"):
            return replace(self, takes_stream_options=False)
        if self.replays_reasoning and any(_refuses(failure, name) for name in REASONING_FIELDS):
            return replace(self, replays_reasoning=False)
        if not self.is_limit_sure and _refuses(failure, self.limit):
            other = _NEW_LIMIT if self.limit == _OLD_LIMIT else _OLD_LIMIT
            return replace(self, limit=other, is_limit_sure=True)
        return None


def _refuses(failure: Failure, name: str) -> bool:
    """Whether a server says that it does not know a field: each has its own words for it."""
    is_named = (failure.param or "").split(".")[-1] == name or failure.mentions(name)
    is_unknown = failure.code in _UNKNOWN_FIELD_CODES or failure.mentions(*_UNKNOWN_FIELD_WORDS)
    return is_named and is_unknown


def first_dialect(base_url: str) -> ChatDialect:
    """Return what an address is likely to take: OpenAI's models want `max_completion_tokens`, others `max_tokens`.

    Example:
        >>> first_dialect("https://api.openai.com/v1").limit
        'max_completion_tokens'
    """
    is_own = is_own_address(base_url)
    return ChatDialect(is_own=is_own, limit=_NEW_LIMIT if is_own else _OLD_LIMIT)


def chat_body(
    request: ProviderRequest,
    *,
    session_id: str,
    model: str,
    config: Mapping[str, Any],
    dialect: ChatDialect,
) -> CompletionCreateParamsStreaming:
    """Return the body of `POST /chat/completions`.

    Args:
        request: What the planner decided to send.
        session_id: Its digest helps OpenAI's prompt cache find the conversation.
        model: The model.
        config: The session's provider_config.
        dialect: What the server takes.

    Raises:
        InvalidInputError: A tool definition is malformed.
        InvalidRequestError: The new input holds content the API does not take.
    """
    config = in_force(config, request.options)
    body: dict[str, Any] = {
        "model": model,
        "messages": chat_messages(
            request.messages,
            model=model,
            instructions=request.instructions,
            replay_reasoning=dialect.replays_reasoning,
            is_own=dialect.is_own,
        ),
        "stream": True,
    }
    if dialect.takes_stream_options:
        body["stream_options"] = {"include_usage": True}
    body |= {name: config[name] for name in _PLAIN_FIELDS if name in config}
    if "max_tokens" in config:
        body[dialect.limit] = config["max_tokens"]
    if "response_format" in config:
        body["response_format"] = _response_format(config["response_format"])
    if config.get("store") is True and (metadata := merged_metadata(config)):
        body["metadata"] = metadata
    body |= _identity(session_id, config, dialect) | _tools(request, config)
    return cast("CompletionCreateParamsStreaming", body)


def _identity(session_id: str, config: Mapping[str, Any], dialect: ChatDialect) -> dict[str, Any]:
    user = {"safety_identifier" if dialect.is_own else "user": config["user"]} if "user" in config else {}
    if not dialect.is_own:
        return user
    return {**user, "prompt_cache_key": hashlib.sha256(session_id.encode()).hexdigest()[:32]}


def _response_format(response_format: str | Mapping[str, Any]) -> dict[str, Any]:
    flat = text_format(response_format)
    kind = flat.pop("type", None)
    return {"type": kind, "json_schema": flat} if kind == "json_schema" else {"type": kind, **flat}


def _tools(request: ProviderRequest, config: Mapping[str, Any]) -> dict[str, Any]:
    options = request.options
    if not options.tools:
        return {}
    fields: dict[str, Any] = {"tools": [_tool(tool) for tool in options.tools]}
    choice = options.tool_choice if options.tool_choice is not None else config.get("tool_choice")
    if choice is not None:
        fields["tool_choice"] = _tool_choice(choice)
    if "parallel_tool_calls" in config:
        fields["parallel_tool_calls"] = config["parallel_tool_calls"]
    return fields


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    function = function_tool(tool)
    if function is None:
        return dict(tool)
    described: dict[str, Any] = {"name": function.name, "parameters": dict(function.parameters)}
    if function.description:
        described["description"] = function.description
    if function.strict:
        described["strict"] = True
    return {"type": "function", "function": described}


def _tool_choice(choice: ToolChoice) -> object:
    if isinstance(choice, Mapping) and choice.get("type", "function") != "function":
        return dict(choice)
    mode, _, name = (normal_tool_choice(choice) or "auto").partition(":")
    return {"type": "function", "function": {"name": name}} if name else mode
