"""Answers and their events, built with the SDK's own response models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from anthropic.types import (
    ContentBlock,
    InputJSONDelta,
    Message,
    MessageDeltaUsage,
    OutputTokensDetails,
    RawContentBlockDeltaEvent,
    RawContentBlockStartEvent,
    RawContentBlockStopEvent,
    RawMessageDeltaEvent,
    RawMessageStartEvent,
    RawMessageStopEvent,
    RedactedThinkingBlock,
    RefusalStopDetails,
    SignatureDelta,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolUseBlock,
    Usage,
)
from anthropic.types.raw_message_delta_event import Delta
from pydantic import BaseModel, TypeAdapter

from tests.support.provider_server.json_types import JsonObject, parse_object
from tests.support.provider_server.replies import split_words

from .context import ModelView, count_tokens
from .replies import Reply

_BLOCK: TypeAdapter[ContentBlock] = TypeAdapter(ContentBlock)
_ARGUMENT_PIECE = 12


def as_json(model: BaseModel) -> JsonObject:
    """Return a model of the SDK as it goes over the wire."""
    return model.model_dump(mode="json", exclude_unset=True)


def build_message(reply: Reply, view: ModelView, *, issue: Callable[[str], str], read: int, total: int) -> Message:
    """Return the whole message a reply makes.

    Args:
        reply: What the model says.
        view: What it saw.
        issue: Makes ids.
        read: Tokens the prompt cache had.
        total: All tokens of the context.
    """
    content: list[ContentBlock] = []
    if reply.thinking is not None:
        content.append(ThinkingBlock(type="thinking", thinking=reply.thinking, signature=issue("sig")))
    if reply.redacted:
        content.append(RedactedThinkingBlock(type="redacted_thinking", data=issue("sealed")))
    content += [_BLOCK.validate_python(block) for block in reply.blocks]
    if reply.message_text:
        content.append(TextBlock(type="text", text=reply.message_text))
    for call in reply.tool_calls:
        arguments = parse_object(call.arguments_text.encode()) or {}
        call_id = call.call_id or issue("toolu")
        content.append(ToolUseBlock(type="tool_use", id=call_id, name=call.name, input={**arguments}))
    thought = count_tokens(reply.thinking or "")
    spoken = sum(count_tokens(json.dumps(as_json(block))) for block in content)
    return Message(
        id=view.message_id,
        type="message",
        role="assistant",
        model=view.model,
        content=content,
        stop_reason=reply.why,
        stop_sequence=None,
        stop_details=RefusalStopDetails(type="refusal", explanation=reply.refusal) if reply.refusal else None,
        usage=Usage(
            input_tokens=3,
            cache_creation_input_tokens=total - read,
            cache_read_input_tokens=read,
            output_tokens=spoken,
            output_tokens_details=OutputTokensDetails(thinking_tokens=thought),
        ),
    )


def events(message: Message, reply: Reply) -> Iterator[BaseModel]:
    """Yield every event of a message but the terminal one."""
    blank: dict[str, Any] = {"content": [], "stop_reason": None, "stop_details": None}
    usage = message.usage.model_copy(update={"output_tokens": 1, "output_tokens_details": None})
    yield RawMessageStartEvent(type="message_start", message=message.model_copy(update={**blank, "usage": usage}))
    calls = iter(reply.tool_calls)
    for index, block in enumerate(message.content):
        raw = next(calls).arguments_text if isinstance(block, ToolUseBlock) else ""
        yield RawContentBlockStartEvent(type="content_block_start", index=index, content_block=_blank(block))
        for delta in _deltas(block, reply, raw):
            yield RawContentBlockDeltaEvent(type="content_block_delta", index=index, delta=delta)
        yield RawContentBlockStopEvent(type="content_block_stop", index=index)
    yield RawMessageDeltaEvent(
        type="message_delta",
        delta=Delta(stop_reason=message.stop_reason, stop_sequence=None, stop_details=message.stop_details),
        usage=MessageDeltaUsage(
            output_tokens=message.usage.output_tokens, output_tokens_details=message.usage.output_tokens_details
        ),
    )


def terminal() -> RawMessageStopEvent:
    """Return the event that ends a stream well."""
    return RawMessageStopEvent(type="message_stop")


def _blank(block: ContentBlock) -> ContentBlock:
    """Return a block as it is announced."""
    if isinstance(block, TextBlock):
        return block.model_copy(update={"text": ""})
    if isinstance(block, ThinkingBlock):
        return block.model_copy(update={"thinking": "", "signature": ""})
    return block.model_copy(update={"input": {}}) if isinstance(block, ToolUseBlock) else block


def _deltas(
    block: ContentBlock, reply: Reply, raw: str
) -> Iterator[TextDelta | ThinkingDelta | SignatureDelta | InputJSONDelta]:
    if isinstance(block, TextBlock):
        pieces = reply.text_deltas if block.text == reply.message_text else split_words(block.text)
        yield from (TextDelta(type="text_delta", text=piece) for piece in pieces)
    elif isinstance(block, ThinkingBlock):
        yield from (ThinkingDelta(type="thinking_delta", thinking=piece) for piece in split_words(block.thinking))
        yield SignatureDelta(type="signature_delta", signature=block.signature)
    elif isinstance(block, ToolUseBlock):
        yield InputJSONDelta(type="input_json_delta", partial_json="")
        for start in range(0, len(raw), _ARGUMENT_PIECE):
            yield InputJSONDelta(type="input_json_delta", partial_json=raw[start : start + _ARGUMENT_PIECE])
