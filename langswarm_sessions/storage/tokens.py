"""The size of a message in tokens, approximately: counted once, when it is stored."""

from __future__ import annotations

import json

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    SessionMessage,
    ToolCall,
    ToolResult,
)

__all__ = ["approximate_tokens"]

_BYTES_PER_TOKEN = 4
_PER_MESSAGE = 4  # what providers add for the role and the delimiters
_PER_ATTACHMENT = 800  # a middling image; what a file really costs only its provider knows


def approximate_tokens(message: SessionMessage) -> int:
    """Return about how many tokens `message` costs when it is sent; pure and cheap.

    Args:
        message: Any message; its `tokens` are not looked at.

    Returns:
        A count that errs to the high side for plain text in most languages, tool calls and results included.

    Example:
        >>> approximate_tokens(SessionMessage(role="user", content="hello"))
        5
    """
    return _PER_MESSAGE + (_size(message.content) + sum(map(_part_size, message.parts))) // _BYTES_PER_TOKEN


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _part_size(part: Part) -> int:
    match part:
        case ToolCall():
            return _size(part.name) + _size(part.raw_arguments or json.dumps(part.arguments, default=str))
        case ToolResult():
            return _size(part.content)
        case ImagePart() | FilePart() | AudioPart():
            return _PER_ATTACHMENT * _BYTES_PER_TOKEN
        case ReasoningPart():
            return _size(part.text)
        case OtherPart():
            return _size(json.dumps(part.data, default=str))
        case _:
            return 0  # text is counted by the message's content
