"""Our content parts to the Messages API's content blocks. Pure functions."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from langswarm_sessions.errors import InvalidRequestError
from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, OtherPart, Part, RefusalPart, TextPart
from langswarm_sessions.providers.mapping import told_instead

__all__ = ["Block", "content_blocks", "text_block"]

Block = dict[str, Any]

_PDF = "application/pdf"
_IMAGE_TYPES = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})
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


def text_block(text: str) -> Block:
    """Return a block of text."""
    return {"type": "text", "text": text}


def _block(part: Part, *, is_new: bool) -> Block | None:
    match part:
        case TextPart() | RefusalPart():
            return text_block(part.text) if part.text.strip() else None
        case AudioPart() if part.transcript and part.transcript.strip():
            return text_block(part.transcript)
        case ImagePart():
            block = _image(part)
        case FilePart():
            block = _file(part)
        case AudioPart() | OtherPart():
            block = None
        case _:
            return None
    if block is not None or (not is_new and isinstance(part, OtherPart)):
        return block
    if is_new:
        raise InvalidRequestError(
            f"anthropic: the Messages API takes no content of type {part.type!r} like this. {_REMEDY}",
            provider="anthropic",
        )
    return text_block(told_instead(part))


def _image(part: ImagePart) -> Block | None:
    data, media_type = _embedded(part.data, part.media_type, part.url)
    if data:
        return _image_block(data, media_type)
    return {"type": "image", "source": {"type": "url", "url": part.url}} if part.url else None


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
    if part.url and is_image:
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    if part.url and media_type in (None, _PDF):
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
