"""The SDK's own types as the judge of every request body, unknown keys forbidden."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.genai import types
from google.genai.interactions import CreateModelInteractionParam
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, SchemaValidator

from tests.support.provider_server.judge import forbid_unknown_keys, strict_schema


class ContentBody(BaseModel):
    """The body of `:streamGenerateContent`: the SDK has its parts as types, but not the whole."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)

    contents: list[types.Content]
    system_instruction: types.Content | None = None
    tools: list[types.Tool] | None = None
    tool_config: types.ToolConfig | None = None
    safety_settings: list[types.SafetySetting] | None = None
    generation_config: types.GenerationConfig | None = None
    service_tier: str | None = None
    store: bool | None = None


def find_type_errors(raw: bytes, *, is_interaction: bool) -> list[str]:
    """Return what the SDK's types object to; empty for a legal body."""
    try:
        if is_interaction:
            _interaction_validator().validate_json(b"[" + raw + b"]")
        else:
            ContentBody.model_validate_json(raw)
    except ValidationError as error:
        return [_readable(found) for found in error.errors(include_url=False, include_input=False)[:20]]
    return []


@cache
def _interaction_validator() -> SchemaValidator:
    # Within a list: that is where a typed dict takes its configuration from.
    adapter = TypeAdapter(list[CreateModelInteractionParam], config=ConfigDict(arbitrary_types_allowed=True))
    return SchemaValidator(strict_schema(adapter.core_schema, forbid_unknown_keys))


def _readable(error: ErrorDetails) -> str:
    place: Any = ".".join(str(step) for step in error["loc"])
    return f"{place}: {error['msg'][:160]}"
