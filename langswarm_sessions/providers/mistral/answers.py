"""Mistral's streams and entries to our parts. Pure, but for the drafts, which collect a stream."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import OtherPart, Part, ReasoningPart, SessionMessage, TextPart, ToolCall
from langswarm_sessions.providers.billing import terms_of
from langswarm_sessions.providers.mistral.mapping import Entry, wire_call_id
from langswarm_sessions.providers.mistral.replay import arguments_of, chunks_of, payload_of, replayed_entries
from langswarm_sessions.records import Usage

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["EntryDraft", "as_json", "completed_answer", "given_back", "usage_of"]

_FINISH_REASONS = {"model_length": "length"}
_SAID = frozenset({"message.output", "function.call"})
_UNKNOWN_ID = "null"
"""What the SDK says of a tool call whose server gave it no id."""


class EntryDraft:
    """The entries of an answer, while its stream comes in."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    @property
    def entries(self) -> list[Entry]:
        """What came so far, in the order it began."""
        return list(self._entries.values())

    def begin(self, key: str, entry: Entry) -> Entry:
        """Return the entry of a key, begun with `entry` if it is new."""
        return self._entries.setdefault(key, entry)

    def say(self, key: str, content: object, **about: Any) -> str:
        """Add content to an output message and return the text it adds.

        Args:
            key: The message's place.
            content: Text, a chunk, or a list of chunks: models of the SDK or plain JSON.
            **about: What is known of the message.
        """
        entry = self.begin(key, {"type": "message.output", **_known(about), "content": list[Entry]()})
        added: list[Entry] = []
        for chunk in content if isinstance(content, list) else [content]:  # pyright: ignore[reportUnknownVariableType]
            given: Entry = {"type": "text", "text": chunk} if isinstance(chunk, str) else as_json(chunk)  # pyright: ignore[reportUnknownArgumentType]
            added.append(given)
            _join(entry["content"], given)
        return "".join(str(chunk.get("text") or "") for chunk in added if chunk.get("type") == "text")

    def call(self, key: str, *, call_id: str, name: str, arguments: object, **about: Any) -> None:
        """Begin a tool call, or add to its arguments.

        Args:
            key: The call's place.
            call_id: Its id.
            name: The function's name.
            arguments: The next piece of the JSON text, or all of them as an object.
            **about: What else is known of the call.
        """
        made_id = wire_call_id(f"{key} of {len(self._entries)}") if call_id in {"", _UNKNOWN_ID} else call_id
        begun = {"type": "function.call", **_known(about), "tool_call_id": made_id, "name": name, "arguments": ""}
        entry = self.begin(key, begun)
        entry["arguments"] += arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)


def _known(about: Mapping[str, Any]) -> Entry:
    """Leave out what was not said: None, and the SDK's own word for it."""
    return {name: value for name, value in about.items() if isinstance(value, str | int | dict) and value != ""}


def _join(chunks: list[Entry], new: Entry) -> None:
    """Add a chunk; text goes on the text before it, thinking on thinking that is not closed."""
    last = chunks[-1] if chunks else {}
    kind = new.get("type")
    if kind != last.get("type") or kind not in {"text", "thinking"} or _is_closed(last):
        chunks.append(dict(new))
    elif kind == "text":
        last["text"] = f"{last.get('text') or ''}{new.get('text') or ''}"
    else:
        joined = [dict(thought) for thought in _thoughts(last)]
        for thought in _thoughts(new):
            _join(joined, thought)
        chunks[-1] = {**last, **new, "thinking": joined}


def _thoughts(chunk: Entry) -> list[Entry]:
    thoughts: list[Entry] | None = chunk.get("thinking")
    return thoughts or []


def _is_closed(chunk: Entry) -> bool:
    return chunk.get("type") == "thinking" and bool(chunk.get("signature") or chunk.get("closed"))


def as_json(model: BaseModel | object) -> Entry:
    """Return a model of the SDK as plain JSON; a chunk the SDK does not know as it came."""
    raw: object = getattr(model, "raw", None) if getattr(model, "is_unknown", False) else None
    if isinstance(raw, dict):
        return dict(raw)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    dump: Any = getattr(model, "model_dump", None)
    return {} if dump is None else dict(dump(mode="json", by_alias=True, exclude_none=True, warnings=False))


