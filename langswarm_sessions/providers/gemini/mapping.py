"""What both of Gemini's APIs need of our messages. Pure functions."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    Part,
    Role,
    SessionMessage,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.gemini.profile import DEFAULT_BASE_URL
from langswarm_sessions.providers.mapping import newness, tool_name_within

__all__ = [
    "Entry",
    "Item",
    "Media",
    "call_arguments",
    "entries",
    "legal_name",
    "media_of",
    "replayed_items",
    "unsendable",
]

Item = dict[str, Any]

_FILES = "files/"
_FILES_API = f"{DEFAULT_BASE_URL}/v1beta/"
_DEFAULT_TYPES = {"image": "image/png", "audio": "audio/wav", "document": "application/octet-stream"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One message, or the results of one round of tool calls, however many messages they came in.

    Args:
        role: Who speaks.
        message: The message; the first of them, for tool results.
        parts: What it holds, without tool results.
        results: Tool results, in the order of their calls, each with the name of its tool.
        is_new: Whether it came after the newest answer.
    """

    role: Role
    message: SessionMessage
    parts: tuple[Part, ...]
    results: tuple[tuple[ToolResult, str], ...] = ()
    is_new: bool = False


def entries(messages: Sequence[SessionMessage]) -> Iterator[Entry]:
    """Yield what is said, in order; instructions are left out, they go with the request.

    Args:
        messages: In order; tool calls and results already paired.
    """
    calls: list[ToolCall] = []
    waiting: list[SessionMessage] = []
    are_new = False
    for message, is_new in zip(messages, newness(messages), strict=True):
        if message.kind is MessageKind.INSTRUCTIONS:
            continue
        if message.role is Role.TOOL and message.tool_results:
            waiting.append(message)
            are_new = is_new
            continue
        if waiting:
            yield _results(waiting, calls, is_new=are_new)
            waiting = []
        calls += message.tool_calls
        yield Entry(role=message.role, message=message, parts=tuple(message.parts), is_new=is_new)
    if waiting:
        yield _results(waiting, calls, is_new=are_new)


def _results(messages: Sequence[SessionMessage], calls: Sequence[ToolCall], *, is_new: bool) -> Entry:
    places = {call.id: place for place, call in enumerate(calls)}
    names = {call.id: call.name for call in calls}
    results = [result for message in messages for result in message.tool_results]
    results.sort(key=lambda result: places.get(result.tool_call_id, len(places)))
    return Entry(
        role=Role.TOOL,
        message=messages[0],
        parts=tuple(part for message in messages for part in message.parts if not isinstance(part, ToolResult)),
        results=tuple((result, result.name or names.get(result.tool_call_id, "")) for result in results),
        is_new=is_new,
    )


def replayed_items(message: SessionMessage, *, model: str, api: str) -> list[Item]:
    """Return the provider's own items of an answer, where the same model gave it through the same API; else nothing.

    Args:
        message: An answer.
        model: The model the request is for.
        api: The API the request is for.
    """
    payload = message.provider_payload or {}
    if (payload.get("provider"), payload.get("model"), payload.get("api")) != ("gemini", model, api):
        return []
    items: list[Item] = payload.get("items") or []
    return items


def call_arguments(call: ToolCall) -> Item:
    """Return a call's arguments as the object Gemini demands; text that is none goes into one."""
    return call.arguments if call.raw_arguments is None else {"raw_arguments": call.raw_arguments}


def legal_name(name: str) -> str:
    """Return the name of a tool as Gemini takes it: a letter or underscore first, 64 characters at most."""
    return tool_name_within(name, longest=64, allowed="a-zA-Z0-9_.:-", first="a-zA-Z_")


# Media


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An image, a sound, a film or a document, in either API's terms.

    Args:
        kind: The type of content.
        media_type: Its MIME type.
        data: Base64.
        uri: Where it lies, when there is no `data`.
        detail: How closely to look at it.
    """

    kind: Literal["image", "audio", "video", "document"]
    media_type: str
    data: str | None = field(default=None, repr=False)
    uri: str | None = field(default=None, repr=False)
    detail: str | None = None


def media_of(part: Part) -> Media | None:
    """Return the media of a part; None when it has none that Gemini could read or fetch."""
    media = _found_media(part)
    is_broken = media is not None and media.data is not None and not _is_base64(media.data)
    return None if is_broken else media


def _found_media(part: Part) -> Media | None:
    match part:
        case ImagePart() if part.url or part.data:
            return _media(part.media_type, part.data, part.url, kind="image", detail=part.detail)
        case AudioPart() if part.url or part.data:
            return _media(part.media_type, part.data, part.url, kind="audio")
        case FilePart():
            uri = _file_uri(part.file_id) if part.file_id else part.url
            return _media(part.media_type, part.data, uri, name=part.name) if part.data or uri else None
        case _:
            return None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except ValueError:
        return False
    return True


def _media(
    media_type: str | None,
    data: str | None,
    url: str | None,
    *,
    kind: Literal["image", "audio"] | None = None,
    name: str | None = None,
    detail: str | None = None,
) -> Media:
    if data is None and url is not None and url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        media_type, url = media_type or head.split(";")[0] or None, None
    guessed = media_type or _guess(name) or (_guess(urlsplit(url).path) if url else None)
    found = guessed or _DEFAULT_TYPES[kind or "document"]
    return Media(kind=kind or _kind_of(found), media_type=found, data=data, uri=None if data else url, detail=detail)


def _guess(name: str | None) -> str | None:
    return mimetypes.guess_type(name)[0] if name else None


def _kind_of(media_type: str) -> Literal["image", "audio", "video", "document"]:
    match media_type.split("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def _file_uri(file_id: str) -> str | None:
    if "://" in file_id:
        return file_id
    return _FILES_API + file_id if file_id.startswith(_FILES) else None  # ids of other providers say nothing here


def unsendable(parts: Iterable[Part]) -> InvalidRequestError | None:
    """Return the refusal of new content Gemini cannot be sent, if there is such content."""
    for part in parts:
        is_media = isinstance(part, ImagePart | FilePart | AudioPart)
        is_told = isinstance(part, AudioPart) and bool(part.transcript)
        if part.type == "other" or (is_media and not is_told and media_of(part) is None):
            return _refusal(part)
    return None


def _refusal(part: Part) -> InvalidRequestError:
    return InvalidRequestError(
        f"gemini: content of type {part.type!r} cannot be sent like this. Send text, or an image, sound or file as "
        "base64 data, as a URL, or as the name ('files/...') the Files API gave it.",
        provider="gemini",
    )
