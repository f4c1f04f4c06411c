"""Our messages to those of Chat Completions. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    ToolCall,
    ToolResult,
    text_of,
)
from langswarm_sessions.providers.mapping import (
    CallIds,
    call_id_within,
    newness,
    tool_name_within,
)
from langswarm_sessions.providers.media import described, in_words, told_instead
from langswarm_sessions.providers.openai.mapping import IMAGE_DETAILS, arguments_text, data_url
from langswarm_sessions.providers.openai.media import SOUND_FORMATS, chat_takes

__all__ = ["REASONING_FIELDS", "ChatMessage", "chat_messages", "given_back"]

ChatMessage = dict[str, Any]

REASONING_FIELDS = ("reasoning_content", "reasoning")
"""Where compatible servers write the model's reasoning; OpenAI has no such field."""

_LONGEST_NAME = 64
_GIVEN_BACK = frozenset({"refusal", "text", "tool_call"})
_legal_call_id = call_id_within(re.compile(r".{1,40}", re.DOTALL), prefix="call_")


def chat_messages(
    messages: Sequence[SessionMessage],
    *,
    model: str,
    instructions: str | None = None,
    replay_reasoning: bool = True,
    is_own: bool = True,
) -> list[ChatMessage]:
    """Return the chat messages that say what the messages say.

    System messages stay where they are. Pictures and files among tool results follow them as a message of the user,
    for a tool message takes text only.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        instructions: What stands first.
        replay_reasoning: Whether reasoning that led to tool calls is sent back to the model that wrote it.
        is_own: Whether it goes to OpenAI; other servers may take other types of content.

    Raises:
        InvalidRequestError: The new input holds content the API does not take.
    """
    wire: list[ChatMessage] = [{"role": "system", "content": instructions}] if instructions else []
    shown: list[ChatMessage] = []
    ids = CallIds(_legal_call_id)
    for message, is_new in zip(messages, newness(messages), strict=True):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        if message.role is Role.TOOL and message.tool_results:
            wire += [_tool_message(result, ids) for result in message.tool_results]
            shown += _media(message, is_new=is_new, is_own=is_own)
            continue
        wire += _shown(shown)
        shown = []
        if message.role is Role.ASSISTANT:
            wire += _answer(message, ids, model=model, replay_reasoning=replay_reasoning)
        elif content := _content(message, is_new=is_new, is_own=is_own):
            wire.append({"role": "system" if message.role is Role.SYSTEM else "user", "content": content})
    return wire + _shown(shown)


def _answer(message: SessionMessage, ids: CallIds, *, model: str, replay_reasoning: bool) -> list[ChatMessage]:
    text = in_words(message.parts)
    own = _own_message(message, model=model)
    if not message.tool_calls:
        return [{"role": "assistant", "content": text}] if text else []
    calls = [_call(call, ids, is_own=own is not None) for call in message.tool_calls]
    reasoning = _reasoning(own or {}) if replay_reasoning else {}
    return [{"role": "assistant", "content": text or None, "tool_calls": calls, **reasoning}]


def _call(call: ToolCall, ids: CallIds, *, is_own: bool) -> ChatMessage:
    """Return a call: a server takes the id and the name it gave itself, however long."""
    keeps = is_own and ids.are_free([call.id])
    name = call.name if is_own else tool_name_within(call.name, longest=_LONGEST_NAME)
    return {
        "id": ids.kept(call.id) if keeps else ids.made(call.id),
        "type": "function",
        "function": {"name": name, "arguments": arguments_text(call)},
    }


def _own_message(message: SessionMessage, *, model: str) -> ChatMessage | None:
    """Return the model's own answer as it came; None when it is another's."""
    payload = message.provider_payload or {}
    if (payload.get("provider"), payload.get("api"), payload.get("model")) != ("openai", "chat", model):
        return None
    items: list[ChatMessage] = payload.get("items") or [{}]
    return items[0]


def _reasoning(own: ChatMessage) -> dict[str, str]:
    """Return the reasoning of an answer in the field it came in."""
    return {name: own[name] for name in REASONING_FIELDS if own.get(name)}


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back to the model that wrote it; empty when it is another's."""
    own = _own_message(message, model=model)
    if own is None:
        return []
    is_reasoned = bool(message.tool_calls and _reasoning(own))
    return [part for part in message.parts if part.type in _GIVEN_BACK or (is_reasoned and part.type == "reasoning")]


def _tool_message(result: ToolResult, ids: CallIds) -> ChatMessage:
    return {"role": "tool", "tool_call_id": ids.answered(result.tool_call_id), "content": result.content}


def _shown(blocks: list[ChatMessage]) -> list[ChatMessage]:
    return [{"role": "user", "content": blocks}] if blocks else []


def _content(message: SessionMessage, *, is_new: bool, is_own: bool) -> str | list[ChatMessage]:
    if message.role is Role.SYSTEM:
        return in_words(message.parts)
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.content or text_of(message.parts)
    blocks = (_block(part, message.role, is_new=is_new, is_own=is_own) for part in message.parts)
    return [block for block in blocks if block is not None]


def _media(message: SessionMessage, *, is_new: bool, is_own: bool) -> list[ChatMessage]:
    beside = (part for part in message.parts if not isinstance(part, TextPart | ToolResult))
    blocks = (_block(part, message.role, is_new=is_new, is_own=is_own) for part in beside)
    return [block for block in blocks if block is not None]


def _block(part: Part, role: Role, *, is_new: bool, is_own: bool) -> ChatMessage | None:
    """Return the content block of one part; None when it has none. Of an older message's medium a note is left."""
    if chat_takes(part, role, is_own=is_own):
        return _medium_block(part)
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "text": part.text} if part.text else None
        case AudioPart() if part.transcript:
            return {"type": "text", "text": part.transcript}
        case AudioPart() | OtherPart() | ImagePart() | FilePart() if is_new:
            raise InvalidRequestError(
                f"openai: Chat Completions take no content of type {described(part)} like this. Send text, an image "
                "(JPEG, PNG, GIF or WebP), a PDF as data or file_id, sound as data of type audio/wav or audio/mpeg, or "
                "AudioPart(transcript=...).",
                provider="openai",
            )
        case _:
            return {"type": "text", "text": told} if (told := told_instead(part)) else None


def _medium_block(part: Part) -> ChatMessage | None:
    match part:
        case ImagePart():
            image = {"url": part.url or data_url(part.data, part.media_type or "image/png")}
            detail = {"detail": part.detail} if part.detail in IMAGE_DETAILS else {}
            return {"type": "image_url", "image_url": image | detail}
        case FilePart() if part.data:
            url = data_url(part.data, part.media_type or "application/octet-stream")
            return {"type": "file", "file": {"file_data": url, "filename": part.name or "file"}}
        case FilePart():
            return {"type": "file", "file": {"file_id": part.file_id}}
        case AudioPart():
            sound = {"data": part.data, "format": SOUND_FORMATS[part.media_type or ""]}
            return {"type": "input_audio", "input_audio": sound}
        case _:
            return None
