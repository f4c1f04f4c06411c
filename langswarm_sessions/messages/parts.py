"""Typed content parts of a message and their JSON form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, ClassVar

from langswarm_sessions.errors import InvalidInputError

__all__ = [
    "AudioPart",
    "FilePart",
    "ImagePart",
    "OtherPart",
    "Part",
    "ReasoningPart",
    "RefusalPart",
    "TextPart",
    "ToolCall",
    "ToolResult",
    "part_from_json",
    "part_to_json",
    "parts_from_json",
    "text_of",
]


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text."""

    type: ClassVar[str] = "text"
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePart:
    """An image: a URL, or base64 `data` with its `media_type`."""

    type: ClassVar[str] = "image"
    url: str | None = field(default=None, repr=False)
    data: str | None = field(default=None, repr=False)
    media_type: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePart:
    """A file: a URL, a provider's `file_id`, or base64 `data` with its `media_type`."""

    type: ClassVar[str] = "file"
    url: str | None = field(default=None, repr=False)
    data: str | None = field(default=None, repr=False)
    file_id: str | None = None
    name: str | None = field(default=None, repr=False)
    media_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPart:
    """Sound: a URL, or base64 `data` with its `media_type`; `transcript` is its text, if known."""

    type: ClassVar[str] = "audio"
    url: str | None = field(default=None, repr=False)
    data: str | None = field(default=None, repr=False)
    media_type: str | None = None
    transcript: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasoningPart:
    """The model's reasoning as far as the provider shows it."""

    type: ClassVar[str] = "reasoning"
    text: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class RefusalPart:
    """The model declined to answer; `text` is its explanation."""

    type: ClassVar[str] = "refusal"
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call the model asks for.

    `arguments` is the parsed JSON object; when the model wrote something else, it is empty and `raw_arguments` is
    the text as it came.
    """

    type: ClassVar[str] = "tool_call"
    id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict[str, Any], repr=False)
    raw_arguments: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What a tool returned for the call `tool_call_id`."""

    type: ClassVar[str] = "tool_result"
    tool_call_id: str
    content: str = field(default="", repr=False)
    is_error: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherPart:
    """A content block of a kind this library does not interpret, kept as it came (plain JSON)."""

    type: ClassVar[str] = "other"
    data: dict[str, Any] = field(repr=False)


Part = TextPart | ImagePart | FilePart | AudioPart | ReasoningPart | RefusalPart | ToolCall | ToolResult | OtherPart

_PART_TYPES: dict[str, type[Part]] = {
    kind.type: kind
    for kind in (
        TextPart,
        ImagePart,
        FilePart,
        AudioPart,
        ReasoningPart,
        RefusalPart,
        ToolCall,
        ToolResult,
        OtherPart,
    )
}

_FIELD_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "str | None": (str, NoneType),
    "bool": (bool,),
    "dict[str, Any]": (dict,),
}


def part_to_json(part: Part) -> dict[str, Any]:
    """Return a part as a plain JSON object with a `type` key; unset fields are left out."""
    values = {item.name: getattr(part, item.name) for item in fields(part)}
    return {"type": part.type, **{name: value for name, value in values.items() if value is not None}}


def part_from_json(data: Mapping[str, Any]) -> Part:
    """Build a part from its JSON form.

    Args:
        data: An object with a `type` key, as `part_to_json` writes it.

    Returns:
        The part.

    Raises:
        InvalidInputError: `type` is unknown, or a field is missing, unknown or of the wrong type.

    Example:
        >>> part_from_json({"type": "text", "text": "hi"}).text
        'hi'
    """
    kind = _PART_TYPES.get(str(data.get("type")))
    if kind is None:
        raise InvalidInputError(f"content part: 'type' must be one of {', '.join(_PART_TYPES)}.")
    values = {name: value for name, value in data.items() if name != "type"}
    known = {item.name for item in fields(kind)}
    if unknown := sorted(set(values) - known):
        raise InvalidInputError(
            f"content part of type {kind.type!r}: unknown field {unknown[0]!r}; known: {', '.join(sorted(known))}."
        )
    for item in fields(kind):
        if item.name in values and not isinstance(values[item.name], _FIELD_TYPES[str(item.type)]):
            raise InvalidInputError(
                f"content part of type {kind.type!r}: {item.name!r} must be of type {item.type}, "
                f"not {type(values[item.name]).__name__}."
            )
    try:
        return kind(**values)
    except TypeError:
        raise InvalidInputError(f"content part of type {kind.type!r}: a required field is missing.") from None


def text_of(parts: Iterable[Part]) -> str:
    """Return the text a reader sees: text and refusals joined, everything else left out."""
    return "".join(part.text for part in parts if isinstance(part, TextPart | RefusalPart))


def parts_from_json(items: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Build every part of a stored message."""
    return [part_from_json(item) for item in items]
