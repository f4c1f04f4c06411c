"""Parts of an event's content as parts of a message, and back. Pure functions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.genai import types

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.media import Medium, media_type_of, noted
from langswarm_sessions_frameworks.parts import is_portable

__all__ = ["content_parts", "parts_of"]

_STANDARD = str.maketrans("-_", "+/")
_TYPES = {"image": "image/png", "audio": "audio/wav", "file": "application/octet-stream"}
"""Types of media that came without: a blob cannot do without one."""
_VALUES = ("result", "output", "error")
"""Where a function's response has its value, when it has nothing else."""


def parts_of(dumped: Iterable[Mapping[str, Any]], *, event_id: str) -> list[Part]:
    """Return what the dumped parts of an event's content say.

    Args:
        dumped: In order.
        event_id: Tells apart the calls that have no id of their own.
    """
    return [_part(part, f"{event_id}-{at}") for at, part in enumerate(dumped)]


def content_parts(parts: Sequence[Part]) -> list[types.Part]:
    """Return the parts of a content that say what parts of a message say."""
    told = noted(parts, is_taken=is_portable)
    return [made for part in told if (made := _made(part)) is not None]


# ---------------------------------------------------------------- theirs as ours


def _part(part: Mapping[str, Any], own_id: str) -> Part:
    if part.get("text") is not None:
        text = str(part["text"])
        return ReasoningPart(text=text) if part.get("thought") else TextPart(text)
    if call := part.get("function_call"):
        return ToolCall(
            id=call.get("id") or own_id, name=call.get("name") or "", arguments=dict(call.get("args") or {})
        )
    if answer := part.get("function_response"):
        response: Mapping[str, Any] = answer.get("response") or {}
        return ToolResult(
            tool_call_id=answer.get("id") or own_id,
            content=_value_of(response),
            is_error=list(response) == ["error"],
            name=answer.get("name"),
        )
    if blob := part.get("inline_data"):
        return _medium(blob, {"data": str(blob.get("data") or "").translate(_STANDARD)})
    if file := part.get("file_data"):
        return _medium(file, {"url": file.get("file_uri")})
    return OtherPart(data=dict(part))


def _value_of(response: Mapping[str, Any]) -> str:
    """Return what a function returned: ADK wraps what is no object in one with a single key."""
    value: object = response[next(iter(response))] if len(response) == 1 and set(response) <= set(_VALUES) else response
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _medium(told: Mapping[str, Any], where: Mapping[str, Any]) -> Part:
    media_type = told.get("mime_type")
    match str(media_type or "").partition("/")[0]:
        case "image":
            return ImagePart(**where, media_type=media_type)
        case "audio":
            return AudioPart(**where, media_type=media_type)
        case _:
            return FilePart(**where, media_type=media_type, name=told.get("display_name"))


# ---------------------------------------------------------------- ours as theirs


def _made(part: Part) -> types.Part | None:
    match part:
        case TextPart() | RefusalPart():
            return types.Part(text=part.text)
        case ToolCall():
            given = part.arguments if part.raw_arguments is None else {"arguments": part.raw_arguments}
            return types.Part(function_call=types.FunctionCall(id=part.id, name=part.name, args=dict(given)))
        case ToolResult():
            return types.Part(function_response=_response(part))
        case ImagePart() | AudioPart() | FilePart():
            return _made_medium(part)
        case _:
            return None


def _response(part: ToolResult) -> types.FunctionResponse:
    value = {"error" if part.is_error else "result": part.content}
    return types.FunctionResponse(id=part.tool_call_id, name=part.name or "unknown", response=value)


def _made_medium(part: Medium) -> types.Part:
    media_type = media_type_of(part) or _TYPES[part.type]
    name = part.name if isinstance(part, FilePart) else None
    url = part.url or ""
    data = part.data or (url.partition(",")[2] if url.startswith("data:") else None)
    if data is None:
        return types.Part(file_data=types.FileData(file_uri=url, mime_type=media_type, display_name=name))
    decoded = base64.b64decode(data.translate(_STANDARD))
    return types.Part(inline_data=types.Blob(data=decoded, mime_type=media_type, display_name=name))
