"""What vendors demand of images and files: their types, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from .table import Body, Rule

__all__ = ["media_rule"]

_TYPES = frozenset({"media_type", "mime_type", "mimeType"})
_PLACES = frozenset({"url", "image_url", "file_url", "document_url", "uri", "fileUri"})
_SEEN = frozenset({"image/gif", "image/jpeg", "image/png", "image/webp"})


def media_rule(*, source: str, more_images: frozenset[str] = frozenset(), reads_buckets: bool = False) -> Rule:
    """Return the rule of an API about types and addresses.

    Args:
        source: Where it is known from.
        more_images: Types of images it takes beside those that all take.
        reads_buckets: Whether it reads `gs://`.
    """
    images = _SEEN | more_images

    def broken(body: Body) -> str | None:
        for key, value in _fields(body):
            found = value.removeprefix("data:").split(";")[0] if value.startswith("data:") else value
            if key in _TYPES or value.startswith("data:"):
                if (found.startswith("image/") and found not in images) or found == "application/zip":
                    return found
            elif key in _PLACES and value.startswith("gs://") and not reads_buckets:
                return "gs://"
        return None

    told = ", ".join(sorted(kind.removeprefix("image/") for kind in images))
    where = "https, gs and data" if reads_buckets else "https and data"
    says = f"Images are {told}; nothing is a ZIP file; addresses are {where}."
    return Rule(name="media are of types it reads", says=says, source=source, broken=broken)


def _fields(value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, entry in cast("dict[str, Any]", value).items():
            if isinstance(entry, str):
                yield key, entry
            else:
                yield from _fields(entry)
    elif isinstance(value, list):
        for entry in cast("list[object]", value):
            yield from _fields(entry)
