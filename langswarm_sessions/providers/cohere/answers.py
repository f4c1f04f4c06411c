"""The v2 Chat API's stream to our parts. Pure: no I/O, no SDK."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from langswarm_sessions.errors import ProviderError
from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import Part, ReasoningPart, TextPart, ToolCall
from langswarm_sessions.providers.billing import terms_of
from langswarm_sessions.providers.cohere.errors import COHERE_FAILURES, classify
from langswarm_sessions.providers.failures import Failure
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import ModelCall, Usage

__all__ = ["Item", "StreamedAnswer", "call_arguments", "content_blocks", "parse_event", "parts_of", "usage_of"]

Item = dict[str, Any]

_FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "max_output_tokens",
    "TOOL_CALL": "tool_calls",
}
_BLOCK_KINDS = ("thinking", "text")


def parse_event(data: str) -> Item:
    """Return one event of a stream.

    The SDK would skip an event it cannot read, which leaves a hole in the answer, and log it, which shows it.

    Raises:
        ProviderError: It is none.
    """
    try:
        event: object = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise _illegible()
    return cast(Item, event)


class StreamedAnswer:
    """An answer as its events tell it.

    Args:
        model: The model that was asked.
        request_id: The provider's id of the request.
    """

    def __init__(self, *, model: str, request_id: str | None) -> None:
        self._model = model
        self._request_id = request_id
        self._id: str | None = None
        self._blocks: dict[tuple[int, str], list[str]] = {}
        self._plan: list[str] = []
        self._calls: dict[int, Item] = {}
        self._citations: list[Item] = []
        self.completed: Completed | None = None
        """The whole answer, once the terminal event has come."""

    def read(self, event: Mapping[str, Any]) -> str:
        """Take in one event and return the text it adds to the answer.

        Raises:
            ProviderError: The event says that the answer failed, or makes no sense here.
        """
        message = _inner(event, "delta", "message")
        match event.get("type"):
            case "message-start":
                self._id = _text(event.get("id"))
            case "content-start" | "content-delta":
                return self._content(event, _inner(message, "content"))
            case "tool-plan-delta":
                self._plan.append(_text(message.get("tool_plan")) or "")
            case "tool-call-start":
                call = _inner(message, "tool_calls")
                function = _inner(call, "function")
                named = {**function, "arguments": _text(function.get("arguments")) or ""}
                self._calls[_index(event)] = {**call, "type": "function", "function": named}
            case "tool-call-delta":
                self._more_arguments(event, _inner(message, "tool_calls", "function"))
            case "citation-start":
                citations: object = message.get("citations")
                self._citations += [citation for citation in _listed(citations) if isinstance(citation, dict)]
            case "message-end":
                self.completed = self._ended(event, _inner(event, "delta"))
            case "error" | None:
                raise classify(Failure(message=_text(event.get("message")) or "", request_id=self._request_id))
            case _:
                pass  # content-end, tool-call-end, citation-end, debug, and what is yet to come
        return ""

    def _content(self, event: Mapping[str, Any], content: Mapping[str, Any]) -> str:
        for kind in _BLOCK_KINDS:
            if (piece := _text(content.get(kind))) is not None:
                self._blocks.setdefault((_index(event), kind), []).append(piece)
        return _text(content.get("text")) or ""

    def _more_arguments(self, event: Mapping[str, Any], function: Mapping[str, Any]) -> None:
        call = self._calls.get(_index(event))
        if call is None:
            raise _illegible()
        call["function"]["arguments"] += _text(function.get("arguments")) or ""

    def _ended(self, event: Mapping[str, Any], delta: Mapping[str, Any]) -> Completed:
        reason = _text(delta.get("finish_reason")) or "COMPLETE"
        failure = Failure(code=reason, message=_text(delta.get("error")) or "", request_id=self._request_id)
        if reason == "TIMEOUT":
            raise COHERE_FAILURES.error(COHERE_FAILURES.timeout, failure)
        if reason.startswith("ERROR"):
            raise classify(failure)
        message = self._message()
        parts = parts_of(message)
        is_asking = any(isinstance(part, ToolCall) for part in parts)
        finish = _FINISH_REASONS.get(reason, reason.lower())
        return Completed(
            parts=tuple(parts),
            model=self._model,
            usage=usage_of(_inner(delta, "usage")),
            finish_reason="tool_calls" if is_asking and finish == "stop" else finish,
            provider_message_id=self._id or _text(event.get("id")),
            request_id=self._request_id,
            payload={"provider": "cohere", "model": self._model, "items": [message]},
            calls=_billed(_inner(delta, "usage"), model=self._model),
        )

    def _message(self) -> Item:
        """Return the answer as the message that is sent back to the API."""
        joined = [(kind, "".join(pieces)) for (_, kind), pieces in self._blocks.items()]
        calls = list(self._calls.values())
        if not all(_text(call.get("id")) and _text(call["function"].get("name")) for call in calls):
            raise _illegible()
        fields = {
            "content": [{"type": kind, kind: text} for kind, text in joined if text],
            "tool_plan": "".join(self._plan),
            "tool_calls": calls,
            "citations": self._citations,
        }
        return {"role": "assistant", **{name: value for name, value in fields.items() if value}}


def parts_of(message: Mapping[str, Any]) -> list[Part]:
    """Return the parts that say what an assistant's message says: its content, its plan, its tool calls.

    The plan is what the model says to itself before it calls tools: reasoning, which is not shown as the answer's text.
    """
    parts: list[Part] = []
    for block in content_blocks(message):
        if block.get("type") == "thinking":
            parts.append(ReasoningPart(text=str(block.get("thinking") or "")))
        else:
            parts.append(TextPart(str(block.get("text") or "")))
    if plan := message.get("tool_plan"):
        parts.append(ReasoningPart(text=str(plan)))
    return parts + [_tool_call(call) for call in cast("Sequence[Item]", message.get("tool_calls") or ())]


def content_blocks(message: Mapping[str, Any]) -> list[Item]:
    """Return the content blocks of a message; a plain text is one block."""
    content: object = message.get("content") or []
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [cast(Item, block) for block in _listed(content) if isinstance(block, dict)]


def _tool_call(call: Item) -> ToolCall:
    function = call["function"]
    text, call_id, name = str(function.get("arguments") or ""), str(call["id"]), str(function["name"])
    arguments = call_arguments(text)
    if arguments is None:
        return ToolCall(id=call_id, name=name, raw_arguments=text)
    return ToolCall(id=call_id, name=name, arguments=arguments)


def call_arguments(text: str) -> dict[str, Any] | None:
    """Return a call's arguments, as `parse_arguments`; to a tool without parameters models write `null`."""
    return {} if text.strip() == "null" else parse_arguments(text)


