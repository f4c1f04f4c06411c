"""Our messages to those of Chat Completions. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions.providers.openai.mapping import IMAGE_DETAILS, arguments_text, data_url, first_of_new_input

__all__ = ["REASONING_FIELDS", "ChatMessage", "chat_messages"]

ChatMessage = dict[str, Any]

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where compatible servers write the model's reasoning; OpenAI has no such field."""

_SOUND_FORMATS = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
}


def chat_messages(
    messages: Sequence[SessionMessage], *, model: str, instructions: str | None = None, replay_reasoning: bool = True
) -> list[ChatMessage]:
    """Return the chat messages that say what the messages say.

    System messages stay where they are. Pictures and files among tool results follow them as a message of the user,
    for a tool message takes text only.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        instructions: What stands first.
        replay_reasoning: Whether reasoning that led to tool calls is sent back to the model that wrote it.

    Raises:
        InvalidRequestError: The new input holds content the API does not take.
    """
    newest = first_of_new_input(messages)
    wire: list[ChatMessage] = [{"role": "system", "content": instructions}] if instructions else []
    shown: list[ChatMessage] = []
    for index, message in enumerate(messages):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        if message.role is Role.TOOL and message.tool_results:
            wire += [_tool_message(result) for result in message.tool_results]
            shown += _media(message.parts, is_new=index >= newest)
            continue
        wire += _shown(shown)
        shown = []
        wire += _said(message, model=model, is_new=index >= newest, replay_reasoning=replay_reasoning)
    return wire + _shown(shown)


def _said(message: SessionMessage, *, model: str, is_new: bool, replay_reasoning: bool) -> list[ChatMessage]:
    if message.role is Role.ASSISTANT:
        return _answer(message, reasoning=_reasoning(message, model=model) if replay_reasoning else {})
    content = _content(message, is_new=is_new)
    return [{"role": "system" if message.role is Role.SYSTEM else "user", "content": content}] if content else []


def _answer(message: SessionMessage, *, reasoning: dict[str, str]) -> list[ChatMessage]:
    text = text_of(message.parts)
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments_text(call)}}
        for call in message.tool_calls
    ]
    if calls:
        return [{"role": "assistant", "content": text or None, "tool_calls": calls, **reasoning}]
    return [{"role": "assistant", "content": text}] if text else []


def _reasoning(message: SessionMessage, *, model: str) -> dict[str, str]:
    """Return the reasoning of the model's own answer in the field it came in."""
    payload = message.provider_payload or {}
    if (payload.get("provider"), payload.get("api"), payload.get("model")) != ("openai", "chat", model):
        return {}
    items: list[ChatMessage] = payload.get("items") or [{}]
    return {name: items[0][name] for name in REASONING_FIELDS if items[0].get(name)}


def _tool_message(result: ToolResult) -> ChatMessage:
    return {"role": "tool", "tool_call_id": result.tool_call_id, "content": result.content}


def _shown(blocks: list[ChatMessage]) -> list[ChatMessage]:
    return [{"role": "user", "content": blocks}] if blocks else []


def _content(message: SessionMessage, *, is_new: bool) -> str | list[ChatMessage]:
    if message.role is Role.SYSTEM or all(isinstance(part, TextPart) for part in message.parts):
        return message.content or text_of(message.parts)
    return [block for part in message.parts if (block := _block(part, is_new=is_new)) is not None]


def _media(parts: Iterable[Part], *, is_new: bool) -> list[ChatMessage]:
    blocks = (_block(part, is_new=is_new) for part in parts if not isinstance(part, TextPart | ToolResult))
    return [block for block in blocks if block is not None]


def _block(part: Part, *, is_new: bool) -> ChatMessage | None:
    """Return the content block of one part; None when a part of an older message has none."""
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "text": part.text} if part.text else None
        case ImagePart() if part.url or part.data:
            image = {"url": part.url or data_url(part.data, part.media_type or "image/png")}
            detail = {"detail": part.detail} if part.detail in IMAGE_DETAILS else {}
            return {"type": "image_url", "image_url": image | detail}
        case FilePart() if part.file_id:
            return {"type": "file", "file": {"file_id": part.file_id}}
        case FilePart() if part.data:
            url = data_url(part.data, part.media_type or "application/octet-stream")
            return {"type": "file", "file": {"file_data": url, "filename": part.name or "file"}}
        case AudioPart() if part.data and part.media_type in _SOUND_FORMATS:
            sound = {"data": part.data, "format": _SOUND_FORMATS[part.media_type]}
            return {"type": "input_audio", "input_audio": sound}
        case AudioPart() if part.transcript:
            return {"type": "text", "text": part.transcript}
        case AudioPart() | OtherPart() | ImagePart() | FilePart() if is_new:
            raise InvalidRequestError(
                f"openai: Chat Completions take no content of type {part.type!r} like this. Send text, an image, a "
                "file as data or file_id, sound as data of type audio/wav or audio/mpeg, or AudioPart(transcript=...).",
                provider="openai",
            )
        case _:
            return None
