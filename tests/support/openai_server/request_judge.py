"""The SDK's own request types as the judge of every request body.

The SDK describes a request as TypedDicts. Read by pydantic as they stand they are too kind: unknown keys pass, and
each ``Iterable`` field is validated lazily, which inside a union means never. Both are put right in the core schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Literal

from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)
from openai.types.conversations import ConversationCreateParams
from openai.types.responses.response_create_params import (
    ResponseCreateParamsNonStreaming,
    ResponseCreateParamsStreaming,
)
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.judge import forbid_unknown_keys, strict_schema

Endpoint = Literal["responses", "chat", "conversations"]
"""What a body is posted to."""

_TYPES: dict[tuple[Endpoint, bool], Any] = {
    ("responses", True): ResponseCreateParamsStreaming,
    ("responses", False): ResponseCreateParamsNonStreaming,
    ("chat", True): CompletionCreateParamsStreaming,
    ("chat", False): CompletionCreateParamsNonStreaming,
    ("conversations", False): ConversationCreateParams,
}
_LONGEST_MESSAGE = 160
_Location = tuple[int | str, ...]


def find_type_errors(raw: bytes, body: JsonObject, endpoint: Endpoint = "responses") -> list[str]:
    """Return what the SDK's request types object to, most telling first; empty for a legal body.

    Args:
        raw: The body as it came over the wire, judged strictly (the text "1" is no number).
        body: The same body parsed, which tells the streaming type from the plain one.
        endpoint: What it is posted to.

    Example:
        >>> find_type_errors(b'{"model":"m","input":"x","tempo":1}', {"model": "m", "input": "x", "tempo": 1})
        ["tempo: Extra inputs are not permitted"]
    """
    try:
        _validator(endpoint, is_streaming=body.get("stream") is True).validate_json(raw, strict=True)
    except ValidationError as error:
        return _readable(error.errors(include_url=False, include_input=False))
    return []


@cache
def _validator(endpoint: Endpoint, *, is_streaming: bool) -> SchemaValidator:
    adapter: TypeAdapter[Any] = TypeAdapter(_TYPES[endpoint, is_streaming])
    return SchemaValidator(strict_schema(adapter.core_schema, forbid_unknown_keys))


def _readable(errors: Sequence[ErrorDetails]) -> list[str]:
    """Keep, of a union's many complaints, those of the member that was most likely meant."""
    complaints = _without_scalar_members(errors)
    fewest = _fewest_per_place(_without_other_types(complaints) or complaints)
    return list(dict.fromkeys(f"{_path(error['loc'])}: {error['msg'][:_LONGEST_MESSAGE]}" for error in fewest))


def _without_other_types(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    # A member whose own ``type`` literal differs was not meant: drop everything below that member.
    other = {error["loc"][:-1] for error in errors if len(error["loc"]) > 1 and error["loc"][-1] == "type"}
    return [error for error in errors if not any(error["loc"][: len(prefix)] == prefix for prefix in other)]


def _without_scalar_members(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    # In ``str | list`` the string member complains about every list: drop it when the list has complaints of its own.
    deeper = {error["loc"][: len(error["loc"]) - back] for error in errors for back in range(2, len(error["loc"]))}
    return [error for error in errors if error["loc"][-1] != "str" or error["loc"][:-1] not in deeper]


def _fewest_per_place(errors: Sequence[ErrorDetails]) -> list[ErrorDetails]:
    members: dict[_Location, list[ErrorDetails]] = {}
    for error in errors:
        members.setdefault(_member(error["loc"]), []).append(error)
    best: dict[_Location, list[ErrorDetails]] = {}
    for member, complaints in members.items():
        place = member[:-1]
        if place not in best or len(complaints) < len(best[place]):
            best[place] = complaints
    return [error for complaints in best.values() for error in complaints]


def _member(location: _Location) -> _Location:
    """Return the location down to the union member named behind the first list index."""
    for position, part in enumerate(location):
        if isinstance(part, int):
            return location[: position + 2]
    return (*location, "")


def _path(location: _Location) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.islower() and "[" not in part and part not in {"str", "int", "float", "bool"}:
            path += f".{part}" if path else part
    return path
