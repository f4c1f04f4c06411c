"""What is given to a provider that counts the tokens of a text, not of a request. Pure functions."""

from __future__ import annotations

import json

from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import SessionMessage, ToolCall, ToolResult

__all__ = ["request_text"]

_MEDIA = frozenset({"audio", "file", "image"})


def request_text(request: ProviderRequest) -> str | None:
    """Return all of a request that is text, in one; None when it holds a medium, whose tokens no text tells.

    Args:
        request: What would be sent.
    """
    if any(part.type in _MEDIA for message in request.messages for part in message.parts):
        return None
    texts = [request.instructions or "", *(json.dumps(dict(tool), default=str) for tool in request.options.tools)]
    return "\n".join([*texts, *map(_text, request.messages)])


def _text(message: SessionMessage) -> str:
    said = [message.role.value, message.content]
    for part in message.parts:
        if isinstance(part, ToolCall):
            said += [part.id, part.name, part.raw_arguments or json.dumps(part.arguments, default=str)]
        elif isinstance(part, ToolResult):
            said += [part.tool_call_id, part.content]
    return "\n".join(text for text in said if text)
