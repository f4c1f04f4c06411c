"""Our messages to the Responses API's input items. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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
from langswarm_sessions.providers.openai.answers import blocks_of, parts_of
from langswarm_sessions.providers.openai.media import responses_take
from langswarm_sessions.providers.tools import parse_arguments

__all__ = [
    "IMAGE_DETAILS",
    "Item",
    "arguments_text",
    "data_url",
    "given_back",
    "input_items",
    "payload_items",
]

Item = dict[str, Any]

_LONGEST_NAME = 128
_legal_call_id = call_id_within(re.compile(r".{1,64}", re.DOTALL), prefix="call_")

IMAGE_DETAILS = frozenset({"auto", "high", "low", "original"})
_REPLAYED_TYPES = frozenset({"function_call", "message"})
_REPLAYED_FIELDS = {
    "compaction": ("type", "encrypted_content"),
    "function_call": ("type", "call_id", "name", "arguments"),
    "reasoning": ("id", "type", "summary", "encrypted_content"),
}


def input_items(
    messages: Sequence[SessionMessage], *, model: str, replay_reasoning: bool = True, is_own: bool = True
) -> list[Item]:
    """Return the input items that say what the messages say.

    An answer this provider and model gave is replayed as it came; every other message is built from its parts. A
    compaction item stands for what was said before it, which is left out, but for system messages and open calls.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        replay_reasoning: Whether what earlier answers hold encrypted is sent back: reasoning and compaction.
        is_own: Whether it goes to OpenAI; other servers may take other types of content.

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
            items += _tool_outputs(message, ids, _Saying(is_new=is_new, is_own=is_own))
        elif content := _Saying(is_new=is_new, is_own=is_own).content(message):
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

    Ids are left out, for what was not stored there is unknown there, but for those of reasoning, which the API demands.
    Reasoning goes only encrypted and only with the item it led to. Nothing is replayed when the message says something
    else by now (a middleware edited it).

    Args:
        message: An answer.
        model: The model the request is for.
        with_reasoning: Whether what is encrypted is sent back: reasoning and compaction.
    """
    kept = _kept_items(message, model=model, with_reasoning=with_reasoning)
    return [replayed for item in kept if (replayed := _replayed(item)) is not None]


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own items; empty when those cannot be sent."""
    return parts_of(_kept_items(message, model=model))


def _kept_items(message: SessionMessage, *, model: str, with_reasoning: bool = True) -> list[Item]:
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
        if kind == "reasoning":
            waiting += [item] if item.get("encrypted_content") and with_reasoning else []
        elif kind == "compaction":
            kept += [item] if with_reasoning else []
        else:
            if kind in _REPLAYED_TYPES and _replayed(item) is not None:
                kept += [*waiting, item]
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
    if item["type"] in _REPLAYED_FIELDS:
        return _only(item, *_REPLAYED_FIELDS[item["type"]])
    text = _item_text(item)
    return _answer_item(text, phase=item.get("phase")) if text else None


def _only(item: Mapping[str, Any], *names: str) -> Item:
    return {name: item[name] for name in names if name in item}


def _assistant_items(message: SessionMessage) -> list[Item]:
    text = in_words(message.parts)
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


def _tool_outputs(message: SessionMessage, ids: CallIds, saying: _Saying) -> list[Item]:
    results = message.tool_results
    media = saying.media(message) if len(results) == 1 else []
    return [
        {"type": "function_call_output", "call_id": ids.answered(result.tool_call_id), "output": _output(result, media)}
        for result in results
    ]


def _output(result: ToolResult, media: list[Item]) -> str | list[Item]:
    return [{"type": "input_text", "text": result.content}, *media] if media else result.content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saying:
    """How one message's parts are said.

    Args:
        is_new: Whether what cannot be said is an error; in what was said before, a note takes its place.
        is_own: Whether it goes to OpenAI.
    """

    is_new: bool
    is_own: bool

    def content(self, message: SessionMessage) -> str | list[Item]:
        """Return what a message says: a text, or blocks where it holds more than text."""
        if all(isinstance(part, TextPart) for part in message.parts):
            return message.content or text_of(message.parts)
        return self._blocks(message.parts, message.role)

    def media(self, message: SessionMessage) -> list[Item]:
        """Return what came beside tool results."""
        return self._blocks(
            (part for part in message.parts if not isinstance(part, TextPart | ToolResult)), message.role
        )

    def _blocks(self, parts: Iterable[Part], role: Role) -> list[Item]:
        blocks = (self._block(part, role) for part in parts)
        return [block for block in blocks if block is not None]

    def _block(self, part: Part, role: Role) -> Item | None:
        """Return the content block of one part; None when it has none."""
        match part:
            case TextPart() | RefusalPart():
                return {"type": "input_text", "text": part.text} if part.text else None
            case ImagePart() if responses_take(part, role, is_own=self.is_own):
                detail = part.detail if part.detail in IMAGE_DETAILS else "auto"
                url = part.url or data_url(part.data, part.media_type or "image/png")
                return {"type": "input_image", "detail": detail, "image_url": url}
            case FilePart() if responses_take(part, role, is_own=self.is_own):
                return _file_block(part)
            case AudioPart() if part.transcript:
                return {"type": "input_text", "text": part.transcript}
            case AudioPart() | OtherPart() | ImagePart() | FilePart() if self.is_new:
                raise _untakeable(part)
            case _:
                return {"type": "input_text", "text": told} if (told := told_instead(part)) else None


def _untakeable(part: Part) -> InvalidRequestError:
    return InvalidRequestError(
        f"openai: the Responses API takes no content of type {described(part)} like this. Send text, an image (JPEG, "
        "PNG, GIF or WebP) or a file (PDF, office document or text); for sound give AudioPart(transcript=...).",
        provider="openai",
    )


def _file_block(part: FilePart) -> Item:
    block: Item = {"type": "input_file"}
    if part.data:
        block["file_data"] = data_url(part.data, part.media_type or "application/octet-stream")
        return {**block, "filename": part.name or "file"}
    return {**block, "file_id": part.file_id} if part.file_id else {**block, "file_url": part.url}


def data_url(data: str | None, media_type: str) -> str:
    """Return base64 data as a URL."""
    return f"data:{media_type};base64,{data}"
