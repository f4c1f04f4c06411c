"""From what a tool returned or raised to what a model is given."""

from __future__ import annotations

from collections.abc import Iterable

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import ToolCall, ToolResult

__all__ = ["LARGEST_RESULT", "failed", "returned", "unknown"]

LARGEST_RESULT = 200_000
"""Characters of the longest result a model is given: about 50,000 tokens."""


def returned(call: ToolCall, value: object) -> ToolResult:
    """Return a tool's value as its result: text as it is, everything else as JSON.

    Raises:
        InvalidInputError: It cannot be given to a model; the message, for the model, says why.
    """
    text = value if isinstance(value, str) else _json(value)
    if len(text) > LARGEST_RESULT:
        raise InvalidInputError(
            f"The result has {len(text)} characters; at most {LARGEST_RESULT} can be shown. Ask the tool for less."
        )
    return ToolResult(tool_call_id=call.id, name=call.name, content=_encodable(text))


def failed(call: ToolCall, told: str) -> ToolResult:
    """Return the result that tells a model what went wrong."""
    return ToolResult(tool_call_id=call.id, name=call.name, content=_encodable(told)[:LARGEST_RESULT], is_error=True)


def unknown(call: ToolCall, names: Iterable[str]) -> ToolResult:
    """Return the result of a call of a tool that there is not."""
    known = ", ".join(names) or "none"
    return failed(call, f"There is no tool with this name. The tools are: {known}.")


def _json(value: object) -> str:
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return to_json(value).decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        raise InvalidInputError(
            f"The tool returned {type(value).__name__}, which is neither text nor JSON. Its author can return text, "
            "JSON values, a dataclass or a pydantic model."
        ) from None


def _encodable(text: str) -> str:
    """Return text every encoding and database can hold: without halves of surrogate pairs and NUL."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
