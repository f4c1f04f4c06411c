"""Contents of Agent Framework's messages as parts, and parts as contents. Pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from agent_framework import Content

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.media import noted
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions_frameworks.parts import is_portable

__all__ = ["contents_of", "parts_of"]

_REFUSAL = {"model_output_kind": "refusal"}
_NOT_SAID = frozenset({"usage"})
"""Contents that count what was said, and say nothing."""


def parts_of(contents: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Return what dumped contents say."""
    said = [content for content in contents if content.get("type") not in _NOT_SAID]
    return [part for at, content in enumerate(said) for part in _parts(content, at)]


def contents_of(parts: Sequence[Part]) -> list[Content]:
    """Return the contents that say what parts say; of a medium that has no place there, a text tells."""
    told = noted(parts, is_taken=is_portable)
    beside = [content for part in told for content in _beside(part)]
    results = [part for part in told if isinstance(part, ToolResult)]
    if not results:
        return beside
    # What came beside a tool's result stands within it: a tool message has no other place.
    last = results[-1]
    return [*(_result(part, []) for part in results[:-1]), _result(last, beside)]


# ---------------------------------------------------------------- contents as parts


def _parts(content: Mapping[str, Any], at: int) -> list[Part]:
    match content.get("type"):
        case "text":
            return [_text(content)]
        case "text_reasoning":
            return [ReasoningPart(text=str(content.get("text") or ""))]
        case "function_call" if not content.get("informational_only"):
            return [_call(content, at)]
        case "function_result":
            return _result_parts(content)
        case "data" | "uri":
            return [_medium(content)]
        case "hosted_file":
            return [
                FilePart(file_id=content.get("file_id"), name=content.get("name"), media_type=content.get("media_type"))
            ]
        case _:
            return [OtherPart(data=dict(content))]


def _text(content: Mapping[str, Any]) -> Part:
    properties: Mapping[str, Any] = content.get("additional_properties") or {}
    text = str(content.get("text") or "")
    return RefusalPart(text) if _REFUSAL.items() <= properties.items() else TextPart(text)


def _call(content: Mapping[str, Any], at: int) -> ToolCall:
    name, arguments = str(content.get("name") or ""), content.get("arguments")
    call_id = str(content.get("call_id") or _id_of([at, name, arguments]))
    if isinstance(arguments, Mapping):
        return ToolCall(id=call_id, name=name, arguments=dict(cast("Mapping[str, Any]", arguments)))
    parsed = parse_arguments(arguments or "")
    if parsed is not None:
        return ToolCall(id=call_id, name=name, arguments=parsed)
    return ToolCall(id=call_id, name=name, raw_arguments=str(arguments))


def _id_of(what: object) -> str:
    """Return an id that is the same each time a call without one is read."""
    return f"call_{hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:24]}"


def _result_parts(content: Mapping[str, Any]) -> list[Part]:
    items = cast("list[Mapping[str, Any]]", content.get("items") or [])
    text = content.get("result")
    result = ToolResult(
        tool_call_id=str(content.get("call_id") or ""),
        content=text if isinstance(text, str) else "" if text is None else json.dumps(text),
        is_error=content.get("exception") is not None,
        name=content.get("name"),
    )
    return [result, *(part for part in parts_of(items) if not isinstance(part, TextPart | RefusalPart))]


def _medium(content: Mapping[str, Any]) -> Part:
    uri, media_type = str(content.get("uri") or ""), content.get("media_type")
    given: dict[str, Any] = {"url": uri}
    head, comma, data = uri.partition(",")
    if comma and head.startswith("data:") and head.endswith(";base64"):
        given = {"data": data}
        media_type = media_type or head.removeprefix("data:").removesuffix(";base64") or None
    kind = str(media_type or "").partition("/")[0]
    if kind == "image":
        return ImagePart(**given, media_type=media_type)
    if kind == "audio":
        return AudioPart(**given, media_type=media_type)
    return FilePart(**given, media_type=media_type, name=content.get("name"))


# ---------------------------------------------------------------- parts as contents


def _beside(part: Part) -> list[Content]:
    match part:
        case TextPart() | RefusalPart():
            return [Content.from_text(part.text)]
        case ToolCall():
            written = dict(part.arguments) if part.raw_arguments is None else part.raw_arguments
            return [Content.from_function_call(part.id, part.name, arguments=written)]
        case ImagePart() | AudioPart() | FilePart():
            return [_medium_content(part)]
        case _:
            return []


def _medium_content(part: ImagePart | AudioPart | FilePart) -> Content:
    media_type = part.media_type or "application/octet-stream"
    uri = part.url if part.url else f"data:{media_type};base64,{part.data}"
    name = part.name if isinstance(part, FilePart) else None
    return Content.from_uri(uri, media_type=part.media_type or _kind(part), name=name)


def _kind(part: ImagePart | AudioPart | FilePart) -> str:
    """Return the type of a medium that came without: nothing reads an address whose type it does not know."""
    return {"image": "image/*", "audio": "audio/*"}.get(part.type, "application/octet-stream")


def _result(part: ToolResult, beside: list[Content]) -> Content:
    text = [Content.from_text(part.content)] if part.content or not beside else []
    exception = (part.content or "failed") if part.is_error else None
    return Content.from_function_result(part.tool_call_id, result=[*text, *beside], exception=exception)
