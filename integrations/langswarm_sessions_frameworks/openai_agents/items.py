"""Items of the OpenAI Agents SDK (input items of the Responses API) as rows, and rows as items. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    MessageKind,
    OtherPart,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    text_of,
)
from langswarm_sessions.providers.openai.answers import parts_of
from langswarm_sessions.providers.openai.mapping import given_back, input_items
from langswarm_sessions.providers.openai.media import responses_take
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions_frameworks.formats import CROSSES, Fate, ItemFormat, Understood, converted

__all__ = ["Item", "ItemsFormat", "awaits_results", "grouped", "is_answer"]

Item = dict[str, Any]

_SPEAKERS = {"user": Role.USER, "system": Role.SYSTEM, "developer": Role.SYSTEM}
_OUTPUT = "_output"
_CALL = "_call"
_APPROVAL = "mcp_approval_request"
_APPROVED = "mcp_approval_response"
_NOT_ARGUMENTS = frozenset({"id", "type", "call_id", "status", "name", "arguments", "input"})
_NOTED = converted("the Responses API takes none of this type or in this place; a text says that it was there")
_END = SessionMessage(role=Role.ASSISTANT)  # what stands before an answer is not new: a note takes a medium's place


class ItemsFormat(ItemFormat[Item]):
    """The SDK's items. What a response consists of (reasoning, texts, calls) depends on each other and is one row."""

    name = "openai-agents"

    def dump(self, item: Item) -> Any:
        """Return the item: it is plain JSON already."""
        return item

    def load(self, data: Any) -> Item:
        """Return the item."""
        return cast("Item", data)

    def understand(self, data: Sequence[Any]) -> Understood:
        """Return what the items of one row say.

        Raises:
            InvalidInputError: They are not as the Responses API has them.
        """
        try:
            return self._said(cast("Sequence[Item]", data))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InvalidInputError("items: one of them is not an item of the Responses API.") from None

    def _said(self, items: Sequence[Item]) -> Understood:
        first = items[0]
        if (role := _speaker(first)) is not None:
            return Understood(role=role, parts=_content_parts(first.get("content")))
        if _is_output(first):
            return Understood(role=Role.TOOL, parts=[part for item in items for part in _output_parts(item)])
        answered = next((item for item in items if item.get("role") == "assistant" and item.get("id")), None)
        return Understood(
            role=Role.ASSISTANT,
            parts=[part for item in items for part in _answer_parts(item)],
            provider_message_id=None if answered is None else str(answered["id"]),
        )

    def build(self, message: SessionMessage) -> list[Item]:
        """Return items that say what a message of another origin says; instructions are the agent's own affair."""
        return input_items([message, _END], model=_model_of(message))

    def fate(self, message: SessionMessage, part: Part) -> Fate:
        """Return what becomes of a part."""
        if part in given_back(message, _model_of(message)):
            return CROSSES
        if message.kind is MessageKind.INSTRUCTIONS:
            return super().fate(message, part)
        if isinstance(part, ImagePart | FilePart):
            return CROSSES if responses_take(part, message.role) else _NOTED
        if isinstance(part, AudioPart):
            return converted("its words are told as text") if part.transcript else _NOTED
        return super().fate(message, part)


def grouped(items: Iterable[Item]) -> list[list[Item]]:
    """Return items in groups that depend on each other, each the items of one row.

    An answer's reasoning, texts and calls stay together; whatever else is said stands alone.
    """
    groups: list[list[Item]] = []
    for item in items:
        if groups and is_answer(item) and is_answer(groups[-1][0]) and not _begins_another(item, groups[-1]):
            groups[-1].append(item)
        else:
            groups.append([item])
    return groups


def is_answer(item: Item) -> bool:
    """Whether an item is the model's doing: a text, reasoning, a call."""
    return _speaker(item) is None and not _is_output(item)


def awaits_results(items: Iterable[Item]) -> bool:
    """Whether a call, or an approval that is asked for, has no answer among items."""
    asked: set[object] = set()
    answered: set[object] = set()
    for item in items:
        if _is_call(item):
            asked.add(item["call_id"])
        elif _is_output(item):
            answered.add(item["call_id"])
        elif _kind(item) == _APPROVAL:
            asked.add(item.get("id"))
        elif _kind(item) == _APPROVED:
            answered.add(item.get("approval_request_id"))
    return not asked <= answered


def _begins_another(item: Item, group: Sequence[Item]) -> bool:
    """Whether an item opens another answer: the group has said something, and calls nothing that waits for results."""
    opens = item.get("type") == "reasoning" or item.get("role") == "assistant"
    said = any(one.get("role") == "assistant" for one in group)
    return opens and said and not any(_is_call(one) for one in group)


