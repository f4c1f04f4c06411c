"""From what callers pass as content to a message, with errors that name the field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages.message import Role, SessionMessage
from langswarm_sessions.messages.plain import plain_mapping
from langswarm_sessions.messages.parts import ImagePart, Part, TextPart, ToolResult, part_from_json

__all__ = ["Content", "ToolResultInput", "as_message", "as_role", "as_tool_messages"]

Content = str | SessionMessage | Part | Sequence["str | Part | Mapping[str, Any]"]
ToolResultInput = ToolResult | SessionMessage | Mapping[str, Any]

_PART_CLASSES: tuple[type[Any], ...] = get_args(Part)


def as_role(role: Role | str) -> Role:
    """Return a role.

    Raises:
        InvalidInputError: There is no such role.
    """
    try:
        return Role(role)
    except ValueError:
        raise InvalidInputError(f"role must be one of {', '.join(Role)}.") from None


def as_message(content: Content, *, role: Role | str = Role.USER, metadata: Mapping[str, Any] | None = None) -> SessionMessage:
    """Return a message from text, a part, a list of parts, or a message (copied).

    Args:
        content: What is said. Parts may be given in their JSON form, images also as
            `{"type": "image_url", "image_url": {"url": ...}}`.
        role: Who says it (a message keeps its own role).
        metadata: JSON-ready values to keep with it.

    Raises:
        InvalidInputError: The content is empty, of an unknown type, or not encodable.
    """
    if isinstance(content, SessionMessage):
        kept = {**content.metadata, **plain_mapping(metadata or {}, field="metadata")}
        message = SessionMessage(
            role=content.role,
            content=content.content,
            message_id=content.message_id,
            timestamp=content.timestamp,
            metadata=kept,
            parts=list(content.parts),
            tool_calls=list(content.tool_calls),
            provider_message_id=content.provider_message_id,
            provider_payload=content.provider_payload,
            provider_metadata=dict(content.provider_metadata),
            kind=content.kind,
        )
    else:
        message = SessionMessage(role=as_role(role), parts=_parts(content), metadata=plain_mapping(metadata or {}, field="metadata"))
    if not message.parts:
        raise InvalidInputError("content must not be empty: pass some text, or a list with at least one part.")
    _check_text(message.content, field="content")
    return message


def as_tool_messages(results: Sequence[ToolResultInput]) -> list[SessionMessage]:
    """Return one message per tool result.

    Args:
        results: ToolResult objects, messages of role tool, or mappings with `tool_call_id` and `content` (or
            `output`), optionally `is_error` and `name`.

    Raises:
        InvalidInputError: The list is empty or an entry lacks its `tool_call_id`.
    """
    entries: object = results
    if not isinstance(entries, list | tuple) or not entries:
        raise InvalidInputError("results must be a list with one entry per tool call: {'tool_call_id', 'content'}.")
    return [_tool_message(result, position) for position, result in enumerate(cast("Sequence[object]", entries))]


def _parts(content: object) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    if isinstance(content, _PART_CLASSES):
        return [cast("Part", content)]
    if isinstance(content, Sequence) and not isinstance(content, bytes | bytearray):
        return [_part(item) for item in cast("Sequence[object]", content)]
    raise InvalidInputError(
        f"content must be a string, a SessionMessage or a list of content parts, not {type(content).__name__}."
    )


def _part(item: object) -> Part:
    if isinstance(item, str):
        return TextPart(item)
    if isinstance(item, _PART_CLASSES):
        return cast("Part", item)
    if isinstance(item, Mapping):
        data = cast("Mapping[str, Any]", item)
        image = data.get("image_url")
        if data.get("type") == "image_url":
            return ImagePart(url=image["url"] if isinstance(image, Mapping) else image)
        return part_from_json(data)
    raise InvalidInputError(f"content: a part must be a string, a part or a dict, not {type(item).__name__}.")


def _tool_message(result: object, position: int) -> SessionMessage:
    if isinstance(result, SessionMessage):
        if result.role is not Role.TOOL or not result.tool_results:
            raise InvalidInputError(f"results[{position}] must have role 'tool' and a tool result.")
        return result
    if isinstance(result, Mapping):
        result = _tool_result(cast("Mapping[str, Any]", result), position)
    if not isinstance(result, ToolResult):
        raise InvalidInputError(f"results[{position}] must be a ToolResult or a dict with 'tool_call_id'.")
    _check_text(result.content, field=f"results[{position}].content")
    return SessionMessage(role=Role.TOOL, content="", parts=[result])


def _tool_result(data: Mapping[str, Any], position: int) -> ToolResult:
    call_id = data.get("tool_call_id") or data.get("call_id") or data.get("id")
    if not isinstance(call_id, str):
        raise InvalidInputError(f"results[{position}] needs the 'tool_call_id' of the call it answers.")
    output = data.get("content", data.get("output", ""))
    text = output if isinstance(output, str) else json.dumps(output, default=str)
    return ToolResult(
        tool_call_id=call_id, content=text, is_error=bool(data.get("is_error", False)), name=data.get("name")
    )


def _check_text(text: str, *, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInputError(
            f"{field} holds half of a surrogate pair, which no encoding can store; "
            "clean it with text.encode('utf-8', 'replace').decode()."
        ) from None
