"""The SDK's own request models as the judge of every request body, with unknown keys forbidden."""

from __future__ import annotations

from functools import cache
from typing import Any

from mistralai.client import models
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from tests.support.provider_server.json_types import JsonObject, objects, string
from tests.support.provider_server.judge import forbid_unknown_keys, strict_schema

from .refusals import ApiError

_MODELS: dict[str, Any] = {
    "agents": models.AgentsCompletionStreamRequest,
    "append": models.ConversationAppendStreamRequest,
    "chat": models.ChatCompletionStreamRequest,
    "restart": models.ConversationRestartStreamRequest,
    "start": models.ConversationStreamRequest,
}
_CHUNKS: dict[str, type[BaseModel]] = {
    "document_url": models.DocumentURLChunk,
    "file": models.FileChunk,
    "image_url": models.ImageURLChunk,
    "input_audio": models.AudioChunk,
    "text": models.TextChunk,
    "thinking": models.ThinkChunk,
}


def check_body(kind: str, raw: bytes, body: JsonObject) -> None:
    """Refuse a body that breaks the SDK's types, or names what must not be named together.

    Args:
        kind: Which request it is: agents, append, chat, restart or start.
        raw: The body as it came.
        body: The same body parsed.

    Raises:
        ApiError: 422.
    """
    try:
        _validator(kind).validate_json(raw)
    except ValidationError as error:
        told = [f"{'.'.join(map(str, one['loc']))}: {one['msg'][:160]}" for one in error.errors(include_input=False)]
        raise ApiError(422, "; ".join(told[:8])) from error
    if unknown := _unknown_keys([body.get("messages"), body.get("inputs")]):
        raise ApiError(422, f"{unknown[0]}: Extra inputs are not permitted", kind="extra_forbidden")
    if body.get("stream") is not True:
        raise ApiError(422, "stream: this server only streams")
    if kind == "start" and bool(body.get("model")) == bool(body.get("agent_id")):
        raise ApiError(422, "exactly one of model and agent_id")
    for tool in objects(body.get("tools")):
        function = tool.get("function")
        if string(tool, "type") == "function" and not isinstance(function, dict):
            raise ApiError(422, "a function tool needs its function")


def _unknown_keys(value: JsonValue) -> list[str]:
    """Return the keys of content chunks that their models have not: the SDK's open unions let them pass."""
    if isinstance(value, list):
        return [key for item in value for key in _unknown_keys(item)]
    if not isinstance(value, dict):
        return []
    known = _CHUNKS.get(string(value, "type"))
    unknown = sorted(set(value) - set(known.model_fields)) if known is not None else []
    return unknown + [key for item in value.values() for key in _unknown_keys(item)]


@cache
def _validator(kind: str) -> SchemaValidator:
    schema = strict_schema(TypeAdapter(_MODELS[kind]).core_schema, forbid_unknown_keys)
    return SchemaValidator(schema, _use_prebuilt=False)  # the models have validators of their own
