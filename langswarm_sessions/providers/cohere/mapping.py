"""Our messages to the v2 Chat API's messages. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import (
    AudioPart,
    ImagePart,
    MessageKind,
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
from langswarm_sessions.providers.cohere.answers import Item, call_arguments, content_blocks, parts_of
from langswarm_sessions.providers.mapping import CallIds, call_id_within, newness, tool_name_within
from langswarm_sessions.providers.media import MediaTable, described, in_words, told_instead

__all__ = ["Senses", "chat_messages", "given_back", "replayed_answer", "takes"]

_LONGEST_NAME = 128
_legal_call_id = call_id_within(re.compile(r".+", re.DOTALL), prefix="call_")
_IMAGE_DETAILS = frozenset({"auto", "high", "low"})
_TABLE = MediaTable(provider="cohere")  # source: Cohere's guide to image inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Senses:
    """What a model takes beside text.

    Args:
        sees: It takes images.
        thinks: It takes back its thinking.
    """

    sees: bool = True
    thinks: bool = True


def chat_messages(messages: Sequence[SessionMessage], *, model: str, senses: Senses) -> list[Item]:
    """Return the messages that say what ours say.

    An answer this provider and model gave is replayed as it came; every other message is built from its parts. Of what
    the API takes no more, a note stays in its place.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        senses: What it takes.

    Raises:
        InvalidRequestError: The new input holds content the API or the model does not take.
    """
    ids = CallIds(_legal_call_id)
    wire: list[Item] = []
    for message, is_new in zip(messages, newness(messages), strict=True):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        said = _Saying(sees=senses.sees, is_new=is_new)
        if message.role is Role.ASSISTANT:
            answer = replayed_answer(message, model=model, thinks=senses.thinks) or _built_answer(message)
            wire += [_named(answer, ids)] if len(answer) > 1 else []
        elif message.role is Role.TOOL and message.tool_results:
            wire += said.results(message, ids)
        elif content := said.text(message.parts) if message.role is Role.SYSTEM else said.content(message.parts):
            role = "system" if message.role is Role.SYSTEM else "user"
            wire.append({"role": role, "content": content})
    return wire


# Answers


def replayed_answer(message: SessionMessage, *, model: str, thinks: bool = True) -> Item | None:
    """Return the provider's own message of an answer, fit to be sent again; None when it cannot be.

    Nothing is replayed when the message says something else by now (a middleware edited it).

    Args:
        message: An answer.
        model: The model the request is for.
        thinks: Whether thinking is sent back.
    """
    payload = message.provider_payload or {}
    items: list[Item] = payload.get("items") or []
    if payload.get("provider") != "cohere" or payload.get("model") != model or len(items) != 1:
        return None
    stored = items[0]
    if not _says_the_same(stored, message):
        return None
    blocks = [block for block in content_blocks(stored) if thinks or block.get("type") != "thinking"]
    return _answer(
        content=blocks,
        tool_plan=stored.get("tool_plan"),
        tool_calls=stored.get("tool_calls"),
        citations=stored.get("citations"),
    )


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own message; empty when that cannot be sent."""
    answer = replayed_answer(message, model=model)
    if answer is None or len(answer) == 1:
        return []
    stored: Item = (message.provider_payload or {})["items"][0]
    return parts_of(stored if answer.get("tool_calls") else {**stored, "tool_plan": None})


def takes(part: Part, role: Role) -> bool:
    """Whether the API takes a medium in a message of a role: images, from the user."""
    return role is Role.USER and isinstance(part, ImagePart) and _TABLE.takes(part)


def _says_the_same(stored: Item, message: SessionMessage) -> bool:
    text = _block_text(content_blocks(stored))
    sent: list[Item] = stored.get("tool_calls") or []
    told = message.tool_calls
    return text == message.content and len(sent) == len(told) and all(map(_is_same_call, sent, told))


def _is_same_call(sent: Item, call: ToolCall) -> bool:
    function = sent["function"]
    text = str(function.get("arguments") or "")
    if (sent.get("id"), function.get("name")) != (call.id, call.name):
        return False
    return text == call.raw_arguments if call.raw_arguments is not None else call_arguments(text) == call.arguments


def _built_answer(message: SessionMessage) -> Item:
    text = in_words(message.parts)
    calls = [{"id": call.id, "type": "function", "function": _function(call)} for call in message.tool_calls]
    return _answer(content=[{"type": "text", "text": text}] if text else [], tool_calls=calls)


