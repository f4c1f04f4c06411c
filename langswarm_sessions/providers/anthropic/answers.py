"""The Messages API's events to our parts. Pure: events come in as plain JSON, whatever the SDK made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import OtherPart, Part, ReasoningPart, RefusalPart, TextPart, ToolCall
from langswarm_sessions.providers.anthropic.content import Block
from langswarm_sessions.providers.billing import anthropic_terms
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import ModelCall, Usage

__all__ = ["Answer", "completed_answer", "parts_of", "usage_of"]

_FINISH_REASONS = {
    "end_turn": "stop",
    "max_tokens": "max_output_tokens",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
}
"""The others keep the API's name: `pause_turn`, `refusal`, `model_context_window_exceeded`."""

_COUNTERS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


class Answer:
    """One message as its events tell it.

    Attributes:
        id: The message's id.
        model: The model that answered.
        blocks: Its content blocks, as the API would send the whole message.
        is_whole: Whether the terminal event came.
        stop_reason: Why the model stopped.
    """

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.blocks: list[Block] = []
        self.is_whole = False
        self.stop_reason: str | None = None
        self._explanation = ""
        self._by_index: dict[object, Block] = {}
        self._arguments: dict[int, list[str]] = {}
        self._counts: dict[str, int] = {}
        self._usage: dict[str, Any] = {}
        self._broken: dict[int, str] = {}

    def feed(self, event: Mapping[str, Any]) -> str:
        """Take in an event; return the text it adds for the reader. Events of unknown types say nothing."""
        match event.get("type"):
            case "message_start":
                self._start(_object(event.get("message")))
            case "content_block_start":
                block = _block(event.get("content_block"))
                self._by_index[event.get("index")] = block
                self.blocks.append(block)
                return _string(block.get("text")) if block.get("type") == "text" else ""
            case "content_block_delta":
                begun = self._by_index.get(event.get("index"))
                return "" if begun is None else self._grow(begun, _object(event.get("delta")))
            case "message_delta":
                self._count(_object(event.get("usage")))
                return self._stop(_object(event.get("delta")))
            case "message_stop":
                self.is_whole = True
                self._close()
            case _:
                pass
        return ""

    def _start(self, message: Mapping[str, Any]) -> None:
        self.id = _string(message.get("id")) or None
        self.model = _string(message.get("model")) or None
        self._count(_object(message.get("usage")))

    def _grow(self, block: Block, delta: Mapping[str, Any]) -> str:
        match delta.get("type"):
            case "text_delta":
                text = _string(delta.get("text"))
                block["text"] = _string(block.get("text")) + text
                return text if block.get("type") == "text" else ""
            case "thinking_delta":
                block["thinking"] = _string(block.get("thinking")) + _string(delta.get("thinking"))
            case "signature_delta":
                block["signature"] = _string(delta.get("signature"))
            case "input_json_delta":
                self._arguments.setdefault(id(block), []).append(_string(delta.get("partial_json")))
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or []), delta.get("citation")]
            case _:
                pass
        return ""

    def _stop(self, delta: Mapping[str, Any]) -> str:
        """Note why the model stopped; a refusal that says nothing is explained by what the API says of it."""
        self.stop_reason = _string(delta.get("stop_reason")) or self.stop_reason
        if self.stop_reason != "refusal" or self._explanation or any(map(_visible, self.blocks)):
            return ""
        self._explanation = _string(_object(delta.get("stop_details")).get("explanation"))
        return self._explanation

    def _count(self, usage: Mapping[str, Any]) -> None:
        """Take in running totals; what an event leaves out stays as an earlier one told it."""
        self._usage |= {name: told for name, told in usage.items() if told is not None}
        told = {name: usage.get(name) for name in _COUNTERS}
        told["thinking_tokens"] = _object(usage.get("output_tokens_details")).get("thinking_tokens")
        told["hour_tokens"] = _object(usage.get("cache_creation")).get("ephemeral_1h_input_tokens")
        self._counts |= {name: count for name, count in told.items() if isinstance(count, int)}

    def _close(self) -> None:
        for block in self.blocks:
            if (pieces := self._arguments.get(id(block))) is None:
                continue
            arguments = parse_arguments("".join(pieces))
            block["input"] = arguments or {}
            if arguments is None:
                self._broken[id(block)] = "".join(pieces)

    @property
    def usage(self) -> Usage:
        """The tokens, cached ones included."""
        return usage_of(self._counts)

    @property
    def terms(self) -> dict[str, str]:
        """What sets the request apart where it is billed: tier, speed, where it ran if that was asked for, tools."""
        return anthropic_terms(self._usage, self.blocks)

    @property
    def parts(self) -> list[Part]:
        """What the answer says."""
        broken = {position: self._broken.get(id(block)) for position, block in enumerate(self.blocks)}
        parts = parts_of(self.blocks, broken=broken, is_refusal=self.stop_reason == "refusal")
        return [*parts, RefusalPart(self._explanation)] if self._explanation else parts