def _speaker(item: Item) -> Role | None:
    return _SPEAKERS.get(str(item.get("role")))


def _kind(item: Item) -> str:
    return str(item.get("type") or "message")


def _is_output(item: Item) -> bool:
    return _kind(item).endswith(_OUTPUT) and bool(item.get("call_id"))


def _is_call(item: Item) -> bool:
    return _kind(item).endswith(_CALL) and bool(item.get("call_id"))


def _model_of(message: SessionMessage) -> str:
    """Return the model whose own items a row may keep: to whoever replays them, they are that model's."""
    return str((message.provider_payload or {}).get("model") or "")


# ---------------------------------------------------------------- what items say


def _answer_parts(item: Item) -> list[Part]:
    if item.get("role") == "assistant":
        content = item.get("content")
        if isinstance(content, str):
            return [TextPart(content)] if content else []
        return parts_of([{**item, "type": "message", "content": _readable(content)}])
    if _kind(item) == "function_call":
        return parts_of([item])
    if _is_call(item):
        return [_hosted_call(item)]
    return parts_of([item])


def _readable(content: object) -> list[Item]:
    """Return content blocks, those of input among them written as output."""
    blocks = cast("Sequence[Item]", content) if isinstance(content, list) else ()
    return [{**block, "type": "output_text"} if block.get("type") == "input_text" else dict(block) for block in blocks]


def _hosted_call(item: Item) -> Part:
    """Return a call of a tool that the API defines (a shell, a computer, a custom tool) as any other call."""
    name = str(item.get("name") or _kind(item).removesuffix(_CALL))
    if isinstance(text := item.get("input"), str):
        return _with_text(str(item["call_id"]), name, text)
    arguments = {key: value for key, value in item.items() if key not in _NOT_ARGUMENTS and value is not None}
    return ToolCall(id=str(item["call_id"]), name=name, arguments=arguments)


def _with_text(call_id: str, name: str, text: str) -> ToolCall:
    arguments = parse_arguments(text)
    if arguments is None:
        return ToolCall(id=call_id, name=name, raw_arguments=text)
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _output_parts(item: Item) -> list[Part]:
    given: object = item.get("output")
    output: object = [cast("object", given)] if isinstance(given, Mapping) else given
    told = _content_parts(output) if _is_content(output) else []
    media = [part for part in told if isinstance(part, ImagePart | FilePart)]
    said = text_of(told) if told or output is None or output == [] else json.dumps(output, ensure_ascii=False)
    return [ToolResult(tool_call_id=str(item["call_id"]), content=said), *media]


def _is_content(output: object) -> bool:
    if isinstance(output, str):
        return True
    blocks = cast("Sequence[object]", output) if isinstance(output, list) else ()
    return bool(blocks) and all(not isinstance(part, OtherPart) for part in _content_parts(list(blocks)))


def _content_parts(content: object) -> list[Part]:
    if isinstance(content, str):
        return [TextPart(content)] if content else []
    blocks = cast("Sequence[object]", content) if isinstance(content, list) else ()
    return [_block_part(cast("Item", block)) if isinstance(block, dict) else _unknown(block) for block in blocks]


def _unknown(block: object) -> Part:
    return TextPart(block) if isinstance(block, str) else OtherPart(data={"value": block})


def _block_part(block: Item) -> Part:
    kind = str(block.get("type"))
    if kind in {"input_text", "output_text", "text"} and isinstance(block.get("text"), str):
        return TextPart(block["text"])
    if kind in {"input_image", "computer_screenshot"} and isinstance(url := block.get("image_url"), str):
        data, media_type = _data_of(url)
        detail = block.get("detail") if isinstance(block.get("detail"), str) else None
        return ImagePart(url=None if data else url, data=data, media_type=media_type, detail=detail)
    if kind == "input_file":
        return _file(block)
    if kind == "input_audio" and isinstance(sound := block.get("input_audio", block), dict):
        given = cast("Item", sound)
        return AudioPart(data=_text(given.get("data")), media_type=f"audio/{given.get('format') or 'wav'}")
    return OtherPart(data=dict(block))


def _file(block: Item) -> Part:
    data, media_type = _data_of(_text(block.get("file_data")) or "")
    found = FilePart(
        url=_text(block.get("file_url")),
        data=data or _text(block.get("file_data")),
        file_id=_text(block.get("file_id")),
        name=_text(block.get("filename")),
        media_type=media_type,
    )
    return found if found.url or found.data or found.file_id else OtherPart(data=dict(block))


def _data_of(url: str) -> tuple[str | None, str | None]:
    """Return base64 data and media type of a data URL."""
    if not url.startswith("data:") or ";base64," not in url:
        return None, None
    head, _, body = url.removeprefix("data:").partition(";base64,")
    return body, head or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
