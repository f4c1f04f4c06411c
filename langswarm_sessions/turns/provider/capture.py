"""Messages in the form of the GenAI semantic conventions, for spans that are allowed to hold content.

Form: `gen_ai.input.messages` and `gen_ai.output.messages` of the OpenTelemetry GenAI semantic conventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)

__all__ = ["captured_answer", "captured_messages"]


def captured_messages(messages: Iterable[SessionMessage]) -> list[dict[str, Any]]:
    """Return messages as role and parts."""
    return [{"role": message.role.value, "parts": _parts(message.parts)} for message in messages]


def captured_answer(completed: Completed) -> list[dict[str, Any]]:
    """Return an answer as role and parts."""
    return [{"role": Role.ASSISTANT.value, "parts": _parts(completed.parts)}]


def _parts(parts: Iterable[Part]) -> list[dict[str, Any]]:
    return [_part(part) for part in parts]


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "content": part.text}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            arguments = part.arguments if part.raw_arguments is None else part.raw_arguments
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": arguments}
        case ToolResult():
            return {"type": "tool_call_response", "id": part.tool_call_id, "response": part.content}
        case ImagePart() | FilePart() | AudioPart():
            return _media(part)
        case OtherPart():
            return {"type": part.type}


def _media(part: ImagePart | FilePart | AudioPart) -> dict[str, Any]:
    """Return where a medium is. Its bytes are too many for a span: then only its kind is told, as a generic part."""
    modality = "document" if isinstance(part, FilePart) else part.type
    about = {"modality": modality, **({"mime_type": part.media_type} if part.media_type else {})}
    if part.url and not part.url.startswith("data:"):
        return {"type": "uri", **about, "uri": part.url}
    if isinstance(part, FilePart) and part.file_id:
        return {"type": "file", **about, "file_id": part.file_id}
    return {"type": modality, **about}
