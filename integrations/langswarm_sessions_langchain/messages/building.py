"""LangChain messages built from the parts of ours. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.messages.ai import UsageMetadata

from langswarm_sessions.messages import (
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions_langchain.messages.content import blocks_of

__all__ = ["build"]


def build(message: SessionMessage) -> BaseMessage:
    """Return a LangChain message that says what `message` says, from its role, parts and metadata alone."""
    return _BUILDERS[message.role](message)


def _user(message: SessionMessage) -> BaseMessage:
    return HumanMessage(_content(message.parts), **_common(message))


def _system(message: SessionMessage) -> BaseMessage:
    return SystemMessage(_content(message.parts), **_common(message))


def _tool(message: SessionMessage) -> BaseMessage:
    result = next(iter(message.tool_results), None)
    if result is None:
        return HumanMessage(_content(message.parts), **_common(message))
    beside = blocks_of(part for part in message.parts if not isinstance(part, ToolResult))
    content = [*blocks_of([TextPart(result.content)] if result.content else []), *beside] if beside else result.content
    common = {**_common(message), **({"name": result.name} if result.name else {})}
    status = "error" if result.is_error else "success"
    return ToolMessage(content, tool_call_id=result.tool_call_id, status=status, **common)


def _assistant(message: SessionMessage) -> BaseMessage:
    """Build an answer. Its text comes first and in one piece, so that the chunks of a stream sum up to the same."""
    said = message.provider_metadata
    metadata = {
        "model_name": said.get("model"),
        "model_provider": said.get("provider"),
        "finish_reason": said.get("finish_reason"),
        "id": message.provider_message_id,
    }
    usage = _usage_metadata(said.get("usage"))
    return AIMessage(
        _answer_content(message),
        **{**_common(message), "id": message.provider_message_id or message.message_id or None},
        tool_calls=[
            {"name": call.name, "args": call.arguments, "id": call.id, "type": "tool_call"}
            for call in message.tool_calls
            if call.raw_arguments is None
        ],
        invalid_tool_calls=[
            {"name": call.name, "args": call.raw_arguments, "id": call.id, "error": None, "type": "invalid_tool_call"}
            for call in message.tool_calls
            if call.raw_arguments is not None
        ],
        additional_kwargs=_additional(message.parts),
        response_metadata={name: value for name, value in metadata.items() if value is not None},
        **({"usage_metadata": usage} if usage is not None else {}),
    )


def _answer_content(message: SessionMessage) -> str | list[str | dict[Any, Any]]:
    """Return an answer's content: its text, followed by the blocks that are not text, if there are any."""
    other = blocks_of(part for part in message.parts if not isinstance(part, TextPart | RefusalPart | ReasoningPart))
    if not other:
        return message.content
    return [message.content, *other] if message.content else other


def _additional(parts: list[Part]) -> dict[str, Any]:
    reasoning = "".join(part.text for part in parts if isinstance(part, ReasoningPart))
    refusal = "".join(part.text for part in parts if isinstance(part, RefusalPart))
    named = {"reasoning_content": reasoning, "refusal": refusal}
    return {name: text for name, text in named.items() if text}


def _content(parts: list[Part]) -> str | list[str | dict[Any, Any]]:
    if all(isinstance(part, TextPart | RefusalPart) for part in parts):
        return text_of(parts)
    return blocks_of(parts)


def _common(message: SessionMessage) -> dict[str, Any]:
    name = message.metadata.get("name")
    return {"id": message.message_id or None, **({"name": name} if isinstance(name, str) and name else {})}


def _usage_metadata(usage: object) -> UsageMetadata | None:
    counts: Mapping[str, int] = cast("Mapping[str, int]", usage) if isinstance(usage, Mapping) else dict[str, int]()
    if not any(counts.values()):
        return None
    given, answered = counts.get("input_tokens", 0), counts.get("output_tokens", 0)
    metadata = UsageMetadata(
        input_tokens=given, output_tokens=answered, total_tokens=counts.get("total_tokens", given + answered)
    )
    if cached := counts.get("cached_tokens"):
        metadata["input_token_details"] = {"cache_read": cached}
    if reasoned := counts.get("reasoning_tokens"):
        metadata["output_token_details"] = {"reasoning": reasoned}
    return metadata


_BUILDERS = {Role.USER: _user, Role.SYSTEM: _system, Role.TOOL: _tool, Role.ASSISTANT: _assistant}
