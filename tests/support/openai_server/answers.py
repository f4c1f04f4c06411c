"""Answers built with the SDK's own response models, so that their shape is right by construction."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from openai.types.responses import (
    Response,
    ResponseCompactionItem,
    ResponseError,
    ResponseFunctionToolCall,
    ResponseOutputItem,
    ResponseOutputMessage,
    ResponseOutputRefusal,
    ResponseOutputText,
    ResponseReasoningItem,
    ResponseUsage,
)
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_reasoning_item import Summary
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import BaseModel, TypeAdapter

from tests.support.provider_server.ids import IdSource
from tests.support.provider_server.json_types import JsonObject

from .context import ModelView, count_tokens
from .replies import Reply

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_ECHOED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "previous_response_id",
    "prompt_cache_key",
    "reasoning",
    "safety_identifier",
    "text",
    "user",
)
_ECHO_DEFAULTS: JsonObject = {
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


def as_json(model: BaseModel) -> JsonObject:
    """Return a model of the SDK as the JSON object the API would send."""
    return _OBJECT.validate_python(model.model_dump(mode="json", by_alias=True, exclude_unset=True))


def build_output(reply: Reply, ids: IdSource, *, is_sealed: bool) -> list[ResponseOutputItem]:
    """Return a reply's output items, complete, in the order compaction, reasoning, message, tool calls.

    Args:
        reply: What the model says.
        ids: Where item and call ids come from.
        is_sealed: Whether reasoning carries its encrypted content.
    """
    items: list[ResponseOutputItem] = []
    if reply.is_compacted:
        items.append(ResponseCompactionItem(id=ids.issue("cmp"), type="compaction", encrypted_content=_sealed_text()))
    if reply.reasoning is not None:
        sealed = _sealed_text() if is_sealed else None
        summary = [Summary(type="summary_text", text=reply.reasoning)] if reply.reasoning else []
        items.append(
            ResponseReasoningItem(id=ids.issue("rs"), type="reasoning", summary=summary, encrypted_content=sealed)
        )
    part = _message_part(reply)
    if part is not None:
        items.append(
            ResponseOutputMessage(
                id=ids.issue("msg"),
                type="message",
                role="assistant",
                status="incomplete" if reply.incomplete else "completed",
                content=[part],
            )
        )
    for call in reply.tool_calls:
        items.append(
            ResponseFunctionToolCall(
                id=ids.issue("fc"),
                call_id=call.call_id or ids.issue("call"),
                type="function_call",
                name=call.name,
                arguments=call.arguments_text,
                status="completed",
            )
        )
    return items


def _sealed_text() -> str:
    return f"gAAAA{secrets.token_urlsafe(48)}"


def _message_part(reply: Reply) -> ResponseOutputText | ResponseOutputRefusal | None:
    if reply.refusal is not None:
        return ResponseOutputRefusal(type="refusal", refusal=reply.refusal)
    if reply.message_text is not None:
        return ResponseOutputText(type="output_text", text=reply.message_text, annotations=[], logprobs=[])
    return None


def build_usage(view: ModelView, reply: Reply, *, cached_tokens: int) -> ResponseUsage:
    """Bill the whole context the model saw, stored history included.

    Args:
        view: What the model saw.
        reply: What it says.
        cached_tokens: How many of the input tokens came from the prompt cache.
    """
    reasoning = count_tokens(reply.reasoning or "")
    spoken = count_tokens(reply.message_text or reply.refusal or "")
    called = sum(count_tokens(call.name + call.arguments_text) for call in reply.tool_calls)
    output = reasoning + spoken + called
    return ResponseUsage(
        input_tokens=view.token_count,
        input_tokens_details=InputTokensDetails(
            cached_tokens=cached_tokens, cache_write_tokens=view.token_count - cached_tokens
        ),
        output_tokens=output,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=reasoning),
        total_tokens=view.token_count + output,
    )


def build_response(
    body: JsonObject,
    *,
    response_id: str,
    output: Sequence[ResponseOutputItem],
    usage: ResponseUsage,
    reply: Reply,
) -> Response:
    """Return the finished response to a request, echoing what the API echoes."""
    echoed = dict(_ECHO_DEFAULTS)
    echoed |= {key: body.get(key) for key in _ECHOED}
    echoed |= {key: body[key] for key in _ECHO_DEFAULTS if body.get(key) is not None}
    now = float(int(time.time()))
    return Response.model_validate(
        {
            **echoed,
            "id": response_id,
            "object": "response",
            "created_at": now,
            "completed_at": None if reply.incomplete else now,
            "status": "incomplete" if reply.incomplete else "completed",
            "error": None,
            "incomplete_details": IncompleteDetails(reason=reply.incomplete) if reply.incomplete else None,
            "model": body["model"],
            "output": list(output),
            "background": False,
            "service_tier": "default",
            "store": body.get("store") is not False,
            "usage": usage,
            "conversation": _conversation(body),
        }
    )


def _conversation(body: JsonObject) -> JsonObject | None:
    given = body.get("conversation")
    return {"id": given} if isinstance(given, str) else given if isinstance(given, dict) else None


def in_progress(response: Response) -> Response:
    """Return the response as it looks before its first output."""
    return response.model_copy(
        update={
            "status": "in_progress",
            "output": [],
            "usage": None,
            "completed_at": None,
            "incomplete_details": None,
        }
    )


def failed(response: Response, *, message: str) -> Response:
    """Return the response as it looks after a failure of the model."""
    error = ResponseError(code="server_error", message=message)
    return in_progress(response).model_copy(update={"status": "failed", "error": error})
