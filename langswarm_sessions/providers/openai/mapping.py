"""Our messages to the Responses API's input items. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
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
    is_foreign_file,
    newness,
    told_instead,
    tool_name_within,
)
from langswarm_sessions.providers.openai.answers import blocks_of
from langswarm_sessions.providers.tools import parse_arguments

__all__ = [
    "IMAGE_DETAILS",
    "Item",
    "arguments_text",
    "data_url",
    "input_items",
    "payload_items",
]

Item = dict[str, Any]

_LONGEST_NAME = 128
_legal_call_id = call_id_within(re.compile(r".{1,64}", re.DOTALL), prefix="call_")

IMAGE_DETAILS = frozenset({"auto", "high", "low", "original"})
_REPLAYED_TYPES = frozenset({"function_call", "message"})


def input_items(messages: Sequence[SessionMessage], *, model: str, replay_reasoning: bool = True) -> list[Item]:
    """Return the input items that say what the messages say.

    An answer this provider and model gave is replayed as it came; every other message is built from its parts. A
    compaction item stands for what was said before it, which is left out, but for system messages and open calls.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        replay_reasoning: Whether what earlier answers hold encrypted is sent back: reasoning and compaction.

    Raises:
        InvalidRequestError: The new input holds sound or another content the API does not take.
    """
    ids = CallIds(_legal_call_id)
    items: list[Item] = []
    for message, is_new in zip(messages, newness(messages), strict=True):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        if message.role is Role.ASSISTANT:
            own = payload_items(message, model=model, with_reasoning=replay_reasoning)
            items += [_named(item, ids) for item in own or _assistant_items(message)]
        elif message.role is Role.TOOL and message.tool_results:
            items += _tool_outputs(message, ids, is_new=is_new)
        elif content := _content(message, is_new=is_new):
            role = "system" if message.role is Role.SYSTEM else "user"
            items.append({"type": "message", "role": role, "content": content})
    return _since_compaction(items)


def _since_compaction(items: list[Item]) -> list[Item]:
    newest = max((at for at, item in enumerate(items) if item["type"] == "compaction"), default=0)
    answered = {item["call_id"] for item in items[newest:] if item["type"] == "function_call_output"}
    kept = [item for item in items[:newest] if item.get("role") == "system" or item.get("call_id") in answered]
    return [*kept, *items[newest:]]


def _named(item: Item, ids: CallIds) -> Item:
    return {**item, "call_id": ids.made(item["call_id"])} if item["type"] == "function_call" else item


# Answers


def payload_items(message: SessionMessage, *, model: str, with_reasoning: bool = True) -> list[Item]:
    """Return the provider's own items of an answer, fit to be sent again; empty when they cannot be.

    Ids are left out, for what was not stored there is unknown there; reasoning goes only encrypted and only with the
    item it led to. Nothing is replayed when the message says something else by now (a middleware edited it).

    Args:
        message: An answer.
        model: The model the request is for.
        with_reasoning: Whether what is encrypted is sent back: reasoning and compaction.
    """
    payload = message.provider_payload or {}
    if payload.get("provider") != "openai" or payload.get("model") != model or payload.get("api") == "chat":
        return []
    stored: list[Item] = payload.get("items") or []
    if not _says_the_same(stored, message):
        return []
    kept: list[Item] = []
    waiting: list[Item] = []
    for item in stored:
        kind = item.get("type")
        if kind == "reasoning" and item.get("encrypted_content") and with_reasoning:
            waiting.append(_only(item, "id", "type", "summary", "encrypted_content"))
        elif kind == "compaction":
            kept += [_only(item, "type", "encrypted_content")] if with_reasoning else []
        elif kind in _REPLAYED_TYPES:
            if replayed := _replayed(item):
                kept += [*waiting, replayed]
            waiting = []
        elif kind != "reasoning":
            waiting = []
    return kept


def _says_the_same(items: Sequence[Item], message: SessionMessage) -> bool:
    text = "".join(_item_text(item) for item in items if item.get("type") == "message")
    sent = [item for item in items if item.get("type") == "function_call"]
    told = message.tool_calls
    return text == message.content and len(sent) == len(told) and all(map(_is_same_call, sent, told))


def _item_text(item: Item) -> str:
    return "".join(block.get("text") or block.get("refusal") or "" for block in blocks_of(item))


def _is_same_call(item: Item, call: ToolCall) -> bool:
    is_same = (item.get("call_id"), item.get("name")) == (call.id, call.name)
    return is_same and _same_arguments(item.get("arguments"), call)


def _same_arguments(text: object, call: ToolCall) -> bool:
    if call.raw_arguments is not None:
        return text == call.raw_arguments
    return isinstance(text, str) and parse_arguments(text) == call.arguments


def _replayed(item: Item) -> Item | None:
    if item["type"] == "function_call":
        return _only(item, "type", "call_id", "name", "arguments")
    text = _item_text(item)
    return _answer_item(text, phase=item.get("phase")) if text else None


def _only(item: Mapping[str, Any], *names: str) -> Item:
    return {name: item[name] for name in names if name in item}


def _assistant_items(message: SessionMessage) -> list[Item]:
    text = "".join(part.text for part in message.parts if isinstance(part, TextPart | RefusalPart))
    items = [_answer_item(text)] if text else []
    return items + [
        {
            "type": "function_call",
            "call_id": call.id,
            "name": tool_name_within(call.name, longest=_LONGEST_NAME),
            "arguments": arguments_text(call),
        }
        for call in message.tool_calls
    ]


def _answer_item(text: str, *, phase: str | None = None) -> Item:
    item: Item = {"type": "message", "role": "assistant", "content": text}
    return {**item, "phase": phase} if phase is not None else item


def arguments_text(call: ToolCall) -> str:
    """Return the arguments of a call as the model wrote them, or would write them."""
    return call.raw_arguments if call.raw_arguments is not None else json.dumps(call.arguments, ensure_ascii=False)


# Input


def _tool_outputs(message: SessionMessage, ids: CallIds, *, is_new: bool) -> list[Item]:
    results = message.tool_results
    media = _media(message.parts, is_new=is_new) if len(results) == 1 else []
    return [
        {"type": "function_call_output", "call_id": ids.answered(result.tool_call_id), "output": _output(result, media)}
        for result in results
    ]


def _output(result: ToolResult, media: list[Item]) -> str | list[Item]:
    return [{"type": "input_text", "text": result.content}, *media] if media else result.content


def _content(message: SessionMessage, *, is_new: bool) -> str | list[Item]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.content or text_of(message.parts)
    return [block for part in message.parts if (block := _block(part, is_new=is_new)) is not None]


def _media(parts: Iterable[Part], *, is_new: bool) -> list[Item]:
    blocks = (_block(part, is_new=is_new) for part in parts if not isinstance(part, TextPart | ToolResult))
    return [block for block in blocks if block is not None]


def _block(part: Part, *, is_new: bool) -> Item | None:
    """Return the content block of one part; None when it has none. Of an older message's medium a note is left."""
    match part:
        case TextPart() | RefusalPart():
            return {"type": "input_text", "text": part.text} if part.text else None
        case ImagePart() if part.url or part.data:
            detail = part.detail if part.detail in IMAGE_DETAILS else "auto"
            url = part.url or data_url(part.data, part.media_type or "image/png")
            return {"type": "input_image", "detail": detail, "image_url": url}
        case FilePart() if (part.file_id or part.url or part.data) and not is_foreign_file(part, provider="openai"):
            return _file_block(part)
        case AudioPart() if part.transcript:
            return {"type": "input_text", "text": part.transcript}
        case AudioPart() | OtherPart() | ImagePart() | FilePart() if is_new:
            raise InvalidRequestError(
                f"openai: the Responses API takes no content of type {part.type!r} like this. Send text, an image or a "
                "file; for sound give AudioPart(transcript=...).",
                provider="openai",
            )
        case _:
            return {"type": "input_text", "text": told} if (told := told_instead(part)) else None


def _file_block(part: FilePart) -> Item:
    block: Item = {"type": "input_file"}
    if part.data:
        block["file_data"] = data_url(part.data, part.media_type or "application/octet-stream")
        return {**block, "filename": part.name or "file"}
    return {**block, "file_id": part.file_id} if part.file_id else {**block, "file_url": part.url}


def data_url(data: str | None, media_type: str) -> str:
    """Return base64 data as a URL."""
    return f"data:{media_type};base64,{data}"
