"""Chunks of a chat completion to our parts. No I/O; the accumulator is the only state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import Part, ReasoningPart, RefusalPart, TextPart, ToolCall
from langswarm_sessions.providers.billing import terms_of, tools_counted
from langswarm_sessions.providers.openai.chat_messages import REASONING_FIELDS
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import Usage

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

__all__ = ["ChatAnswer", "chat_usage"]

_SIGNS_OF_TOOLS = ("annotations", "citations", "executed_tools", "search_results", "usage_breakdown")
"""Fields of chunks that servers fill when they searched, ran tools, or asked other models."""


_CACHED = ("cached_tokens", "prompt_cache_hit_tokens", "cached_prompt_text_tokens")


@dataclass(slots=True)
class _Call:
    """A tool call as far as it has come."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = field(default="", repr=False)


@dataclass(slots=True, kw_only=True)
class ChatAnswer:
    """An answer as far as it has come. Servers differ in what they leave out: nothing but the text is relied on.

    Args:
        model: The model that was asked for.
        request_id: The provider's id of the request.
    """

    model: str
    request_id: str | None = None
    finish_reason: str | None = None
    _id: str | None = None
    _told_model: str | None = None
    _text: str = field(default="", repr=False)
    _refusal: str = field(default="", repr=False)
    _reasoning: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    _calls: list[_Call] = field(default_factory=list[_Call], repr=False)
    _usage: Usage = field(default_factory=Usage)
    _told: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    _tier: object = field(default=None, repr=False)
    _tools: set[str] = field(default_factory=set[str])

    def add(self, chunk: ChatCompletionChunk) -> str:
        """Take a chunk in and return the piece of text that it holds."""
        data = _mapping(chunk.to_dict(mode="json", warnings=False))
        self._id = self._id or _text(data.get("id"))
        self._told_model = self._told_model or _text(data.get("model"))
        if isinstance(data.get("usage"), Mapping):
            self._told = _mapping(data.get("usage"))
            self._usage = chat_usage(self._told)
        self._tier = data.get("service_tier") or self._tier
        choice = _mapping(next(iter(_mappings(data.get("choices"))), None))
        self.finish_reason = _text(choice.get("finish_reason")) or self.finish_reason
        delta = _mapping(choice.get("delta"))
        self._tools.update(name for name in _SIGNS_OF_TOOLS if data.get(name) or delta.get(name))
        for name in REASONING_FIELDS:
            if piece := _text(delta.get(name)):
                self._reasoning[name] = self._reasoning.get(name, "") + piece
        for call in _mappings(delta.get("tool_calls")):
            self._add_call(call)
        said, refused = _text(delta.get("content")) or "", _text(delta.get("refusal")) or ""
        self._text += said
        self._refusal += refused
        return said + refused

    def _add_call(self, delta: Mapping[str, Any]) -> None:
        """Go on with a call by its index; another id is another call, for some servers give every call the same index.

        Args:
            delta: What is new of it.
        """
        index, call_id = delta.get("index"), _text(delta.get("id"))
        function = _mapping(delta.get("function"))
        name = _text(function.get("name"))
        call = next((known for known in reversed(self._calls) if index is None or known.index == index), None)
        is_other = call is not None and bool(call_id and call.id and call.id != call_id)
        if call is None or is_other or (name and call.name and not call_id):
            call = _Call(index)
            self._calls.append(call)
        call.id = call.id or call_id or ""
        call.name = call.name or name or ""
        call.arguments += _text(function.get("arguments")) or ""

    def completed(self) -> Completed:
        """Return the whole answer."""
        parts = self._parts()
        return Completed(
            parts=tuple(parts),
            model=self._told_model or self.model,
            usage=self._usage,
            finish_reason=self._finish(),
            provider_message_id=self._id,
            request_id=self.request_id,
            payload={"provider": "openai", "api": "chat", "model": self.model, "items": [self._message()]},
            terms=self._terms(),
        )

    def _terms(self) -> dict[str, str]:
        written = _mapping(_mapping(self._told.get("prompt_tokens_details")).get("cache_write_tokens_details"))
        told = {"service_tier": self._tier, "cache_ttl": "12h" if _count(written, "ttl_12h_tokens") else None}
        return terms_of(told, tools={*self._tools, *tools_counted(self._told)}, untold=_untold(self._told))

    def _parts(self) -> list[Part]:
        reasoning = next(iter(self._reasoning.values()), "")
        parts: list[Part] = [ReasoningPart(text=reasoning)] if reasoning else []
        parts += [TextPart(self._text)] if self._text else []
        parts += [RefusalPart(self._refusal)] if self._refusal else []
        return parts + [_tool_call(call, self._call_id(at)) for at, call in enumerate(self._calls)]

    def _call_id(self, at: int) -> str:
        return self._calls[at].id or f"call_{self._id or ''}_{at}"

    def _finish(self) -> str | None:
        """Return why it ended, in the words of the Responses API; some servers say `stop` beside tool calls."""
        if self.finish_reason in {"stop", "tool_calls", "function_call"}:
            return "tool_calls" if self._calls else "stop"
        return "max_output_tokens" if self.finish_reason == "length" else self.finish_reason

    def _message(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self._text or None, **self._reasoning}
        if self._refusal:
            message["refusal"] = self._refusal
        if self._calls:
            message["tool_calls"] = [
                {
                    "id": self._call_id(at),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for at, call in enumerate(self._calls)
            ]
        return message


def _tool_call(call: _Call, call_id: str) -> ToolCall:
    arguments = parse_arguments(call.arguments)
    if arguments is None:
        return ToolCall(id=call_id, name=call.name, raw_arguments=call.arguments)
    return ToolCall(id=call_id, name=call.name, arguments=arguments)


def chat_usage(usage: Mapping[str, Any]) -> Usage:
    """Return the tokens of an answer; zeros where a server leaves them out.

    Some servers count reasoning beside the answer: only the total has it then, and it is billed as what was made.
    """
    sent, told = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    sent_details, made_details = (_mapping(usage.get(f"{kind}_tokens_details")) for kind in ("prompt", "completion"))
    cached = (_count(place, name) for place in (sent_details, usage) for name in _CACHED)
    made = max(told, _count(usage, "total_tokens") - sent)
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=next(filter(None, cached), 0),
        reasoning_tokens=_count(made_details, "reasoning_tokens"),
        cache_write_tokens=_count(sent_details, "cache_write_tokens"),
        input_audio_tokens=_count(sent_details, "audio_tokens"),
        output_audio_tokens=_count(made_details, "audio_tokens"),
        output_image_tokens=_count(made_details, "image_tokens"),
    )


def _untold(usage: Mapping[str, Any]) -> Iterator[str]:
    """Yield the kinds of tokens that a usage does not tell from others."""
    sent, made = (_mapping(usage.get(f"{kind}_tokens_details")) for kind in ("prompt", "completion"))
    is_sound_told = sent.get("audio_tokens") is not None or made.get("audio_tokens") is not None
    if not is_sound_told or (_count(sent, "audio_tokens") and _count(sent, "cached_tokens")):  # which of it was cached?
        yield "audio"
    if made.get("image_tokens") is None:
        yield "image"
    if _count(made, "reasoning_tokens") and usage.get("total_tokens") is None:  # within what was made, or beside it?
        yield "all"


def _mapping(value: object) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return list(map(_mapping, cast(list[object], value))) if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    return value if isinstance(value, int) else 0