def completed_answer(answers: Sequence[Answer], *, model: str, request_id: str | None) -> Completed:
    """Return the whole answer, which paused turns give in several messages.

    Args:
        answers: The messages, in order; all whole.
        model: The model that was asked for.
        request_id: The provider's id of the last request.
    """
    last = answers[-1]
    calls = [ModelCall(model=each.model or model, usage=each.usage, terms=each.terms) for each in answers]
    return Completed(
        parts=tuple(part for answer in answers for part in answer.parts),
        model=last.model or model,
        usage=sum((call.usage for call in calls), Usage()),
        finish_reason=_FINISH_REASONS.get(last.stop_reason or "", last.stop_reason),
        provider_message_id=last.id,
        request_id=request_id,
        payload={
            "provider": "anthropic",
            "model": model,
            "items": [block for answer in answers for block in answer.blocks],
        },
        terms=last.terms,
        calls=tuple(calls) if len(calls) > 1 else (),
    )


def parts_of(
    blocks: Sequence[Block], *, broken: Mapping[int, str | None] | None = None, is_refusal: bool = False
) -> list[Part]:
    """Return the parts that say what content blocks say, in their order.

    Args:
        blocks: Content blocks of an answer.
        broken: Positions of tool calls whose arguments are no JSON object, and their text.
        is_refusal: Whether the model broke off to decline.
    """
    parts: list[Part] = []
    for position, block in enumerate(blocks):
        kind = block.get("type")
        if kind == "text":
            text = _string(block.get("text"))
            parts += [RefusalPart(text) if is_refusal else TextPart(text)] if text else []
        elif kind == "thinking":
            parts += [ReasoningPart(text=block["thinking"])] if block.get("thinking") else []
        elif kind == "tool_use":
            parts.append(_tool_call(block, raw=(broken or {}).get(position)))
        elif kind != "redacted_thinking":
            parts.append(OtherPart(data=block))
    return parts


def _tool_call(block: Block, *, raw: str | None) -> ToolCall:
    name, call_id = _string(block.get("name")), _string(block.get("id"))
    if raw is not None:
        return ToolCall(id=call_id, name=name, raw_arguments=raw)
    return ToolCall(id=call_id, name=name, arguments=dict(_object(block.get("input"))))


def usage_of(counts: Mapping[str, int]) -> Usage:
    """Return usage from the API's counters: its `input_tokens` are only those no cache had to do with.

    Example:
        >>> usage_of({"input_tokens": 1, "cache_read_input_tokens": 9, "output_tokens": 2}).input_tokens
        10
    """
    sent = sum(counts.get(name, 0) for name in _COUNTERS[:3])
    made = counts.get("output_tokens", 0)
    return Usage(
        input_tokens=sent,
        output_tokens=made,
        total_tokens=sent + made,
        cached_tokens=counts.get("cache_read_input_tokens", 0),
        reasoning_tokens=counts.get("thinking_tokens", 0),
        cache_write_tokens=counts.get("cache_creation_input_tokens", 0),
        cache_write_1h_tokens=counts.get("hour_tokens", 0),
    )


def _visible(block: Block) -> bool:
    return block.get("type") == "text" and bool(block.get("text"))


def _block(value: object) -> Block:
    """Return a content block; what has no kind could never be sent back.

    Raises:
        TypeError: It is none.
    """
    block = _object(value)
    if not isinstance(block.get("type"), str):
        raise TypeError("content_block")
    return block


def _object(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
