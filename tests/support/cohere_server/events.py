"""The events of an answer's stream, built with the SDK's own models."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cohere.v2.types.v2chat_stream_response import (
    CitationEndV2ChatStreamResponse,
    CitationStartV2ChatStreamResponse,
    ContentDeltaV2ChatStreamResponse,
    ContentEndV2ChatStreamResponse,
    ContentStartV2ChatStreamResponse,
    MessageEndV2ChatStreamResponse,
    MessageStartV2ChatStreamResponse,
    ToolCallDeltaV2ChatStreamResponse,
    ToolCallEndV2ChatStreamResponse,
    ToolCallStartV2ChatStreamResponse,
    ToolPlanDeltaV2ChatStreamResponse,
)
from pydantic import BaseModel, TypeAdapter

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.replies import split_words

from .replies import Reply
from .views import ModelView

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_ARGUMENT_PIECE = 6


def event_json(event: BaseModel) -> JsonObject:
    """Return an event as the API would send it."""
    return _OBJECT.validate_python(event.model_dump(mode="json", by_alias=True, exclude_none=True))


def is_text(event: BaseModel) -> bool:
    """Whether an event carries text of the answer."""
    delta: Any = getattr(event, "delta", None)
    return isinstance(event, ContentDeltaV2ChatStreamResponse) and delta.message.content.text is not None


def events_of(reply: Reply, *, message_id: str, call_ids: list[str]) -> Iterator[BaseModel]:
    """Yield all events of an answer but the terminal one."""
    yield MessageStartV2ChatStreamResponse.model_validate(
        {"id": message_id, "delta": {"message": {"role": "assistant"}}}
    )
    index = 0
    if reply.thinking is not None:
        yield from _block("thinking", split_words(reply.thinking), index)
        index += 1
    if reply.text_deltas:
        yield from _block("text", reply.text_deltas, index)
    for word in split_words(reply.plan or ""):
        yield ToolPlanDeltaV2ChatStreamResponse.model_validate({"delta": {"message": {"tool_plan": word}}})
    for at, (call, call_id) in enumerate(zip(reply.tool_calls, call_ids, strict=True)):
        yield from _call(call.name, call.arguments_text, call_id=call_id, index=at)
    for at, citation in enumerate(reply.citations):
        yield CitationStartV2ChatStreamResponse.model_validate(
            {"index": at, "delta": {"message": {"citations": citation}}}
        )
        yield CitationEndV2ChatStreamResponse.model_validate({"index": at})


def terminal(reply: Reply, view: ModelView, *, message_id: str) -> BaseModel:
    """Return the terminal event; tokens are counted in floats, as the API does."""
    made = float(max(1, len("".join(reply.text_deltas)) // 4))
    sent = float(view.token_count)
    usage: dict[str, Any] = {
        "billed_units": {"input_tokens": sent - 1, "output_tokens": made},
        "tokens": {"input_tokens": sent, "output_tokens": made},
    }
    if reply.cached_tokens is not None:
        usage["cached_tokens"] = reply.cached_tokens
    delta = {"finish_reason": reply.reason, "usage": usage, **({"error": reply.error} if reply.error else {})}
    return MessageEndV2ChatStreamResponse.model_validate({"id": message_id, "delta": delta})


def _block(kind: str, pieces: tuple[str, ...], index: int) -> Iterator[BaseModel]:
    start = {"type": kind, kind: ""}
    yield ContentStartV2ChatStreamResponse.model_validate({"index": index, "delta": {"message": {"content": start}}})
    for piece in pieces:
        yield ContentDeltaV2ChatStreamResponse.model_validate(
            {"index": index, "delta": {"message": {"content": {kind: piece}}}}
        )
    yield ContentEndV2ChatStreamResponse.model_validate({"index": index})


def _call(name: str, arguments: str, *, call_id: str, index: int) -> Iterator[BaseModel]:
    start = {"id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
    yield ToolCallStartV2ChatStreamResponse.model_validate(
        {"index": index, "delta": {"message": {"tool_calls": start}}}
    )
    for at in range(0, len(arguments), _ARGUMENT_PIECE):
        piece = {"function": {"arguments": arguments[at : at + _ARGUMENT_PIECE]}}
        yield ToolCallDeltaV2ChatStreamResponse.model_validate(
            {"index": index, "delta": {"message": {"tool_calls": piece}}}
        )
    yield ToolCallEndV2ChatStreamResponse.model_validate({"index": index})
