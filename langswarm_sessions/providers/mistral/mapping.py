"""Our messages to the entries of a conversation. Pure functions.

Entries are the one form both ways of asking start from: a conversation takes them as they are, chat completions take
the messages `chat.py` makes of them.
"""

from __future__ import annotations

import hashlib
import json
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
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
from langswarm_sessions.providers.mapping import CallIds, newness, tool_name_within
from langswarm_sessions.providers.media import COMMON_IMAGES, MediaTable, described, in_words, told_instead
from langswarm_sessions.providers.mistral.replay import replayed_entries

__all__ = ["Entry", "Mapped", "Target", "entries_of", "takes", "wire_call_id"]

Entry = dict[str, Any]

NO_ANSWER = "(No answer was given.)"
"""Stands between a tool's result and the user's next words: the models take no `user` after `tool`."""

_LONGEST_NAME = 64
_CALL_ID = re.compile(r"[a-zA-Z0-9]{9}")
_ID_LETTERS = string.digits + string.ascii_letters
_IMAGE_DETAILS = frozenset({"low", "auto", "high"})


class Target(StrEnum):
    """What the entries are for: the two APIs take different content."""

    CONVERSATION = "conversations"
    CHAT = "chat completions"


_TABLE = MediaTable(
    provider="mistral",
    files=(
        "application/epub*",
        "application/json",
        "application/msword",
        "application/pdf",
        "application/rtf",
        "application/vnd.*",
        "application/x-*tex*",
        "application/xml",
        *COMMON_IMAGES,
        "text/*",
    ),
    sounds=("audio/*",),
)
"""Sources: Mistral's guides to vision, to audio and to document AI."""


