"""LangChain messages and ours, both ways. Pure functions.

A message that came from LangChain is understood (role, parts, tool calls, usage) and also kept whole, as plain JSON, in
`provider_payload`. On the way back it is restored from there, unless it was edited since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    BaseMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from pydantic import ValidationError

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import (
    Part,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
    text_of,
)
from langswarm_sessions.records import Usage
from langswarm_sessions_langchain.messages.building import build
from langswarm_sessions_langchain.messages.content import parts_of, with_additional
from langswarm_sessions_langchain.messages.plain_json import plain_json

__all__ = [
    "PAYLOAD_FORMAT",
    "from_langchain",
    "messages_to_langchain",
    "one_result_each",
    "payload_of",
    "restored_langchain",
    "to_langchain",
    "usage_of",
]

PAYLOAD_FORMAT = "langchain"
_PAYLOAD_VERSION = 1

_CLASSES: dict[str, type[BaseMessage]] = {
    "human": HumanMessage,
    "ai": AIMessage,
    "system": SystemMessage,
    "tool": ToolMessage,
    "function": FunctionMessage,
    "chat": ChatMessage,
    "remove": RemoveMessage,
}
_ROLES = {"human": Role.USER, "ai": Role.ASSISTANT, "system": Role.SYSTEM, "tool": Role.TOOL, "function": Role.TOOL}
_CHAT_ROLES = {
    "assistant": Role.ASSISTANT,
    "ai": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "tool": Role.TOOL,
}
_CHUNK_ONLY = frozenset({"tool_call_chunks", "chunk_position"})


@dataclass(frozen=True, slots=True)
class _Reading:
    """What we understand of a LangChain message."""

    role: Role
    parts: list[Part]


def from_langchain(message: BaseMessage) -> SessionMessage:
    """Return a LangChain message as ours; nothing of it is lost that JSON can hold.

    Chunks become the message they are chunks of. Values that JSON cannot hold (an artifact's objects) become the
    nearest that it can.

    Args:
        message: A message of LangChain's own types or of a subclass of them.

    Returns:
        The message; its `message_id` is LangChain's id, empty when there is none (storing it gives it one).

    Raises:
        InvalidInputError: It is of a type that LangChain itself could not restore.

    Example:
        >>> from_langchain(HumanMessage("hi")).content
        'hi'
    """
    payload = payload_of(message)
    kind, data = payload["message"]["type"], payload["message"]["data"]
    reading = _read(kind, data)
    answered = reading.role is Role.ASSISTANT
    return SessionMessage(
        role=reading.role,
        parts=reading.parts,
        message_id=data.get("id") or "",
        provider_message_id=(data.get("id") or None) if answered else None,
        metadata={"name": data["name"]} if data.get("name") else {},
        provider_metadata=_provider_metadata(data) if answered else {},
        provider_payload=payload,
    )


def to_langchain(message: SessionMessage) -> BaseMessage:
    """Return a message of ours as LangChain's.

    Args:
        message: Any message, whichever provider it came from.

    Returns:
        What `from_langchain` was given, if it came from LangChain and was not edited since; else a message built
        from its parts. Its id is never None once the message was stored.

    Raises:
        InvalidInputError: It has the results of several tool calls, as other frameworks keep them; LangChain has a
            message for each: `messages_to_langchain` returns them.

    Example:
        >>> to_langchain(SessionMessage(role="assistant", content="hello")).text
        'hello'
    """
    if len(message.tool_results) > 1:
        raise InvalidInputError(
            "message: it has the results of several tool calls, and LangChain has a message for each; use "
            "messages_to_langchain([message]).",
            session_id=message.session_id or None,
        )
    restored = restored_langchain(message)
    if restored is None:
        restored = build(message)
    if restored.id is None and message.message_id:
        restored.id = message.message_id
    return restored


def messages_to_langchain(messages: Iterable[SessionMessage]) -> list[BaseMessage]:
    """Return messages of ours as LangChain's: one each, but one per result where several came in one message.

    Args:
        messages: In order, whichever provider or framework they came from.

    Returns:
        What `to_langchain` makes of them. Of several results the first has the message's id, the others that id with
        their place behind it: `<id>:1`, `<id>:2`.

    Example:
        >>> results = [ToolResult(tool_call_id="a", content="1"), ToolResult(tool_call_id="b", content="2")]
        >>> [m.text for m in messages_to_langchain([SessionMessage(role="tool", parts=results)])]
        ['1', '2']
    """
    found: list[BaseMessage] = []
    times: dict[str, int] = {}
    for single in chain.from_iterable(map(one_result_each, messages)):
        made = to_langchain(single)
        if isinstance(made, ToolMessage) and made.id:
            before = times.get(made.id, 0)
            times[made.id] = before + 1
            if before:
                made.id = f"{made.id}:{before}"
        found.append(made)
    return found


def one_result_each(message: SessionMessage) -> list[SessionMessage]:
    """Return a message that has the results of several tool calls as several; what came beside them is with the last.

    Args:
        message: Any message; one with a single result, or none, is returned as it is.
    """
    results = message.tool_results
    if len(results) < 2:
        return [message]
    beside = [part for part in message.parts if not isinstance(part, ToolResult)]
    told: list[list[Part]] = [[result] for result in results]
    told[-1] += beside
    return [replace(message, content="", parts=parts) for parts in told]


def payload_of(message: BaseMessage) -> dict[str, Any]:
    """Return a LangChain message as the plain JSON that `to_langchain` restores it from.

    Raises:
        InvalidInputError: It is of a type that LangChain itself could not restore.
    """
    kind = next((kind for kind, known in _CLASSES.items() if isinstance(message, known)), None)
    if kind is None:
        raise InvalidInputError(
            f"message: {type(message).__name__} is not one of LangChain's message types; use or subclass "
            f"{', '.join(known.__name__ for known in _CLASSES.values())}."
        )
    left_out = _CHUNK_ONLY if isinstance(message, BaseMessageChunk) else frozenset[str]()
    data = {name: plain_json(value) for name, value in message if name not in left_out}
    return {
        "format": PAYLOAD_FORMAT,
        "version": _PAYLOAD_VERSION,
        "message": {"type": kind, "data": {**data, "type": kind}},
    }


def usage_of(message: AIMessage) -> Usage:
    """Return the tokens of an answer as its model counted them; zeros when it did not say."""
    usage: Mapping[str, Any] = message.usage_metadata or {}
    sent: Mapping[str, Any] = usage.get("input_token_details") or {}
    made: Mapping[str, Any] = usage.get("output_token_details") or {}
    read, total = usage.get("input_tokens") or 0, usage.get("total_tokens") or 0
    an_hour = sent.get("ephemeral_1h_input_tokens") or 0
    # langchain-anthropic tells writes by how long they are kept, and then leaves the sum at 0.
    written = _of_any_tier(sent, "cache_creation") or (sent.get("ephemeral_5m_input_tokens") or 0) + an_hour
    return Usage(
        input_tokens=read,
        # Some servers count reasoning beside the answer: only the total has it then.
        output_tokens=max(usage.get("output_tokens") or 0, total - read),
        total_tokens=total,
        cached_tokens=_of_any_tier(sent, "cache_read"),
        reasoning_tokens=_of_any_tier(made, "reasoning"),
        cache_write_tokens=written,
        cache_write_1h_tokens=an_hour,
        input_audio_tokens=sent.get("audio") or 0,
        output_audio_tokens=made.get("audio") or 0,
        output_image_tokens=made.get("image") or 0,
    )


def _of_any_tier(details: Mapping[str, Any], name: str) -> int:
    """Return a count that langchain-openai writes under another name for each service tier."""
    return sum(details.get(f"{tier}{name}") or 0 for tier in ("", "flex_", "priority_"))


# ---------------------------------------------------------------- reading


def _read(kind: str, data: Mapping[str, Any]) -> _Reading:
    if kind == "tool":
        return _Reading(Role.TOOL, _result_parts(data))
    role = _ROLES.get(kind) or _CHAT_ROLES.get(str(data.get("role")).lower(), Role.USER)
    if kind == "remove":
        role = Role.SYSTEM
    parts = parts_of(data.get("content") or "", _calls(data))
    return _Reading(role, with_additional(parts, data.get("additional_kwargs") or {}) if kind == "ai" else parts)


def _calls(data: Mapping[str, Any]) -> list[ToolCall]:
    calls = [
        ToolCall(id=_call_id(call, at), name=call.get("name") or "", arguments=dict(call.get("args") or {}))
        for at, call in enumerate(data.get("tool_calls") or ())
    ]
    broken = [
        ToolCall(id=_call_id(call, at), name=call.get("name") or "", raw_arguments=call.get("args") or "")
        for at, call in enumerate(data.get("invalid_tool_calls") or (), start=len(calls))
    ]
    return [*calls, *broken]


def _call_id(call: Mapping[str, Any], at: int) -> str:
    """Return the call's id, or one that is the same each time the message is read."""
    given = call.get("id")
    if given:
        return str(given)
    text = json.dumps([at, call.get("name"), call.get("args")], sort_keys=True)
    return f"call_{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def _result_parts(data: Mapping[str, Any]) -> list[Part]:
    parts = parts_of(data.get("content") or "")
    result = ToolResult(
        tool_call_id=str(data.get("tool_call_id") or ""),
        content=text_of(parts),
        is_error=data.get("status") == "error",
        name=data.get("name"),
    )
    return [result, *(part for part in parts if not isinstance(part, TextPart | RefusalPart))]


def _provider_metadata(data: Mapping[str, Any]) -> dict[str, Any]:
    said: Mapping[str, Any] = data.get("response_metadata") or {}
    usage = usage_of(AIMessage("", usage_metadata=data["usage_metadata"])) if data.get("usage_metadata") else None
    known = {
        "model": said.get("model_name") or said.get("model"),
        "finish_reason": said.get("finish_reason") or said.get("stop_reason"),
        "usage": usage.to_json() if usage is not None else {},
    }
    return {name: value for name, value in known.items() if value is not None}


def restored_langchain(message: SessionMessage) -> BaseMessage | None:
    """Return the LangChain message kept with ours, unless ours was edited since."""
    payload = message.provider_payload or {}
    if payload.get("format") != PAYLOAD_FORMAT or payload.get("version") != _PAYLOAD_VERSION:
        return None
    kind: str = payload["message"]["type"]
    data: dict[str, Any] = dict(payload["message"]["data"])
    reading = _read(kind, data)
    if reading.role is not message.role or reading.parts != message.parts:
        return None
    try:
        return _CLASSES[kind](**data)
    except ValidationError:  # written by another version of LangChain, with other fields
        return None
