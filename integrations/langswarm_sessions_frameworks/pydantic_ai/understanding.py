"""What messages of pydantic-ai say, read off their JSON. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions_frameworks.formats import Understood

__all__ = ["SPEAKERS", "understood"]

Data = Mapping[str, Any]

SPEAKERS = {
    "system-prompt": Role.SYSTEM,
    "user-prompt": Role.USER,
    "retry-feedback": Role.USER,
    "tool-return": Role.TOOL,
}
"""Who says which part of a request; a part of no other kind is said by anybody."""

_Medium = ImagePart | AudioPart | FilePart
_URLS: dict[str, type[_Medium]] = {
    "image-url": ImagePart,
    "audio-url": AudioPart,
    "document-url": FilePart,
    "video-url": FilePart,
}
_BINARIES: dict[str, type[_Medium]] = {"image": ImagePart, "audio": AudioPart}


def understood(message: Data) -> Understood:
    """Return what a dumped message says; of a request, one whose parts have one speaker."""
    parts = cast("Sequence[Data]", message.get("parts") or ())
    if message.get("kind") == "response":
        return Understood(
            role=Role.ASSISTANT,
            parts=[said for part in parts for said in _answer_part(part)],
            provider_metadata=_provider_metadata(message),
            provider_message_id=message.get("provider_response_id"),
        )
    role = next((SPEAKERS[kind] for part in parts if (kind := _kind(part)) in SPEAKERS), Role.SYSTEM)
    return Understood(role=role, parts=[said for part in parts for said in _request_part(part)])


def _kind(part: Data) -> str:
    return str(part.get("part_kind"))


def _provider_metadata(message: Data) -> dict[str, Any]:
    used = cast("Data", message.get("usage") or {})
    given, made = used.get("input_tokens") or 0, used.get("output_tokens") or 0
    known = {
        "model": message.get("model_name"),
        "finish_reason": message.get("finish_reason"),
        "usage": {"input_tokens": given, "output_tokens": made, "total_tokens": given + made} if given or made else {},
    }
    return {name: value for name, value in known.items() if value is not None}


def _request_part(part: Data) -> list[Part]:
    content: object = part.get("content")
    match _kind(part):
        case "system-prompt":
            return [TextPart(content)] if isinstance(content, str) and content else []
        case "user-prompt":
            return [said for item in _items(content) for said in _said(item)]
        case "retry-feedback":
            return [TextPart(content if isinstance(content, str) else json.dumps(content, ensure_ascii=False))]
        case "tool-return":
            return _result(part)
        case _:
            return [OtherPart(data=dict(part))]


def _items(content: object) -> Sequence[object]:
    return cast("Sequence[object]", content) if isinstance(content, list) else [content]


def _said(item: object) -> list[Part]:
    """Return what one item of a prompt's content says; a mark for caches says nothing."""
    if isinstance(item, str):
        return [TextPart(item)] if item else []
    if not isinstance(item, Mapping):
        return []
    data = cast("Data", item)
    if data.get("kind") == "cache-point":
        return []
    if data.get("kind") == "text-content" and isinstance(data.get("content"), str):
        return [TextPart(data["content"])]
    return [_medium(data) or OtherPart(data=dict(data))]


def _medium(data: Data) -> _Medium | None:
    kind, media_type = str(data.get("kind")), data.get("media_type")
    if kind in _URLS:
        return _URLS[kind](url=str(data.get("url")), media_type=media_type)
    if kind == "binary":
        return _BINARIES.get(str(media_type).split("/")[0], FilePart)(
            data=_standard(str(data.get("data"))), media_type=media_type
        )
    if kind == "uploaded-file":
        return FilePart(file_id=data.get("file_id"), media_type=media_type)
    return None


def _standard(data: str) -> str:
    """Return base64 data in the alphabet that others read."""
    return data.replace("-", "+").replace("_", "/")


def _result(part: Data) -> list[Part]:
    content: object = part.get("content")
    read = [(item, _medium(cast("Data", item)) if isinstance(item, Mapping) else None) for item in _items(content)]
    media = [medium for _, medium in read if medium is not None]
    others: list[object] = [item for item, medium in read if medium is None]
    result = ToolResult(
        tool_call_id=str(part.get("tool_call_id") or ""),
        content=_words(others if media else content),
        is_error=part.get("outcome", "success") != "success",
        name=part.get("tool_name"),
    )
    return [result, *media]


def _words(content: object) -> str:
    if content is None or content == []:
        return ""
    if isinstance(content, list) and all(isinstance(item, str) for item in cast("Sequence[object]", content)):
        return "\n".join(cast("list[str]", content))
    return content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)


def _answer_part(part: Data) -> list[Part]:
    content = part.get("content")
    match _kind(part):
        case "text":
            return [TextPart(content)] if isinstance(content, str) and content else []
        case "thinking":
            return [ReasoningPart(text=content)] if isinstance(content, str) and content else []
        case "tool-call":
            return [_call(part)]
        case "file" if isinstance(content, Mapping):
            return [_medium(cast("Data", content)) or OtherPart(data=dict(part))]
        case _:
            return [OtherPart(data=dict(part))]


def _call(part: Data) -> ToolCall:
    call_id, name, given = str(part.get("tool_call_id") or ""), str(part.get("tool_name")), part.get("args")
    if isinstance(given, Mapping):
        return ToolCall(id=call_id, name=name, arguments=dict(cast("Data", given)))
    arguments = parse_arguments(given or "{}") if isinstance(given, str | None) else None
    if arguments is None:
        return ToolCall(id=call_id, name=name, raw_arguments=str(given))
    return ToolCall(id=call_id, name=name, arguments=arguments)
