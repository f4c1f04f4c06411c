"""From what callers pass as content to a message, with errors that name the field."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages.media import Medium, wrong_medium
from langswarm_sessions.messages.message import Role, SessionMessage
from langswarm_sessions.messages.parts import (
    ImagePart,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
    part_from_json,
    part_to_json,
)
from langswarm_sessions.messages.plain import plain_mapping

__all__ = ["Content", "ToolResultInput", "as_message", "as_role", "as_tool_messages", "check_message"]

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


def as_message(
    content: Content, *, role: Role | str | None = None, metadata: Mapping[str, Any] | None = None
) -> SessionMessage:
    """Return a message from text, a part, a list of parts, or a message (copied).

    Args:
        content: What is said. Parts may be given in their JSON form, images also as
            `{"type": "image_url", "image_url": {"url": ...}}`.
        role: Who says it; None: whoever the message says, else the user.
        metadata: JSON-ready values to keep with it.

    Raises:
        InvalidInputError: The content is empty, of an unknown type, not encodable, or a message of another role.
    """
    speaker = None if role is None else as_role(role)
    given = {} if metadata is None else plain_mapping(metadata, field="metadata")
    if isinstance(content, SessionMessage):
        message = _copied(content, given)
        if speaker not in (None, message.role):
            raise InvalidInputError(f"role is {speaker!s}, but the message says {message.role!s}; make them agree.")
    else:
        message = SessionMessage(role=speaker or Role.USER, parts=_parts(content), metadata=given)
    if all(isinstance(part, TextPart) and not part.text for part in message.parts):
        raise InvalidInputError("content must not be empty: pass some text, or a list with at least one part.")
    _check_parts(message, field="")
    _check_new_parts(message)
    return message


def check_message(value: object, *, field: str) -> SessionMessage:
    """Return a message as it is, if it can be stored.

    Args:
        value: What a caller passed.
        field: Its name, for the message.

    Raises:
        InvalidInputError: It is no SessionMessage, or a text, part or mapping of it cannot be stored.
    """
    if not isinstance(value, SessionMessage):
        raise InvalidInputError(f"{field} must be a SessionMessage, not {type(value).__name__}.")
    value.check()
    _check_parts(value, field=f"{field}.")
    for name in ("metadata", "provider_metadata", "provider_payload"):
        if (held := getattr(value, name)) is not None:
            plain_mapping(held, field=f"{field}.{name}")
    return value


def _check_parts(message: SessionMessage, *, field: str) -> None:
    _check_text(message.content, field=f"{field}content")
    for position, part in enumerate(message.parts):
        if not isinstance(part, TextPart):
            plain_mapping(part_to_json(part), field=f"{field}parts[{position}]")


def _check_new_parts(message: SessionMessage) -> None:
    """Refuse what every provider refuses of new input, before anything is stored."""
    for position, part in enumerate(message.parts):
        problem = wrong_medium(part) if isinstance(part, Medium) else None
        if problem is not None:
            raise InvalidInputError(f"parts[{position}]{problem}")
        if isinstance(part, ToolCall) and message.role is Role.USER:
            raise InvalidInputError(
                f"parts[{position}] is a tool call, which a model makes; answer one with send_tool_results()."
            )


def _copied(message: SessionMessage, metadata: dict[str, Any]) -> SessionMessage:
    """Return what of a message may be said again; what storage gave it is left out."""
    message.check()
    payload = message.provider_payload
    return SessionMessage(
        role=message.role,
        content=message.content,
        message_id=message.message_id,
        timestamp=message.timestamp,
        metadata={**plain_mapping(message.metadata, field="metadata"), **metadata},
        parts=list(message.parts),
        tool_calls=list(message.tool_calls),
        provider_message_id=message.provider_message_id,
        provider_payload=None if payload is None else plain_mapping(payload, field="provider_payload"),
        provider_metadata=plain_mapping(message.provider_metadata, field="provider_metadata"),
        kind=message.kind,
    )


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
        return _linked_image(data.get("image_url")) if data.get("type") == "image_url" else part_from_json(data)
    raise InvalidInputError(f"content: a part must be a string, a part or a dict, not {type(item).__name__}.")


def _linked_image(image: object) -> ImagePart:
    given = cast("Mapping[str, object]", image) if isinstance(image, Mapping) else {"url": image}
    url, detail = given.get("url"), given.get("detail")
    if not isinstance(url, str) or not isinstance(detail, str | None):
        raise InvalidInputError("content: a part of type 'image_url' must be {'image_url': {'url': text}}.")
    return ImagePart(url=url, detail=detail)


def _tool_message(result: object, position: int) -> SessionMessage:
    if isinstance(result, SessionMessage):
        if result.role is not Role.TOOL or not result.tool_results:
            raise InvalidInputError(f"results[{position}] must have role 'tool' and a tool result.")
        return result
    if isinstance(result, Mapping):
        result = _tool_result(cast("Mapping[str, Any]", result), position)
    if not isinstance(result, ToolResult):
        raise InvalidInputError(f"results[{position}] must be a ToolResult or a dict with 'tool_call_id'.")
    plain_mapping(part_to_json(result), field=f"results[{position}]")
    return SessionMessage(role=Role.TOOL, content="", parts=[result])


def _tool_result(data: Mapping[str, Any], position: int) -> ToolResult:
    call_id = data.get("tool_call_id") or data.get("call_id") or data.get("id")
    if not isinstance(call_id, str):
        raise InvalidInputError(f"results[{position}] needs the 'tool_call_id' of the call it answers.")
    output, name = data.get("content", data.get("output", "")), data.get("name")
    if not isinstance(name, str | None):
        raise InvalidInputError(f"results[{position}]: name must be a string (or None).")
    return ToolResult(
        tool_call_id=call_id,
        content=output if isinstance(output, str) else _as_json(output, position),
        is_error=bool(data.get("is_error", False)),
        name=name,
    )


def _as_json(output: object, position: int) -> str:
    try:
        return json.dumps(output, default=str)
    except (TypeError, ValueError, RecursionError):
        raise InvalidInputError(f"results[{position}]: content must be text or plain JSON.") from None


def _check_text(text: str, *, field: str) -> None:
    try:
        text.encode()
        return
    except UnicodeEncodeError:
        pass  # it holds the text, and so would an error raised from here
    raise InvalidInputError(
        f"{field} holds half of a surrogate pair, which no encoding can store; "
        "clean it with text.encode('utf-8', 'replace').decode()."
    )
