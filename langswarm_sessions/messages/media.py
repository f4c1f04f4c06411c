"""What is wrong with an image, a recording or a file whoever is given it. Pure functions."""

from __future__ import annotations

import re

from langswarm_sessions.messages.parts import AudioPart, FilePart, ImagePart

__all__ = ["Medium", "wrong_medium"]

Medium = ImagePart | FilePart | AudioPart

_BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]*={0,2}\s*", re.ASCII)
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+*-]+(\s*;.*)?", re.ASCII)
_TAKEN_URL = re.compile(r"(https?|gs|s3)://[^\s/]|data:", re.ASCII | re.IGNORECASE)


def wrong_medium(part: Medium) -> str | None:
    """Return what no provider could take of a medium, as the end of a sentence that begins with its name; None if fine.

    Args:
        part: The medium.

    Example:
        >>> wrong_medium(ImagePart(url="file:///tmp/cat.png"))
        ".url must begin with https://, http://, gs://, s3:// or data:; send a local file as base64 'data'."
    """
    if not (part.data or part.url or getattr(part, "file_id", None) or getattr(part, "transcript", None)):
        ways = {"file": "url, data or file_id", "audio": "url, data or transcript"}.get(part.type, "url or data")
        return f" holds no {part.type}; give it {ways}."
    if part.data is not None and not _BASE64.fullmatch(part.data):
        return ".data is not base64; encode the bytes with base64.b64encode(...).decode()."
    if part.url is not None and not _TAKEN_URL.match(part.url):
        return ".url must begin with https://, http://, gs://, s3:// or data:; send a local file as base64 'data'."
    return _wrong_type(part)


def _wrong_type(part: Medium) -> str | None:
    if part.media_type is None:
        needs_one = part.data is not None and isinstance(part, ImagePart)
        return ".media_type is missing; say what the data is, such as 'image/png'." if needs_one else None
    if not _MEDIA_TYPE.fullmatch(part.media_type):
        return ".media_type is none; it is written like 'image/png' or 'application/pdf'."
    return None
