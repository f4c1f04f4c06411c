"""A chat model's chunks as the end of a turn. Pure functions, but for new ids of calls that came without one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, cast

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    InvalidToolCall,
    ToolCall,
    message_chunk_to_message,
)
from langchain_core.messages.ai import add_ai_message_chunks

from langswarm_sessions.ids import new_id
from langswarm_sessions.interfaces.provider import Completed
from langswarm_sessions.messages import Part
from langswarm_sessions.messages import ToolCall as CallPart
from langswarm_sessions.providers.tools import parse_arguments
from langswarm_sessions.records import Usage
from langswarm_sessions_langchain.messages import from_langchain, usage_of
from langswarm_sessions_langchain.provider.mapping import Speaker
from langswarm_sessions_langchain.runnable.outputs import add_output

__all__ = ["completed_answer", "finish_reason_of", "is_cut", "says_something", "summed"]

_FINISH_KEYS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "finishReason")
_FINISH_REASONS = {
    "complete": "stop",
    "completed": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "stop": "stop",
    "stop_sequence": "stop",
    "function_call": "tool_calls",
    "tool_call": "tool_calls",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "length": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "blocklist": "content_filter",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "prohibited_content": "content_filter",
    "recitation": "content_filter",
    "safety": "content_filter",
    "spii": "content_filter",
}
_LANGCHAINS_OWN_ID = "lc_"


def summed(chunks: Sequence[BaseMessage]) -> AIMessage:
    """Return the answer that chunks are the chunks of; a model that does not stream gives one, whole.

    A call without an id gets one. Arguments that are no JSON object, which LangChain would complete, are a call that
    could not be read: half of an argument must not reach a tool.

    Args:
        chunks: At least one.
    """
    pieces = [chunk for chunk in chunks if isinstance(chunk, AIMessageChunk)]
    if len(pieces) == len(chunks):
        total: BaseMessage = add_ai_message_chunks(pieces[0], *pieces[1:])
    else:
        total = reduce(add_output, chunks)
    message = message_chunk_to_message(total)
    if not isinstance(message, AIMessage):
        message = AIMessage(message.content, id=message.id, response_metadata=message.response_metadata)
    calls, invalid = list(message.tool_calls), list(message.invalid_tool_calls)
    if isinstance(total, AIMessageChunk) and total.tool_call_chunks:
        calls, invalid = _read_strictly(total)
    if not (calls or invalid):
        return message
    _name(calls, invalid)
    return message.model_copy(update={"tool_calls": calls, "invalid_tool_calls": invalid})


def is_cut(chunks: Sequence[BaseMessage], answer: AIMessage) -> bool:
    """Whether a stream ended without its end.

    LangChain has no terminal event of its own, and a model may say nothing of why it stopped. But the models of its
    packages for providers, which name their provider in every chunk, always do when an answer is whole.

    Args:
        chunks: What came.
        answer: Their sum.
    """
    said = answer.response_metadata
    streamed = isinstance(chunks[-1], AIMessageChunk)
    return streamed and bool(said.get("model_provider")) and _finish_word(said) is None


def says_something(chunk: BaseMessage) -> bool:
    """Whether a chunk holds a piece of the answer, not only words about it."""
    return bool(chunk.content or chunk.additional_kwargs or getattr(chunk, "tool_call_chunks", None))


def completed_answer(answer: AIMessage, *, speaker: Speaker, names: Sequence[str]) -> Completed:
    """Return a whole answer as the end of a turn.

    Args:
        answer: The answer, from `summed`.
        speaker: Who said it.
        names: What the chat model calls the model it asks, when the answer does not say.
    """
    said = from_langchain(answer)
    about = answer.response_metadata
    return Completed(
        parts=tuple(said.parts),
        model=_text(about, "model_name", "model", "model_id") or next(iter(names), speaker.model),
        usage=_usage(answer),
        finish_reason=finish_reason_of(about, said.parts),
        provider_message_id=_server_id(answer),
        request_id=_request_id(about),
        payload={**(said.provider_payload or {}), **speaker.to_json()},
        raw=answer,
    )


def finish_reason_of(about: Mapping[str, Any], parts: Iterable[Part]) -> str:
    """Return why an answer ended, in one language: stop, tool_calls, max_output_tokens, content_filter, refusal.

    Example:
        >>> finish_reason_of({"stop_reason": "end_turn"}, [])
        'stop'
    """
    word = (_finish_word(about) or "stop").lower()
    reason = _FINISH_REASONS.get(word, word)
    calls = any(isinstance(part, CallPart) for part in parts)
    return "tool_calls" if calls and reason == "stop" else reason


def _finish_word(about: Mapping[str, Any]) -> str | None:
    details: object = about.get("incomplete_details")
    if isinstance(details, Mapping) and (reason := _text(cast("Mapping[str, Any]", details), "reason")):
        return reason
    return _text(about, *_FINISH_KEYS) or _text(about, "status")


def _text(about: Mapping[str, Any], *names: str) -> str | None:
    values = (about.get(name) for name in names)
    return next((str(value) for value in values if isinstance(value, str) and value), None)


def _usage(answer: AIMessage) -> Usage:
    usage = usage_of(answer)
    if usage.total_tokens:
        return usage
    return replace(usage, total_tokens=usage.input_tokens + usage.output_tokens)


def _server_id(answer: AIMessage) -> str | None:
    named = _text(answer.response_metadata, "id")
    if answer.id and not answer.id.startswith(_LANGCHAINS_OWN_ID):
        return answer.id
    return named


def _request_id(about: Mapping[str, Any]) -> str | None:
    headers: object = about.get("headers")
    given = cast("Mapping[str, Any]", headers) if isinstance(headers, Mapping) else dict[str, Any]()
    return _text(given, "x-request-id", "request-id") or _text(about, "request_id")


# Tool calls


def _read_strictly(total: AIMessageChunk) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    invalid: list[InvalidToolCall] = []
    for chunk in total.tool_call_chunks:
        name, text, call_id = chunk["name"] or "", chunk["args"] or "", chunk["id"]
        arguments = parse_arguments(text)
        if arguments is None:
            invalid.append(InvalidToolCall(name=name, args=text, id=call_id, error=None, type="invalid_tool_call"))
        else:
            calls.append(ToolCall(name=name, args=arguments, id=call_id, type="tool_call"))
    return calls, invalid


def _name(calls: list[ToolCall], invalid: list[InvalidToolCall]) -> None:
    """Give calls without an id, or with one that stood before, an id of their own."""
    taken: set[str] = set()
    for call in (*calls, *invalid):
        given = call["id"]
        own = given if given and given not in taken else f"call_{new_id().replace('-', '')}"
        call["id"] = own
        taken.add(own)
