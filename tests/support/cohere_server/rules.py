"""What the API demands of a body beyond its types. Each rule with where it is known from."""

from __future__ import annotations

import re

from tests.support.provider_server.json_types import JsonObject, objects, string

from .views import content_text, view_of

# The SDK's docstrings of chat_stream.
_NUMBER_LIMITS: dict[str, tuple[float, float]] = {
    "temperature": (0, 10),
    "k": (0, 500),
    "p": (0.01, 0.99),
    "frequency_penalty": (0, 1),
    "presence_penalty": (0, 1),
    "max_tokens": (1, 10_000_000),
}
_MOST_STOPS = 5
_TOOL_NAME = re.compile(r"\w[\w-]*", re.ASCII)
_TEXT_BESIDE_CALLS = (  # as quoted in vercel/ai issue 5794
    "text content is not allowed when tool_calls are provided. If you wish to pass a tool plan, either pass thinking "
    "content (with thinking enabled) or use 'tool_plan'"
)


def find_broken_rule(body: JsonObject, *, sees: bool, window: int | None) -> str | None:
    """Return what the API would say against a well-typed body; None when it would take it.

    Args:
        body: The body.
        sees: Whether the model takes images.
        window: The tokens the model takes; None: endless.
    """
    messages = objects(body.get("messages"))
    if not messages:
        return "invalid request: messages must not be empty"
    found = _limits(body) or _tools(body) or _pairing(messages) or _contents(messages, thinks=_thinks(body))
    if found is None and not sees and any('"image_url"' in str(message).replace("'", '"') for message in messages):
        return "invalid request: this model does not support image content"
    if found is None and window is not None and (count := view_of(body).token_count) > window:
        return f"too many tokens: total number of tokens in the prompt cannot exceed {window} - received {count}."
    return found


def _limits(body: JsonObject) -> str | None:
    for field, (lowest, highest) in _NUMBER_LIMITS.items():
        value = body.get(field)
        if isinstance(value, int | float) and not lowest <= value <= highest:
            return f"invalid request: {field} must be between {lowest:g} and {highest:g}"
    stops = body.get("stop_sequences")
    if isinstance(stops, list) and len(stops) > _MOST_STOPS:
        return f"invalid request: at most {_MOST_STOPS} stop_sequences"
    return None


def _tools(body: JsonObject) -> str | None:
    tools = objects(body.get("tools"))
    if body.get("tool_choice") and not tools:  # the SDK's docstring of chat_stream
        return "invalid request: tool_choice needs tools"
    for tool in tools:
        function = tool.get("function")
        if not isinstance(function, dict) or not _TOOL_NAME.fullmatch(string(function, "name")):
            return "invalid request: a tool needs a function with a name of letters, digits and underscores"
    return None


def _pairing(messages: list[JsonObject]) -> str | None:
    """Every call is answered by the messages that follow it, and nothing else is."""
    waiting: set[str] = set()
    for message in messages:
        role = string(message, "role")
        if role == "tool":
            if (call_id := string(message, "tool_call_id")) not in waiting:
                return f"invalid request: tool_call_id {call_id} not found in the previous tool calls"
            waiting.discard(call_id)
        elif waiting:
            return f"invalid request: no tool message for the tool calls {sorted(waiting)}"
        elif role == "assistant":
            waiting = {string(call, "id") for call in objects(message.get("tool_calls"))}
    return f"invalid request: no tool message for the tool calls {sorted(waiting)}" if waiting else None


def _contents(messages: list[JsonObject], *, thinks: bool) -> str | None:
    for message in messages:
        blocks, calls = objects(message.get("content")), objects(message.get("tool_calls"))
        text = content_text(message.get("content"))
        if calls and text:
            return _TEXT_BESIDE_CALLS
        if not thinks and any(string(block, "type") == "thinking" for block in blocks):
            return "invalid request: thinking content needs thinking enabled"
        is_empty = not text and not calls and not any(string(block, "type") == "image_url" for block in blocks)
        if is_empty and string(message, "role") != "tool":  # "message must not be empty in a turn": Cohere's error page
            return "invalid request: message must not be empty in a turn"
    return None


def _thinks(body: JsonObject) -> bool:
    thinking = body.get("thinking")
    return not (isinstance(thinking, dict) and string(thinking, "type") == "disabled")
