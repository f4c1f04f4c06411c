"""Messages in the form of the GenAI semantic conventions, for spans that are allowed to hold content.

Form: `gen_ai.input.messages` and `gen_ai.output.messages` of the OpenTelemetry GenAI semantic conventions.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import (
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
            return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
        case ToolResult():
            return {"type": "tool_call_response", "id": part.tool_call_id, "response": part.content}
        case _:
            return {"type": part.type}
