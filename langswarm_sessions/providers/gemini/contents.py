"""Our messages to the contents of generate_content, and its parts to ours. Pure functions over the JSON of the wire."""

from __future__ import annotations

import base64
import hashlib
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
    call_arguments,
    entries,
    legal_name,
    media_of,
    replayed_items,
    unsendable,
)
from langswarm_sessions.providers.mapping import OPENING
from langswarm_sessions.providers.media import told_instead

__all__ = ["API", "UNSIGNED", "given_back", "input_contents", "made_id", "parts_of_items"]

API = "generate_content"

UNSIGNED = base64.b64encode(b"skip_thought_signature_validator").decode()
"""What Gemini takes in place of the signature of a call it did not make itself; models from 3 on demand one."""

_MADE = "call_gemini_"


def input_contents(messages: Sequence[SessionMessage], *, model: str) -> list[Item]:
    """Return the contents that say what the messages say.

    An answer this model gave through this API is replayed as it came, signatures of its thoughts included; every other
    message is built from its parts.

    Args:
        messages: In order; tool calls and results already paired.
        model: The model the request is for.

    Raises:
        InvalidRequestError: The new input holds content the API does not take.
    """
    contents: list[Item] = []
    for entry in entries(messages):
        if entry.is_new and (refusal := unsendable(entry.parts, api=API)) is not None:
            raise refusal
        if entry.results:
            contents += _result_contents(entry)
        elif entry.role is Role.ASSISTANT:
            replayed = _replayed(entry.message, model=model)
            _say(contents, replayed or _answer_items(entry.parts, model=model))
        else:
            contents += _content("user", _items(entry.parts))
    return contents


def _say(contents: list[Item], items: list[Item]) -> None:
    """Let the model say something: the user begins, and calls come right after the user's turn."""
    if not items:
        return
    if not contents:
        contents += _content("user", [{"text": OPENING}])
    if contents[-1]["role"] == "model":
        items = [*contents.pop()["parts"], *items]
    contents += _content("model", items)


def _content(role: str, items: list[Item]) -> list[Item]:
    return [{"role": role, "parts": items}] if items else []


# Answers


def made_id(seed: str, index: int) -> str:
    """Return an id for a call that came without one: the same for the same answer, another for each call.

    Args:
        seed: What names the answer.
        index: The call's place in it.

    Example:
        >>> made_id("answer", 0) == made_id("answer", 0) != made_id("answer", 1)
        True
    """
    return _MADE + hashlib.sha256(f"{seed}/{index}".encode()).hexdigest()[:24]


def _known_id(call_id: str) -> Item:
    """Return the field `id`, unless the id was made here: Gemini never heard of such."""
    return {} if call_id.startswith(_MADE) else {"id": call_id}


def _replayed(message: SessionMessage, *, model: str) -> list[Item]:
    """Return the parts of an answer as they came; nothing when a middleware made it say something else."""
    stored = replayed_items(message, model=model, api=API)
    said = parts_of_items(stored, seed="")
    text = "".join(part.text for part in said if isinstance(part, TextPart))
    calls = [part for part in said if isinstance(part, ToolCall)]
    is_same = len(calls) == len(message.tool_calls) and all(map(_is_same_call, calls, message.tool_calls))
    if text != message.content or not is_same:
        return []
    return [item for item in stored if item.get("thoughtSignature") or not item.get("thought")]


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own; empty when those cannot be sent."""
    return parts_of_items(_replayed(message, model=model), seed="")


def _is_same_call(stored: ToolCall, told: ToolCall) -> bool:
    is_same = (stored.name, call_arguments(stored)) == (told.name, call_arguments(told))
    return is_same and _known_id(stored.id) == _known_id(told.id)


def _answer_items(parts: Iterable[Part], *, model: str) -> list[Item]:
    said: list[Item] = []
    calls: list[Item] = []
    for part in parts:
        if isinstance(part, ToolCall):
            made: Item = {**_known_id(part.id), "name": legal_name(part.name), "args": call_arguments(part)}
            calls.append({"functionCall": made})
        else:
            said += _items([part])
    if calls and _demands_signatures(model):
        calls[0] = {**calls[0], "thoughtSignature": UNSIGNED}
    return said + calls


def _demands_signatures(model: str) -> bool:
    return not model.removeprefix("models/").startswith(("gemini-1", "gemini-2", "gemma"))


# Input


def _result_contents(entry: Entry) -> list[Item]:
    answers = [{"functionResponse": _response(result, name)} for result, name in entry.results]
    attached = _items(part for part in entry.parts if not isinstance(part, TextPart))
    return [*_content("user", answers), *_content("user", attached)]


def _response(result: ToolResult, name: str) -> Item:
    outcome = "error" if result.is_error else "output"
    return {**_known_id(result.tool_call_id), "name": legal_name(name), "response": {outcome: result.content}}


def _items(parts: Iterable[Part]) -> list[Item]:
    return [item for part in parts if (item := _item(part)) is not None]


def _item(part: Part) -> Item | None:
    """Return the part of the wire for one of ours; None when it cannot be sent."""
    if isinstance(part, TextPart | RefusalPart):
        return {"text": part.text} if part.text else None
    media = media_of(part, api=API)
    if media is not None and media.data is not None:
        return {"inlineData": {"mimeType": media.media_type, "data": media.data}}
    if media is not None:
        return {"fileData": {"mimeType": media.media_type, "fileUri": media.uri}}
    return {"text": told} if (told := told_instead(part)) else None


# The wire's parts to ours


def parts_of_items(items: Iterable[Item], *, seed: str) -> list[Part]:
    """Return our parts for the parts of an answer, in their order.

    Args:
        items: The parts as they came.
        seed: What names the answer: calls that came without an id get one made of it.
    """
    parts: list[Part] = []
    for index, item in enumerate(items):
        if "functionCall" in item:
            parts.append(_call(item["functionCall"], made_id(seed, index)))
        elif item.get("thought"):
            if item.get("text"):
                parts.append(ReasoningPart(text=item["text"]))
        elif "text" in item:
            if item["text"]:
                parts.append(TextPart(item["text"]))
        elif media := item.get("inlineData") or item.get("fileData"):
            parts.append(_media_part(media))
        elif set(item) - {"thoughtSignature"}:
            parts.append(OtherPart(data=item))
    return parts


def _call(call: Item, otherwise: str) -> ToolCall:
    arguments: dict[str, Any] = call.get("args") or {}
    return ToolCall(id=call.get("id") or otherwise, name=str(call.get("name") or ""), arguments=arguments)


def _media_part(media: Item) -> Part:
    media_type: str | None = media.get("mimeType")
    url, data = media.get("fileUri"), media.get("data")
    match (media_type or "").split("/")[0]:
        case "image":
            return ImagePart(url=url, data=data, media_type=media_type)
        case "audio":
            return AudioPart(url=url, data=data, media_type=media_type)
        case _:
            return FilePart(url=url, data=data, media_type=media_type)