def _answer(
    *,
    content: list[Item],
    tool_plan: str | None = None,
    tool_calls: list[Item] | None = None,
    citations: list[Item] | None = None,
) -> Item:
    """Return an assistant's message; nothing but its role when it neither says nor calls anything."""
    text = _block_text(content)
    said: object = content
    if tool_calls:  # beside calls the API takes no text but the plan that led to them
        tool_plan = "\n\n".join(filter(None, [tool_plan, text]))
        said = [block for block in content if block.get("type") != "text"]
    elif not text:
        return {"role": "assistant"}
    elif all(block.get("type") == "text" for block in content):
        said = text
    plan = tool_plan if tool_calls else None
    fields = {"content": said, "tool_plan": plan, "tool_calls": tool_calls, "citations": citations}
    return {"role": "assistant", **{name: value for name, value in fields.items() if value}}


def _named(answer: Item, ids: CallIds) -> Item:
    calls: list[Item] = answer.get("tool_calls") or []
    named = [{**call, "id": ids.made(call["id"])} for call in calls]
    return {**answer, "tool_calls": named} if named else answer


def _function(call: ToolCall) -> Item:
    name = tool_name_within(call.name, longest=_LONGEST_NAME, first="a-zA-Z_")
    return {"name": name, "arguments": _arguments(call)}


def _block_text(blocks: Iterable[Item]) -> str:
    return "".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")


def _arguments(call: ToolCall) -> str:
    return call.raw_arguments if call.raw_arguments is not None else json.dumps(call.arguments, ensure_ascii=False)


# Input


@dataclass(frozen=True, slots=True, kw_only=True)
class _Saying:
    """How one message's parts are said.

    Args:
        sees: Whether the model takes images.
        is_new: Whether what cannot be said is an error; in what was said before, a note takes its place.
    """

    sees: bool
    is_new: bool

    def content(self, parts: Sequence[Part]) -> str | list[Item]:
        """Return what a user's message says: a text, or blocks where it holds more than text."""
        blocks = [block for part in parts if (block := self._block(part)) is not None]
        return _block_text(blocks) if all(isinstance(part, TextPart) for part in parts) else blocks

    def text(self, parts: Iterable[Part]) -> str:
        """Return what parts say where the API takes nothing but text."""
        unseeing = _Saying(sees=False, is_new=self.is_new)
        return _block_text(block for part in parts if (block := unseeing._block(part)) is not None)

    def results(self, message: SessionMessage, ids: CallIds) -> list[Item]:
        """Return one message per tool result; what came with them as a note at the last one."""
        beside = self.text(part for part in message.parts if not isinstance(part, TextPart | ToolResult))
        wire: list[Item] = [
            {"role": "tool", "tool_call_id": ids.answered(result.tool_call_id), "content": result.content}
            for result in message.tool_results
        ]
        if beside:
            wire[-1]["content"] = "\n".join(filter(None, [wire[-1]["content"], beside]))
        return wire

    def _block(self, part: Part) -> Item | None:
        match part:
            case TextPart() | RefusalPart():
                return _text_block(part.text)
            case AudioPart() if part.transcript:
                return _text_block(part.transcript)
            case ImagePart() if self.sees and _TABLE.takes(part):
                return _image_block(part)
            case ReasoningPart() | ToolCall() | ToolResult():
                return None
            case _ if self.is_new:
                raise _untakeable(part)
            case OtherPart():
                return None
            case _:
                return _text_block(told_instead(part))


def _text_block(text: str) -> Item | None:
    return {"type": "text", "text": text} if text else None


def _image_block(part: ImagePart) -> Item:
    url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data}"
    image: Mapping[str, Any] = {"url": url}
    return {
        "type": "image_url",
        "image_url": {**image, "detail": part.detail} if part.detail in _IMAGE_DETAILS else image,
    }


_REMEDIES: Mapping[str, str] = {
    "audio": "Give its words: AudioPart(transcript=...).",
    "file": "Send its text instead.",
    "image": "Send it as JPEG, PNG, GIF or WebP in a user's message to a model that sees, or say what it shows.",
}


def _untakeable(part: Part) -> InvalidRequestError:
    remedy = _REMEDIES.get(part.type, "Send text or an image.")
    return InvalidRequestError(
        f"cohere: content of type {described(part)} is not taken like this, here or by this model. {remedy}",
        provider="cohere",
    )
