"""Messages: what is said in a session, as data."""

from __future__ import annotations

from langswarm_sessions.messages.content import (
    Content,
    ToolResultInput,
    as_message,
    as_role,
    as_tool_messages,
)
from langswarm_sessions.messages.message import SCHEMA_VERSION, MessageKind, Role, SessionMessage, TurnState
from langswarm_sessions.messages.parts import (
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
    part_from_json,
    part_to_json,
    parts_from_json,
    text_of,
)
from langswarm_sessions.messages.plain import plain_mapping
from langswarm_sessions.messages.size import content_bytes

__all__ = [
    "SCHEMA_VERSION",
    "AudioPart",
    "Content",
    "FilePart",
    "ImagePart",
    "MessageKind",
    "OtherPart",
    "Part",
    "ReasoningPart",
    "RefusalPart",
    "Role",
    "SessionMessage",
    "TextPart",
    "ToolCall",
    "ToolResult",
    "ToolResultInput",
    "TurnState",
    "as_message",
    "as_role",
    "as_tool_messages",
    "content_bytes",
    "part_from_json",
    "part_to_json",
    "parts_from_json",
    "plain_mapping",
    "text_of",
]