def completed_answer(
    entries: Sequence[Entry],
    *,
    model: str,
    usage: object,
    answer_id: str | None,
    finish_reason: str | None = None,
    native_id: str | None = None,
    native_memo: Mapping[str, str] | None = None,
    request_id: str | None = None,
) -> Completed:
    """Return the whole answer.

    Args:
        entries: What was said, as entries.
        model: The model that was asked for.
        usage: What the provider says of the tokens (None: nothing).
        answer_id: The provider's id of it, where the entries have none.
        finish_reason: The provider's word; a conversation says none.
        native_id: The conversation's id, if it is kept.
        native_memo: What to note of the conversation.
        request_id: The provider's id of the request.
    """
    kept = [_plain(entry) for entry in entries]
    parts = parts_of(kept)
    spoken = next((str(entry["id"]) for entry in kept if entry["type"] == "message.output" and entry.get("id")), None)
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason = _FINISH_REASONS.get(finish_reason or "", finish_reason)
    return Completed(
        parts=tuple(parts),
        model=next((str(entry["model"]) for entry in kept if entry.get("model")), model),
        usage=usage_of(usage),
        finish_reason="tool_calls" if calls and reason in {None, "stop"} else reason or "stop",
        provider_message_id=spoken or next((str(entry["id"]) for entry in kept if entry.get("id")), answer_id),
        native_id=native_id,
        native_memo=native_memo or {},
        request_id=request_id,
        payload=payload_of(kept, model=model),
        terms=_terms(usage, kept),
    )


def _terms(usage: object, entries: Iterable[Entry]) -> dict[str, str]:
    tools = [str(entry["type"]) for entry in entries if entry["type"] not in _SAID]
    tools += [name for name in ("connector_tokens", "prompt_audio_seconds") if _count(usage, name)]
    counted = usage_of(usage)
    is_whole = counted.total_tokens == counted.input_tokens + counted.output_tokens
    untold = ["audio", "image"] if is_whole else ["all"]
    return terms_of({"service_tier": _told(usage, "service_tier")}, tools=tools, untold=untold)


def _plain(entry: Entry) -> Entry:
    """Write content that is text alone as text."""
    chunks = chunks_of(entry)
    if isinstance(entry.get("content"), list) and len(chunks) == 1 and chunks[0].get("type") == "text":
        return {**entry, "content": chunks[0]["text"]}
    return entry


def parts_of(entries: Iterable[Entry]) -> list[Part]:
    """Return the parts that say what an answer's entries say, in their order."""
    parts: list[Part] = []
    for entry in entries:
        match entry["type"]:
            case "message.output":
                parts += [_content_part(chunk) for chunk in chunks_of(entry)]
            case "function.call":
                parts.append(_tool_call(entry))
            case _:
                parts.append(OtherPart(data=entry))
    return parts


def given_back(message: SessionMessage, model: str) -> list[Part]:
    """Return the parts of an answer that go back with the provider's own entries; empty when those cannot be sent."""
    return parts_of(replayed_entries(message, model=model))


def _content_part(chunk: Entry) -> Part:
    if chunk.get("type") == "text":
        return TextPart(str(chunk.get("text") or ""))
    if chunk.get("type") == "thinking":
        return ReasoningPart(text="".join(str(thought.get("text") or "") for thought in _thoughts(chunk)))
    return OtherPart(data=chunk)


def _tool_call(entry: Entry) -> ToolCall:
    call_id, name = str(entry["tool_call_id"]), str(entry["name"])
    arguments = arguments_of(entry)
    if arguments is None:
        return ToolCall(id=call_id, name=name, raw_arguments=str(entry["arguments"]))
    return ToolCall(id=call_id, name=name, arguments=arguments)


def usage_of(usage: object) -> Usage:
    """Return the tokens of an answer; zeros where a server leaves them out."""
    sent, made = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    sent += _count(usage, "connector_tokens")
    details = _told(usage, "prompt_tokens_details") or _told(usage, "prompt_token_details")
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=max(_count(usage, "total_tokens"), sent + made),
        cached_tokens=_count(usage, "num_cached_tokens") or _count(details, "cached_tokens"),
        reasoning_tokens=_count(_told(usage, "completion_tokens_details"), "reasoning_tokens"),
    )


def _count(usage: object, name: str) -> int:
    value = _told(usage, name)
    return value if isinstance(value, int) else 0


def _told(usage: object, name: str) -> object:
    return cast("Mapping[str, object]", usage).get(name) if isinstance(usage, dict) else getattr(usage, name, None)
