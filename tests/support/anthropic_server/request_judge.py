"""The SDK's own request types as the judge of every request body.

Read by pydantic as they stand they are too kind: unknown keys pass, and each ``Iterable`` field is validated lazily,
which inside a union means never. Both are put right in the core schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from anthropic.types.beta.message_create_params import MessageCreateParamsStreaming as BetaParams
from anthropic.types.message_create_params import MessageCreateParamsStreaming
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from tests.support.provider_server.json_types import JsonObject
from tests.support.provider_server.judge import Node, forbid_unknown_keys, strict_schema

_UNTYPED = frozenset({"temperature", "top_k", "top_p"})
"""What the API has and the SDK's types have not."""

_MOST = 4


def find_type_errors(body: JsonObject, *, is_beta: bool) -> list[str]:
    """Return what the SDK's request types object to, the most telling first; empty for a legal body.

    Args:
        body: The parsed body, judged strictly (the text "1" is no number).
        is_beta: Whether it came to the beta endpoint.

    Example:
        >>> find_type_errors({"model": "m", "max_tokens": 1, "messages": [], "stream": True, "n": 1}, is_beta=False)
        ['n: Extra inputs are not permitted']
    """
    typed = {name: value for name, value in body.items() if name not in _UNTYPED}
    try:
        _validator(is_beta).validate_python(typed, strict=True)
    except ValidationError as error:
        return _readable(error.errors(include_url=False, include_input=False))
    return []


@cache
def _validator(is_beta: bool) -> SchemaValidator:
    adapter: TypeAdapter[Any] = TypeAdapter(BetaParams if is_beta else MessageCreateParamsStreaming)
    return SchemaValidator(strict_schema(adapter.core_schema, _tightened))


def _tightened(node: Node) -> Node:
    if node.get("type") == "model":  # the SDK takes its own answers too, but none of them goes over the wire
        return {"type": "is-instance", **{name: node[name] for name in ("cls", "ref") if name in node}}
    return forbid_unknown_keys(node)


def _readable(errors: Sequence[ErrorDetails]) -> list[str]:
    """Keep, of a union's many complaints, those of the members whose ``type`` was the one that was meant."""
    other = {error["loc"][:-1] for error in errors if error["loc"][-1] == "type"}
    meant = [error for error in errors if not any(error["loc"][: len(prefix)] == prefix for prefix in other)]
    deepest = sorted(meant or errors, key=lambda error: -len(error["loc"]))
    return [f"{_path(error)}: {error['msg']}" for error in deepest[:_MOST]]


def _path(error: ErrorDetails) -> str:
    return ".".join(str(part) for part in error["loc"] if isinstance(part, int) or "[" not in part)
