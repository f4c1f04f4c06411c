"""Our messages to the steps of the Interactions API, and its steps to our parts. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.gemini.mapping import (
    Entry,
    Item,
    Media,
    call_arguments,
    entries,
    legal_name,
    media_of,
    replayed_items,
    unsendable,
)
from langswarm_sessions.providers.mapping import CallIds, call_id_within
from langswarm_sessions.providers.media import told_instead

__all__ = ["API", "given_back", "input_steps", "parts_of_steps"]

API = "interactions"

_legal_call_id = call_id_within(re.compile(r".+", re.DOTALL), prefix="call_")
_RESOLUTIONS = frozenset({"low", "medium", "high"})


def input_steps(messages: Sequence[SessionMessage], *, model: str) -> list[Item]:
    """Return the steps that say what the messages say.

    An answer this model gave through this API is replayed as it came, signatures of its thoughts included; every other
    message is built from its parts.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.

    Raises:
        InvalidRequestError: The new input holds content the API does not take.
    """
    steps: list[Item] = []
    ids = CallIds(_legal_call_id)
    for entry in entries(messages):
        if entry.is_new and (refusal := unsendable(entry.parts, api=API)) is not None:
            raise refusal
        if entry.results:
            steps += _result_steps(entry, ids)
        elif entry.role is Role.ASSISTANT:
            answer = _replayed(entry.message, model=model) or _answer_steps(entry.parts)
            steps += [_named(step, ids) for step in answer]
        elif content := _content(entry.parts):
            steps.append({"type": "user_input", "content": content})
    return steps


def _named(step: Item, ids: CallIds) -> Item:
    return {**step, "id": ids.made(step["id"])} if step.get("type") == "function_call" else step


# Answers


def _replayed(message: SessionMessage, *, model: str) -> list[Item]:
    """Return the steps of an answer as they came; nothing when a middleware made it say something else."""
    stored = replayed_items(message, model=model, api=API)
    if not _says_the_same(stored, message):
        return []
    return [step for step in stored if step.get("type") != "thought" or step.get("signature")]


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own steps; empty when those cannot be sent."""
    return parts_of_steps(_replayed(message, model=model))


def _says_the_same(steps: Sequence[Item], message: SessionMessage) -> bool:
    said = parts_of_steps(steps)
    calls = [(call.id, call.name, call_arguments(call)) for call in said if isinstance(call, ToolCall)]
    told = [(call.id, call.name, call_arguments(call)) for call in message.tool_calls]
    return "".join(part.text for part in said if isinstance(part, TextPart)) == message.content and calls == told


def _answer_steps(parts: Iterable[Part]) -> list[Item]:
    content: list[Item] = []
    calls: list[Item] = []
    for part in parts:
        if isinstance(part, ToolCall):
            made: Item = {"type": "function_call", "id": part.id, "name": legal_name(part.name)}
            calls.append({**made, "arguments": call_arguments(part)})
        else:
            content += _content([part])
    said: list[Item] = [{"type": "model_output", "content": content}] if content else []
    return said + calls


# Input


def _result_steps(entry: Entry, ids: CallIds) -> list[Item]:
    attached = _content(part for part in entry.parts if not isinstance(part, TextPart))
    is_one = len(entry.results) == 1
    steps = [_result_step(result, name, attached if is_one else [], ids) for result, name in entry.results]
    return steps if is_one or not attached else [*steps, {"type": "user_input", "content": attached}]


def _result_step(result: ToolResult, name: str, attached: list[Item], ids: CallIds) -> Item:
    text: Item = {"type": "text", "text": result.content}
    step: Item = {
        "type": "function_result",
        "call_id": ids.answered(result.tool_call_id),
        "result": [text, *attached] if attached else result.content,
    }
    if name:
        step["name"] = legal_name(name)
    return {**step, "is_error": True} if result.is_error else step


def _content(parts: Iterable[Part]) -> list[Item]:
    return [block for part in parts if (block := _block(part)) is not None]


def _block(part: Part) -> Item | None:
    """Return the content of one part; None when it has none that can be sent."""
    if isinstance(part, TextPart | RefusalPart):
        return {"type": "text", "text": part.text} if part.text else None
    media = media_of(part, api=API)
    if media is not None:
        return _media_block(media)
    return {"type": "text", "text": told} if (told := told_instead(part)) else None


def _media_block(media: Media) -> Item:
    block: Item = {"type": media.kind, "mime_type": media.media_type}
    block |= {"data": media.data} if media.data is not None else {"uri": media.uri}
    return {**block, "resolution": media.detail} if media.detail in _RESOLUTIONS else block


# Steps to parts


def parts_of_steps(steps: Iterable[Item]) -> list[Part]:
    """Return the parts that say what an answer's steps say, in their order."""
    parts: list[Part] = []
    for step in steps:
        kind = step.get("type")
        if kind == "model_output":
            parts += [_said(block) for block in _blocks(step, "content")]
        elif kind == "function_call":
            parts.append(_call(step))
        elif kind == "thought":
            summary = "\n\n".join(str(block.get("text") or "") for block in _blocks(step, "summary"))
            if summary.strip():
                parts.append(ReasoningPart(text=summary))
        else:
            parts.append(OtherPart(data=step))
    return parts


def _blocks(step: Item, name: str) -> list[Item]:
    blocks: list[Item] | None = step.get(name)
    return blocks or []


def _call(step: Item) -> ToolCall:
    arguments: dict[str, Any] = step.get("arguments") or {}
    raw = arguments.get("raw_arguments") if list(arguments) == ["raw_arguments"] else None
    call_id, name = str(step.get("id") or ""), str(step.get("name") or "")
    if isinstance(raw, str):
        return ToolCall(id=call_id, name=name, raw_arguments=raw)
    return ToolCall(id=call_id, name=name, arguments=arguments)


def _said(block: Item) -> Part:
    url, data, media_type = block.get("uri"), block.get("data"), block.get("mime_type")
    match block.get("type"):
        case "text":
            return TextPart(str(block.get("text") or ""))
        case "image":
            return ImagePart(url=url, data=data, media_type=media_type)
        case "audio":
            return AudioPart(url=url, data=data, media_type=media_type)
        case "document" | "video":
            return FilePart(url=url, data=data, media_type=media_type)
        case _:
            return OtherPart(data=block)