def usage_of(usage: Mapping[str, Any]) -> Usage:
    """Return the tokens of an answer, which the API counts in floats; zeros where a server leaves them out."""
    tokens = _inner(usage, "tokens")
    sent, made = _count(tokens.get("input_tokens")), _count(tokens.get("output_tokens"))
    cached = _count(usage.get("cached_tokens"))
    return Usage(input_tokens=sent, output_tokens=made, total_tokens=sent + made, cached_tokens=cached)


def _billed(usage: Mapping[str, Any], *, model: str) -> tuple[ModelCall, ...]:
    """Return the request as it is billed: fewer tokens than it had, and searches, documents, classifications."""
    units = _inner(usage, "billed_units")
    if not units:
        return ()
    sent, made = _count(units.get("input_tokens")), _count(units.get("output_tokens"))
    others = [name for name, count in units.items() if name not in ("input_tokens", "output_tokens") and _count(count)]
    billed = Usage(input_tokens=sent, output_tokens=made, total_tokens=sent + made)
    return (ModelCall(model=model, usage=billed, terms=terms_of({}, tools=others)),)


def _count(value: object) -> int:
    try:
        return max(0, int(value)) if isinstance(value, int | float) else 0
    except (OverflowError, ValueError):  # JSON as Python reads it knows Infinity and NaN
        return 0


def _index(event: Mapping[str, Any]) -> int:
    index: object = event.get("index", 0)
    if not isinstance(index, int):
        raise _illegible()
    return index


def _inner(data: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """Return the object at the end of a path; an empty one where there is none."""
    found: object = data
    for name in path:
        found = cast("Mapping[str, object]", found).get(name)
        if not isinstance(found, Mapping):
            return {}
    return cast("Mapping[str, Any]", found)


def _listed(value: object) -> Iterable[Any]:
    """Return what a field holds: the API streams one object where a message has a list."""
    return value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _illegible() -> ProviderError:
    return COHERE_FAILURES.error(COHERE_FAILURES.illegible)
