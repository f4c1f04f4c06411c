"""What both of Gemini's APIs need of our messages. Pure functions."""

from __future__ import annotations

import base64
import itertools
import mimetypes
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
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
from langswarm_sessions.providers.mapping import newness, tool_name_within
from langswarm_sessions.providers.media import described, media_type_of

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
_FILES_API = "https://generativelanguage.googleapis.com/v1beta/"
_SCHEMES = ("https://", "http://", "gs://")
_UNKNOWN = "application/octet-stream"
_DEFAULT_TYPES = {"image": "image/png", "audio": "audio/wav", "document": _UNKNOWN}

_EVERYWHERE = ("image/jpeg", "image/png", "image/webp", "image/heic", "image/heif", "image/gif", "audio/*", "video/*")
_DOCUMENTS = ("application/pdf", "text/*")
_TYPES = {
    "interactions": (
        *_EVERYWHERE,
        *_DOCUMENTS,
        "image/bmp",
        "image/tiff",
        "application/msword",
        "application/vnd.*",
    ),
    "generate_content": (
        *_EVERYWHERE,
        *_DOCUMENTS,
        "image/avif",
        "application/javascript",
        "application/x-javascript",
        "application/x-python*",
        "application/rtf",
    ),
}
"""What each API takes; patterns as of file names.

Sources: the types of ImageContent, DocumentContent and their like in google-genai; Google's guides to images, documents
and files; what google/adk-python found taken and refused (issue 5693).
"""


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
    calls: dict[str, tuple[int, str]] = {}  # the newest of each id: its place, and its name
    places = itertools.count()
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
        calls |= {call.id: (next(places), call.name) for call in message.tool_calls}
        yield Entry(role=message.role, message=message, parts=tuple(message.parts), is_new=is_new)
    if waiting:
        yield _results(waiting, calls, is_new=are_new)


def _results(messages: Sequence[SessionMessage], calls: Mapping[str, tuple[int, str]], *, is_new: bool) -> Entry:
    unasked = (sys.maxsize, "")
    results = [result for message in messages for result in message.tool_results]
    results.sort(key=lambda result: calls.get(result.tool_call_id, unasked)[0])
    return Entry(
        role=Role.TOOL,
        message=messages[0],
        parts=tuple(part for message in messages for part in message.parts if not isinstance(part, ToolResult)),
        results=tuple((result, result.name or calls.get(result.tool_call_id, unasked)[1]) for result in results),
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


def media_of(part: Part, *, api: str) -> Media | None:
    """Return the media of a part; None when it has none that Gemini could read or fetch.

    Args:
        part: The part.
        api: The API that is asked: it has types of its own.
    """
    media = _found_media(part)
    if media is None or not (_is_base64(media.data) if media.data is not None else _is_readable(media.uri)):
        return None
    kinds = (*_TYPES[api], _UNKNOWN)
    return media if any(fnmatchcase(media.media_type.lower(), kind) for kind in kinds) else None


def _is_readable(uri: str | None) -> bool:
    return (uri or "").lower().startswith(_SCHEMES)


def _found_media(part: Part) -> Media | None:
    match part:
        case ImagePart() if part.url or part.data:
            return _media(media_type_of(part), part.data, part.url, kind="image", detail=part.detail)
        case AudioPart() if part.url or part.data:
            return _media(media_type_of(part), part.data, part.url, kind="audio")
        case FilePart():
            uri = _file_uri(part.file_id) if part.file_id else part.url
            return _media(media_type_of(part), part.data, uri, name=part.name) if part.data or uri else None
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


def unsendable(parts: Iterable[Part], *, api: str) -> InvalidRequestError | None:
    """Return the refusal of new content Gemini cannot be sent, if there is such content."""
    for part in parts:
        is_media = isinstance(part, ImagePart | FilePart | AudioPart)
        is_told = isinstance(part, AudioPart) and bool(part.transcript)
        if part.type == "other" or (is_media and not is_told and media_of(part, api=api) is None):
            return _refusal(part)
    return None


def _refusal(part: Part) -> InvalidRequestError:
    return InvalidRequestError(
        f"gemini: content of type {described(part)} cannot be sent like this. Send text, or an image, sound or file as "
        "base64 data, as a URL, or as the name ('files/...') the Files API gave it.",
        provider="gemini",
    )
