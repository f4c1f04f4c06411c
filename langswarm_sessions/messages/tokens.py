"""The size of a message in tokens, approximately: counted when it is stored, and where no figure was stored."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from langswarm_sessions.messages.message import SessionMessage
from langswarm_sessions.messages.parts import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    ToolCall,
    ToolResult,
)

__all__ = ["estimate_tokens", "shortened", "text_tokens", "told_tokens"]

_BYTES_PER_TOKEN = 4  # the rule of thumb OpenAI gives for English text; of other scripts a letter has more bytes
_PER_MESSAGE = 4  # what providers add for the role and the delimiters
_STEP = 1_024
_PER_ATTACHMENT = 800  # a middling image; what a file really costs only its provider knows


def estimate_tokens(message: SessionMessage) -> int:
    """Return about how many tokens a message costs when it is sent: the stored figure, else an estimate.

    Args:
        message: Any message.

    Returns:
        Its `tokens`; without them a count that errs to the high side for plain text in most languages, tool calls and
        results included.

    Example:
        >>> estimate_tokens(SessionMessage(role="user", content="hello"))
        5
    """
    if message.tokens is not None:
        return message.tokens
    return _PER_MESSAGE + (_size(message.content) + sum(map(_part_size, message.parts))) // _BYTES_PER_TOKEN


def text_tokens(text: str) -> int:
    """Return about how many tokens a text costs that is no message, such as instructions.

    Args:
        text: The text.
    """
    return _size(text) // _BYTES_PER_TOKEN


def shortened(text: str, *, tokens: int) -> str:
    """Return the beginning of a text that costs about so many tokens.

    Args:
        text: The text.
        tokens: At most this many.

    Example:
        >>> shortened("one two three", tokens=2)
        'one two '
    """
    most = tokens * _BYTES_PER_TOKEN
    if _size(text) <= most:
        return text
    return text.encode("utf-8", "surrogatepass")[:most].decode("utf-8", "ignore")


def told_tokens(instructions: str | None, tools: Iterable[Mapping[str, Any]]) -> int:
    """Return about how many tokens instructions and tools take.

    It is rounded up, so that a word more or less does not move the window.

    Args:
        instructions: What is sent with every request.
        tools: Tool definitions.
    """
    texts = [instructions or "", *(json.dumps(dict(tool), default=str) for tool in tools)]
    return -(-sum(map(text_tokens, texts)) // _STEP) * _STEP


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
