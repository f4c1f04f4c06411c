"""Content of a message: LangChain's blocks and our parts. Pure functions.

Known are LangChain's standard blocks and the blocks of the OpenAI and Anthropic APIs that chains commonly carry; a
block of any other shape is kept as it is in an `OtherPart`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

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
)

__all__ = ["blocks_of", "parts_of", "with_additional"]

Block = Mapping[str, Any]
Content = str | Sequence[str | Block]


def parts_of(content: Content, calls: Iterable[ToolCall] = ()) -> list[Part]:
    """Return the parts of a LangChain message's content.

    Args:
        content: Text, or a list of texts and blocks (plain JSON).
        calls: The message's tool calls; they stand where a block mentions them, the others at the end.

    Returns:
        The parts in order.
    """
    if isinstance(content, str):
        return [*([TextPart(content)] if content else []), *calls]
    waiting = list(calls)
    parts: list[Part] = []
    for block in content:
        if isinstance(block, str):
            parts.append(TextPart(block))
            continue
        call = next((call for call in waiting if call.id in (block.get("id"), block.get("call_id"))), None)
        if call is not None and block.get("type") in _CALL_BLOCKS:
            waiting.remove(call)
            parts.append(call)
        else:
            parts.append(_part_of(block))
    return [*parts, *waiting]


def with_additional(parts: list[Part], additional: Block) -> list[Part]:
    """Return an answer's parts with the reasoning and the refusal that some models keep beside the content.

    Args:
        parts: The parts of its content.
        additional: Its `additional_kwargs`.
    """
    found = list(parts)
    if not any(isinstance(part, ReasoningPart) for part in found):
        beside = additional.get("reasoning_content")
        text = beside if isinstance(beside, str) else _summary(_object(additional.get("reasoning")))
        found = [*([ReasoningPart(text=text)] if text else []), *found]
    refusal = additional.get("refusal")
    if isinstance(refusal, str) and refusal and not any(isinstance(part, TextPart | RefusalPart) for part in found):
        found.append(RefusalPart(refusal))
    return found


def blocks_of(parts: Iterable[Part]) -> list[str | dict[Any, Any]]:
    """Return parts as LangChain's standard content blocks; tool calls and results have no place in content."""
    blocks: list[str | dict[Any, Any]] = []
    for part in parts:
        match part:
            case TextPart() | RefusalPart():
                blocks.append({"type": "text", "text": part.text})
            case ReasoningPart():
                blocks.append({"type": "reasoning", "reasoning": part.text})
            case ImagePart():
                blocks.append(_media_block("image", part))
            case AudioPart():
                blocks.append(_media_block("audio", part))
            case FilePart():
                named = {"file_id": part.file_id, "extras": {"filename": part.name} if part.name else None}
                blocks.append(_media_block("file", part, named))
            case OtherPart():
                blocks.append(dict(part.data))
            case _:
                pass
    return blocks


def _media_block(kind: str, part: ImagePart | AudioPart | FilePart, more: Block | None = None) -> dict[Any, Any]:
    values = {"type": kind, "url": part.url, "base64": part.data, "mime_type": part.media_type, **(more or {})}
    return {name: value for name, value in values.items() if value is not None}


def _part_of(block: Block) -> Part:
    read = _READERS.get(str(block.get("type")))
    part = read(block) if read is not None else None
    return OtherPart(data=dict(block)) if part is None else part


def _text(block: Block) -> Part | None:
    text = block.get("text")
    return TextPart(text) if isinstance(text, str) else None


def _refusal(block: Block) -> Part | None:
    text = block.get("refusal")
    return RefusalPart(text) if isinstance(text, str) else None


def _reasoning(block: Block) -> Part | None:
    text = block.get("reasoning", block.get("thinking"))
    if not isinstance(text, str):
        text = _summary(block) or None
    return None if text is None else ReasoningPart(text=text)


def _summary(block: Block) -> str:
    """Return the texts of a summary of reasoning, as the Responses API writes it."""
    summary: object = block.get("summary")
    items = cast("Sequence[object]", summary) if isinstance(summary, list) else ()
    texts = (_string(_object(item).get("text")) for item in items)
    return "\n\n".join(text for text in texts if text)


def _image(block: Block) -> Part | None:
    url, data, media_type = _source(block)
    return ImagePart(url=url, data=data, media_type=media_type) if url or data else None


def _image_url(block: Block) -> Part | None:
    named = block.get("image_url")
    given = _object({"url": named} if isinstance(named, str) else named)
    url, data, media_type = _source(given)
    detail = given.get("detail")
    if not (url or data):
        return None
    return ImagePart(url=url, data=data, media_type=media_type, detail=detail if isinstance(detail, str) else None)


def _audio(block: Block) -> Part | None:
    given = _object(block.get("input_audio", block))
    url, data, media_type = _source(given)
    format_ = given.get("format")
    if media_type is None and isinstance(format_, str):
        media_type = f"audio/{format_}"
    return AudioPart(url=url, data=data, media_type=media_type) if url or data else None


def _file(block: Block) -> Part | None:
    given = _object(block.get("file", block))
    url, data, media_type = _source(given)
    file_id = _string(given.get("file_id"))
    if not (url or data or file_id):
        return None
    name = given.get("filename") or _object(given.get("extras")).get("filename")
    return FilePart(url=url, data=data, file_id=file_id, name=_string(name), media_type=media_type)


def _source(block: Block) -> tuple[str | None, str | None, str | None]:
    """Return URL, base64 data and media type, wherever the block has them."""
    given = _object(block.get("source", block))
    url, media_type = _string(given.get("url")), _string(given.get("mime_type", given.get("media_type")))
    data = _string(given.get("base64", given.get("data", given.get("file_data"))))
    for value in (url, data):
        if value is not None and value.startswith("data:") and ";base64," in value:
            head, _, body = value.removeprefix("data:").partition(";base64,")
            return None, body, head or media_type
    return url or None, data or None, media_type


def _object(value: object) -> Block:
    return cast("Block", value) if isinstance(value, Mapping) else {}


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


_CALL_BLOCKS = frozenset({"tool_call", "tool_use", "function_call"})
_READERS: dict[str, Callable[[Block], Part | None]] = {
    "text": _text,
    "refusal": _refusal,
    "reasoning": _reasoning,
    "thinking": _reasoning,
    "image": _image,
    "image_url": _image_url,
    "audio": _audio,
    "input_audio": _audio,
    "file": _file,
}
