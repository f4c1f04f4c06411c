"""Our content parts to the Messages API's content blocks. Pure functions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, OtherPart, Part, RefusalPart, Role, TextPart
from langswarm_sessions.providers.media import COMMON_IMAGES, described, is_foreign_file, told_instead

__all__ = ["Block", "content_blocks", "takes", "text_block"]

Block = dict[str, Any]

_PDF = "application/pdf"
_IMAGE_TYPES = frozenset(COMMON_IMAGES) - {"image/jpg"}
_SCHEMES = ("https://", "http://")
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/x-yaml"})
_IMAGE_BEGINNINGS = {"/9j/": "image/jpeg", "R0lGOD": "image/gif", "UklGR": "image/webp", "iVBORw": "image/png"}
"""How images begin in base64, for those that come without their type: the API refuses a wrong one."""
_OWN_FILES = "file_"
_REMEDY = (
    "Send text, an image (JPEG, PNG, GIF or WebP; URL or base64), a PDF (URL, base64 or an Anthropic file_id) or a "
    "text file (base64); for sound give AudioPart(transcript=...)."
)


def content_blocks(parts: Iterable[Part], *, is_new: bool) -> list[Block]:
    """Return the blocks that say what parts say, in their order. Blank text is left out: the API refuses it.

    Args:
        parts: Of a message of the user, or beside a tool's result.
        is_new: Whether they are new input; of older messages, a medium the API does not take becomes a note.

    Raises:
        InvalidRequestError: New input holds content the API does not take.
    """
    blocks = (_block(part, is_new=is_new) for part in parts)
    return [block for block in blocks if block is not None]


def takes(part: Part, role: Role) -> bool:
    """Whether the API takes a medium in a message of a role: in answers and system messages it takes text alone."""
    return role in {Role.USER, Role.TOOL} and _medium(part) is not None


def text_block(text: str) -> Block:
    """Return a block of text."""
    return {"type": "text", "text": text}


def _block(part: Part, *, is_new: bool) -> Block | None:
    match part:
        case TextPart() | RefusalPart():
            return text_block(part.text) if part.text.strip() else None
        case AudioPart() if part.transcript and part.transcript.strip():
            return text_block(part.transcript)
        case ImagePart() | FilePart() | AudioPart() | OtherPart():
            block = _medium(part)
        case _:
            return None
    if block is not None or (not is_new and isinstance(part, OtherPart)):
        return block
    if is_new:
        raise InvalidRequestError(
            f"anthropic: the Messages API takes no content of type {described(part)} like this. {_REMEDY}",
            provider="anthropic",
        )
    return text_block(told_instead(part))


def _medium(part: Part) -> Block | None:
    match part:
        case ImagePart():
            return _image(part)
        case FilePart():
            return _file(part)
        case _:
            return None


def _image(part: ImagePart) -> Block | None:
    data, media_type = _embedded(part.data, part.media_type, part.url)
    if data:
        return _image_block(data, media_type)
    return _image_at(part.url, media_type)


def _image_at(url: str | None, media_type: str | None) -> Block | None:
    if not _is_readable(url) or (media_type is not None and media_type.lower() not in COMMON_IMAGES):
        return None
    return {"type": "image", "source": {"type": "url", "url": url}}


def _is_readable(url: str | None) -> bool:
    return (url or "").lower().startswith(_SCHEMES)


def _image_block(data: str, media_type: str | None) -> Block | None:
    kind = media_type or next((kind for start, kind in _IMAGE_BEGINNINGS.items() if data.startswith(start)), None)
    if kind not in _IMAGE_TYPES:
        return None
    return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}


def _file(part: FilePart) -> Block | None:
    data, media_type = _embedded(part.data, part.media_type, part.url)
    is_image = (media_type or "").startswith("image/")
    if part.file_id and part.file_id.startswith(_OWN_FILES):
        source = {"type": "file", "file_id": part.file_id}
        return {"type": "image", "source": source} if is_image else _document(source, part.name)
    if data:
        return _image_block(data, media_type) if is_image else _data_document(data, media_type, name=part.name)
    if is_image:
        return _image_at(part.url, media_type)
    if _is_readable(part.url) and not is_foreign_file(part, provider="anthropic") and media_type in (None, _PDF):
        return _document({"type": "url", "url": part.url}, part.name)
    return None


def _data_document(data: str, media_type: str | None, *, name: str | None) -> Block | None:
    if media_type == _PDF or (media_type is None and data.startswith("JVBERi")):
        return _document({"type": "base64", "media_type": _PDF, "data": data}, name)
    if media_type is not None and (media_type.startswith("text/") or media_type in _TEXT_TYPES):
        try:
            text = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        return _document({"type": "text", "media_type": "text/plain", "data": text}, name) if text.strip() else None
    return None


def _document(source: Block, name: str | None) -> Block:
    block: Block = {"type": "document", "source": source}
    return {**block, "title": name} if name else block


def _embedded(data: str | None, media_type: str | None, url: str | None) -> tuple[str | None, str | None]:
    """Return data and media type, also of a `data:` URL, which the API does not take as a URL."""
    if data or not (url or "").startswith("data:"):
        return data, media_type
    head, _, content = (url or "").removeprefix("data:").partition(",")
    kind, _, encoding = head.partition(";")
    if not encoding.endswith("base64"):
        return None, media_type
    return content, kind or media_type
