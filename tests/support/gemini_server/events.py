"""The streams of both APIs, built with the SDK's own response models, so that their shape is right by construction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.genai import interactions, types
from pydantic import BaseModel, TypeAdapter

from tests.support.provider_server.json_types import JsonObject

from .state import GeminiState, Turn
from .views import tokens

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_PIECE = 9

GatedEvent = tuple[JsonObject, bool]
"""What is sent, and whether a gate stands before it."""


def as_json(model: BaseModel) -> JsonObject:
    """Return a model of the SDK as the JSON object the API would send."""
    return _OBJECT.validate_python(model.model_dump(mode="json", by_alias=True, exclude_none=True))


def answer_steps(turn: Turn, state: GeminiState) -> list[JsonObject]:
    """Return the finished steps of a reply, in the order thought, text, calls."""
    reply, steps = turn.reply, list[JsonObject]()
    if reply.thought is not None or reply.tool_calls:
        summary: Any = [{"type": "text", "text": reply.thought}] if reply.thought else []
        steps.append({"type": "thought", "signature": state.sign(), "summary": summary})
    content: Any = [{"type": "text", "text": reply.message_text}] if reply.message_text else []
    if reply.image is not None:
        content.append({"type": "image", "data": reply.image, "mime_type": "image/png"})
    if content:
        steps.append({"type": "model_output", "content": content})
    for call in reply.tool_calls:
        arguments = dict(call.arguments or {})
        steps.append({"type": "function_call", "id": state.new_id("fc"), "name": call.name, "arguments": arguments})
    return steps


def interaction_events(turn: Turn, steps: list[JsonObject]) -> Iterator[GatedEvent]:
    """Yield the events of an interaction, the terminal one last."""
    yield _lifecycle("interaction.created", turn, status="in_progress"), False
    for index, step in enumerate(steps):
        yield from _step_events(turn, step, index)
    status = turn.reply.status or ("requires_action" if turn.reply.tool_calls else "completed")
    yield _lifecycle("interaction.completed", turn, status=status), False


def _lifecycle(kind: str, turn: Turn, *, status: str) -> JsonObject:
    partial: dict[str, Any] = {"id": turn.view.answer_id, "status": status, "model": turn.view.model}
    if status == "requires_continuation":
        partial["continuation_token"] = "more"
    if kind == "interaction.completed":
        made, thought = _made(turn)
        sent = turn.view.token_count
        partial["usage"] = {
            "total_input_tokens": sent,
            "total_output_tokens": made,
            "total_thought_tokens": thought,
            "total_cached_tokens": sent - tokens(turn.view.entries[-1][1]) if turn.view.entries else 0,
            "total_tokens": sent + made + thought,
        }
        return as_json(interactions.InteractionCompletedEvent.model_validate({"interaction": partial}))
    return as_json(interactions.InteractionCreatedEvent.model_validate({"interaction": partial}))


def _made(turn: Turn) -> tuple[int, int]:
    reply = turn.reply
    made = tokens(reply.message_text or "") + sum(tokens(call.name) for call in reply.tool_calls)
    return made, tokens(reply.thought) if reply.thought else 0


def _step_events(turn: Turn, step: JsonObject, index: int) -> Iterator[GatedEvent]:
    kind = step["type"]
    begun: dict[str, Any] = {"type": kind}
    if kind == "function_call":
        begun |= {"id": step["id"], "name": step["name"], "arguments": {}}
    yield as_json(interactions.StepStart.model_validate({"index": index, "step": begun})), False
    for delta, is_gated in _deltas(turn, step):
        yield as_json(interactions.StepDelta.model_validate({"index": index, "delta": delta})), is_gated
    yield as_json(interactions.StepStop.model_validate({"index": index})), False


def _deltas(turn: Turn, step: JsonObject) -> Iterator[tuple[dict[str, Any], bool]]:
    match step["type"]:
        case "thought":
            for word in (turn.reply.thought or "").split(" ") if turn.reply.thought else []:
                yield {"type": "thought_summary", "content": {"type": "text", "text": f"{word} "}}, False
            yield {"type": "thought_signature", "signature": step["signature"]}, False
        case "model_output":
            for piece in turn.reply.text_deltas:
                yield {"type": "text", "text": piece}, True
            if turn.reply.image is not None:
                yield {"type": "image", "data": turn.reply.image, "mime_type": "image/png"}, False
        case _:
            text = next(call.arguments_text for call in turn.reply.tool_calls if _is_call(call, step))
            for start in range(0, len(text), _PIECE):
                yield {"type": "arguments_delta", "arguments": text[start : start + _PIECE]}, False


def _is_call(call: Any, step: JsonObject) -> bool:
    return (call.name, dict(call.arguments or {})) == (step["name"], step["arguments"])


def content_chunks(turn: Turn, state: GeminiState) -> Iterator[GatedEvent]:
    """Yield the chunks of `:streamGenerateContent`; the last one says why the answer ended."""
    reply = turn.reply
    if reply.block is not None:
        feedback = {"block_reason": reply.block}
        yield _chunk(turn, [], prompt_feedback=feedback, usage_metadata={"prompt_token_count": 3}), False
        return
    if reply.thought:
        yield _chunk(turn, [{"text": reply.thought, "thought": True}]), False
    for piece in reply.text_deltas:
        yield _chunk(turn, [{"text": piece}]), True
    last: list[dict[str, Any]] = []
    if reply.image is not None:
        last.append({"inline_data": {"mime_type": "image/png", "data": reply.image}})
    for place, call in enumerate(reply.tool_calls):
        made: dict[str, Any] = {"name": call.name, "args": dict(call.arguments or {})}
        if state.has_call_ids:
            made["id"] = state.new_id("fc")
        last.append({"function_call": made, **({"thought_signature": state.sign()} if place == 0 else {})})
    if reply.thought and not reply.tool_calls:
        last.append({"text": "", "thought_signature": state.sign()})
    made_tokens, thought = _made(turn)
    sent = turn.view.token_count
    usage = {
        "prompt_token_count": sent,
        "candidates_token_count": made_tokens,
        "thoughts_token_count": thought,
        "cached_content_token_count": 1,
        "total_token_count": sent + made_tokens + thought,
    }
    yield _chunk(turn, last, finish_reason=reply.finish, usage_metadata=usage), False


def _chunk(turn: Turn, parts: list[dict[str, Any]], *, finish_reason: str | None = None, **fields: Any) -> JsonObject:
    raw: dict[str, Any] = {"response_id": turn.view.answer_id, "model_version": turn.view.model, **fields}
    if "prompt_feedback" not in fields:
        candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish_reason == "CONTINUATION":
            candidate["continuation_token"] = "bW9yZQ=="
        raw["candidates"] = [{**candidate, "finish_reason": finish_reason} if finish_reason else candidate]
    # From JSON, so that base64 is read as such.
    return as_json(types.GenerateContentResponse.model_validate_json(_encode(raw)))


def _encode(raw: dict[str, Any]) -> str:
    return TypeAdapter(dict[str, Any]).dump_json(raw).decode()