def takes(part: Part, role: Role, *, target: Target) -> bool:
    """Whether the API takes a medium in a message of a role.

    Args:
        part: The medium.
        role: Who says it; in answers and system messages nothing but text is taken.
        target: What it is for: conversations take no sound, no file ids, and no media beside results.
    """
    is_chat = target is Target.CHAT
    if role not in ({Role.USER, Role.TOOL} if is_chat else {Role.USER}):
        return False
    needs_chat = isinstance(part, AudioPart) or (isinstance(part, FilePart) and not (part.data or part.url))
    return (is_chat or not needs_chat) and _TABLE.takes(part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """What is sent.

    Args:
        entries: Input entries, in order.
        system: Texts of system messages that came before something else: both APIs take them only in front.
    """

    entries: list[Entry] = field(repr=False)
    system: tuple[str, ...] = field(default=(), repr=False)


def wire_call_id(call_id: str) -> str:
    """Return the id of a tool call as Mistral takes it: nine letters or digits.

    Its own ids are such and stay; another provider's become nine letters of their digest, the same ones every time, so
    that a call and its result still meet.

    Example:
        >>> wire_call_id("rXo8OuL9G"), wire_call_id("call_1")
        ('rXo8OuL9G', 'rKSxKBV4V')
    """
    if _CALL_ID.fullmatch(call_id):
        return call_id
    number = int.from_bytes(hashlib.sha256(call_id.encode()).digest())
    letters: list[str] = []
    for _ in range(9):
        number, place = divmod(number, len(_ID_LETTERS))
        letters.append(_ID_LETTERS[place])
    return "".join(letters)


def entries_of(messages: Sequence[SessionMessage], *, model: str, target: Target, issued: Iterable[str] = ()) -> Mapped:
    """Return the entries that say what the messages say.

    An answer this provider and model gave is replayed as it came; every other message is built from its parts.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.
        target: What the entries are for.
        issued: Ids of tool calls the conversation waits for: they go back as they came, whatever they look like.

    Raises:
        InvalidRequestError: The new input holds content the API does not take.
    """
    writer = _Writer(model=model, target=target, issued=issued)
    said = [message for message in messages if message.kind is not MessageKind.INSTRUCTIONS]
    last_other = max((at for at, message in enumerate(said) if message.role is not Role.SYSTEM), default=-1)
    in_front = [in_words(message.parts) for message in said[: max(last_other, 0)] if message.role is Role.SYSTEM]
    system = [text for text in in_front if text]
    for index, (message, is_new) in enumerate(zip(said, newness(said), strict=True)):
        if message.role is not Role.SYSTEM or index > last_other:
            writer.add(message, is_new=is_new)
    return Mapped(entries=writer.entries, system=tuple(system))


class _Writer:
    """Collects entries."""

    def __init__(self, *, model: str, target: Target, issued: Iterable[str]) -> None:
        self.entries: list[Entry] = []
        self._model = model
        self._target = target
        self._ids = CallIds(wire_call_id)
        for call_id in issued:
            self._ids.kept(call_id)

    def add(self, message: SessionMessage, *, is_new: bool) -> None:
        """Add what one message says."""
        if message.role is Role.ASSISTANT:
            replayed = replayed_entries(message, model=self._model) or _answer_entries(message)
            self.entries += [self._with_wire_id(entry) for entry in replayed]
        elif message.role is Role.TOOL and message.tool_results:
            self.entries += [self._result(result, message, is_new=is_new) for result in message.tool_results]
        elif content := self._content(message, is_new=is_new):
            if self.entries and self.entries[-1]["type"] == "function.result":
                self.entries.append(_output(NO_ANSWER))
            self.entries.append({"type": "message.input", "role": "user", "content": content})

    def _with_wire_id(self, entry: Entry) -> Entry:
        if entry["type"] != "function.call":
            return entry
        return {**entry, "tool_call_id": self._ids.made(entry["tool_call_id"])}

    def _result(self, result: ToolResult, message: SessionMessage, *, is_new: bool) -> Entry:
        in_conversation = self._target is Target.CONVERSATION
        media = [part for part in message.parts if not isinstance(part, TextPart | ToolResult)]
        chunks = (
            self._chunks(media, Role.TOOL, is_new=is_new and not in_conversation)
            if len(message.tool_results) == 1
            else []
        )
        if chunks and in_conversation:
            if is_new:
                raise self._refused("image or file, beside a tool's result,")
            return self._told(result, "\n".join(filter(None, [result.content, *map(told_instead, media)])))
        said: str | list[Entry] = [{"type": "text", "text": result.content}, *chunks] if chunks else result.content
        return self._told(result, said)

    def _told(self, result: ToolResult, said: str | list[Entry]) -> Entry:
        return {"type": "function.result", "tool_call_id": self._ids.answered(result.tool_call_id), "result": said}

    def _content(self, message: SessionMessage, *, is_new: bool) -> str | list[Entry]:
        if all(isinstance(part, TextPart) for part in message.parts):
            return message.content or text_of(message.parts)
        if message.role is Role.SYSTEM:
            return in_words(message.parts)
        return self._chunks(message.parts, message.role, is_new=is_new)

    def _chunks(self, parts: Iterable[Part], role: Role, *, is_new: bool) -> list[Entry]:
        chunks = (self._chunk(part, role, is_new=is_new) for part in parts)
        return [chunk for chunk in chunks if chunk is not None]

    def _chunk(self, part: Part, role: Role, *, is_new: bool) -> Entry | None:
        """Return the chunk of one part; None when it has none. Of an older message's medium a note is left."""
        if takes(part, role, target=self._target):
            return _medium(part)
        match part:
            case TextPart() | RefusalPart():
                return {"type": "text", "text": part.text} if part.text else None
            case AudioPart() if part.transcript:
                return {"type": "text", "text": part.transcript}
            case AudioPart() | OtherPart() | ImagePart() | FilePart() if is_new:
                raise self._refused(f"content of type {described(part)} like this")
            case _:
                return {"type": "text", "text": told} if (told := told_instead(part)) else None

    def _refused(self, what: str) -> InvalidRequestError:
        return InvalidRequestError(
            f"mistral: the API's {self._target} take no {what}. Send text, an image (JPEG, PNG, GIF or WebP), or a "
            "document by URL or data; sound and file ids go with strategy 'client'.",
            provider="mistral",
        )


def _medium(part: Part) -> Entry | None:
    match part:
        case ImagePart():
            return _image(part)
        case FilePart() if part.url or part.data:
            named = {"document_name": part.name} if part.name else {}
            where = part.url or _data_url(part.data, part.media_type or "application/octet-stream")
            return {"type": "document_url", "document_url": where, **named}
        case FilePart():
            return {"type": "file", "file_id": part.file_id}
        case AudioPart():
            return {"type": "input_audio", "input_audio": part.data or part.url}
        case _:
            return None


def _image(part: ImagePart) -> Entry:
    url = part.url or _data_url(part.data, part.media_type or "image/png")
    image: Entry | str = {"url": url, "detail": part.detail} if part.detail in _IMAGE_DETAILS else url
    return {"type": "image_url", "image_url": image}


def _data_url(data: str | None, media_type: str) -> str:
    return f"data:{media_type};base64,{data}"


def _answer_entries(message: SessionMessage) -> list[Entry]:
    text = in_words(message.parts)
    entries = [_output(text)] if text else []
    return entries + [
        {"type": "function.call", "tool_call_id": call.id, "name": _legal_name(call), "arguments": _arguments(call)}
        for call in message.tool_calls
    ]


def _output(text: str) -> Entry:
    return {"type": "message.output", "role": "assistant", "content": text}


def _legal_name(call: ToolCall) -> str:
    return tool_name_within(call.name, longest=_LONGEST_NAME)


def _arguments(call: ToolCall) -> str:
    return call.raw_arguments if call.raw_arguments is not None else json.dumps(call.arguments, ensure_ascii=False)
