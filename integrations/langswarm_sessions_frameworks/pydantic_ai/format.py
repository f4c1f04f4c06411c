"""Messages of pydantic-ai as rows, and rows as its messages. Pure functions.

A request of pydantic-ai may hold a system prompt, a user's prompt and the results of several tools at once: each is a
row of its own, all rows of a request have its entry's id as their `group_id`, and make it again.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, Literal

from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    DocumentUrl,
    ImageUrl,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    SystemPromptPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import FilePart as FileAnswer
from pydantic_ai.messages import TextPart as TextAnswer
from pydantic_ai.messages import ToolCallPart as CallAnswer
from pydantic_ai.usage import RequestUsage

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    Part,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions_frameworks.formats import Fate, ItemFormat, Row, Understood, converted, message_of
from langswarm_sessions_frameworks.pydantic_ai.understanding import SPEAKERS, understood

__all__ = ["MessagesFormat", "entry_id_of", "rows_of", "whole_messages"]

_DEFAULT_TYPES = {"image": "image/png", "audio": "audio/wav", "file": "application/octet-stream"}
_URLS: dict[str, type[ImageUrl | AudioUrl]] = {"image": ImageUrl, "audio": AudioUrl}
_NOTED = converted("pydantic-ai has no place for it here; a text says that it was there")


class MessagesFormat(ItemFormat[ModelMessage]):
    """The messages of pydantic-ai, as `ModelMessagesTypeAdapter` writes them."""

    name = "pydantic-ai"

    def dump(self, item: ModelMessage) -> Any:
        """Return a message as its adapter writes it."""
        return ModelMessagesTypeAdapter.dump_python([item], mode="json")[0]

    def load(self, data: Any) -> ModelMessage:
        """Return the message that `dump` wrote."""
        return ModelMessagesTypeAdapter.validate_python([data])[0]

    def understand(self, data: Sequence[Any]) -> Understood:
        """Return what the message of a row says."""
        return understood(data[0])

    def build(self, message: SessionMessage) -> list[ModelMessage]:
        """Return a message that says what one of another origin says; the same each time."""
        if message.kind is MessageKind.INSTRUCTIONS:
            return []
        if message.role is Role.ASSISTANT:
            parts = [part for said in message.parts if (part := _answer(said)) is not None]
            return [_response(message, parts)] if parts else []
        said = _request_parts(message)
        return [ModelRequest(parts=said, timestamp=message.timestamp)] if said else []

    def fate(self, message: SessionMessage, part: Part) -> Fate:
        """Return what becomes of a part."""
        if isinstance(part, ImagePart | AudioPart | FilePart) and message.kind is not MessageKind.INSTRUCTIONS:
            has_place = _content(part) is not None if message.role is not Role.ASSISTANT else _bytes(part) is not None
            if message.role is Role.SYSTEM or not has_place:
                return _NOTED
        return super().fate(message, part)


_FORMAT = MessagesFormat()


def rows_of(message: ModelMessage, *, entry_id: str) -> list[SessionMessage]:
    """Return a message as rows, one for each who speaks in it.

    Args:
        message: A request or a response.
        entry_id: Names it in its conversation.
    """
    pieces: list[ModelMessage] = [message]
    if isinstance(message, ModelRequest):
        pieces = [replace(message, parts=parts) for parts in _by_speaker(message.parts)]
    rows: list[SessionMessage] = []
    for position, piece in enumerate(pieces):
        row_id = entry_id if position == 0 else f"{entry_id}.{position}"
        row = message_of(_FORMAT, [piece], message_id=row_id, group_id=entry_id)
        rows.append(row if piece.timestamp is None else replace(row, timestamp=piece.timestamp))
    return rows


def _by_speaker(parts: Sequence[ModelRequestPart]) -> list[list[ModelRequestPart]]:
    """Return parts in pieces of one speaker; what nobody says goes with what it stands beside."""
    pieces: list[list[ModelRequestPart]] = [[]]
    for part in parts:
        if part.part_kind in SPEAKERS and any(one.part_kind in SPEAKERS for one in pieces[-1]):
            pieces.append([])
        pieces[-1].append(part)
    return pieces


def whole_messages(rows: Iterable[Row[ModelMessage]]) -> list[tuple[str, ModelMessage]]:
    """Return the messages that rows hold, each with the id of its entry."""
    told = [row for row in rows if row.items]
    return [
        (entry_id, _joined([item for row in group for item in row.items]))
        for entry_id, group in groupby(told, key=lambda row: entry_id_of(row.message))
    ]


def entry_id_of(message: SessionMessage) -> str:
    """Return the id of the entry a row belongs to."""
    payload = message.provider_payload or {}
    own = payload.get("format") == _FORMAT.name and message.group_id
    return message.group_id if own and message.group_id else message.message_id


def _joined(pieces: Sequence[ModelMessage]) -> ModelMessage:
    first = pieces[0]
    if len(pieces) == 1 or not isinstance(first, ModelRequest):
        return first
    return replace(first, parts=[part for piece in pieces if isinstance(piece, ModelRequest) for part in piece.parts])


# ---------------------------------------------------------------- building


def _response(message: SessionMessage, parts: list[ModelResponsePart]) -> ModelResponse:
    said = message.provider_metadata
    used: Mapping[str, int] = said.get("usage") or {}
    usage = RequestUsage(input_tokens=used.get("input_tokens") or 0, output_tokens=used.get("output_tokens") or 0)
    return ModelResponse(
        parts=parts,
        model_name=said.get("model"),
        provider_response_id=message.provider_message_id,
        timestamp=message.timestamp,
        usage=usage,
        finish_reason=_FINISH_REASONS.get(str(said.get("finish_reason"))),
    )


_FinishReason = Literal["stop", "length", "content_filter", "tool_call", "error"]
_FINISH_REASONS: dict[str, _FinishReason] = {
    "stop": "stop",
    "end_turn": "stop",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_call",
    "tool_use": "tool_call",
}


def _answer(part: Part) -> ModelResponsePart | None:
    match part:
        case TextPart() | RefusalPart():
            return TextAnswer(part.text) if part.text else None
        case ToolCall():
            return CallAnswer(part.name, part.raw_arguments or part.arguments, part.id)
        case ImagePart() | AudioPart() | FilePart():
            held = _bytes(part)
            return TextAnswer(told_instead(part)) if held is None else FileAnswer(held)
        case _:
            return None


def _request_parts(message: SessionMessage) -> list[ModelRequestPart]:
    moment = message.timestamp
    beside = [said for part in message.parts if (said := _told(part, message.role)) is not None]
    if message.role is Role.TOOL:
        results = message.tool_results
        return [_return(message, result, beside if result is results[-1] else []) for result in results]
    if message.role is Role.SYSTEM:
        text = "".join(said for said in beside if isinstance(said, str))
        return [SystemPromptPart(text, timestamp=moment)] if text else []
    content = beside[0] if len(beside) == 1 and isinstance(beside[0], str) else beside
    return [UserPromptPart(content, timestamp=moment)] if beside else []


def _return(message: SessionMessage, result: ToolResult, beside: list[UserContent]) -> ToolReturnPart:
    content: Any = [*([result.content] if result.content else []), *beside] if beside else result.content
    return ToolReturnPart(
        result.name or "tool",
        content,
        result.tool_call_id,
        timestamp=message.timestamp,
        outcome="failed" if result.is_error else "success",
    )


def _told(part: Part, role: Role) -> UserContent | None:
    match part:
        case TextPart() | RefusalPart():
            return part.text or None
        case ImagePart() | AudioPart() | FilePart():
            return told_instead(part) if role is Role.SYSTEM else _content(part) or told_instead(part)
        case _:
            return None


def _content(part: ImagePart | AudioPart | FilePart) -> UserContent | None:
    if part.url and not part.url.startswith("data:"):
        return _URLS.get(part.type, DocumentUrl)(part.url, media_type=part.media_type)
    return _bytes(part)


def _bytes(part: ImagePart | AudioPart | FilePart) -> BinaryContent | None:
    if part.url and part.url.startswith("data:"):
        try:
            return BinaryContent.from_data_uri(part.url)
        except ValueError:
            return None
    if not part.data:
        return None
    try:
        data = base64.b64decode(part.data.replace("-", "+").replace("_", "/"), validate=False)
    except binascii.Error:
        return None
    return BinaryContent.narrow_type(BinaryContent(data, media_type=part.media_type or _DEFAULT_TYPES[part.type]))
