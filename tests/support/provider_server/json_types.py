"""JSON values as the wire carries them, and the few ways the server reads them."""

from __future__ import annotations

import json
from typing import TypeAlias

from pydantic import JsonValue, TypeAdapter, ValidationError

JsonObject: TypeAlias = dict[str, JsonValue]
"""One JSON object, such as a request body or an input item."""

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


def parse_object(raw: bytes) -> JsonObject | None:
    """Return the JSON object in ``raw``, or None when it holds anything else."""
    try:
        return _OBJECT.validate_json(raw)
    except ValidationError:
        return None


def encode(value: JsonValue) -> bytes:
    """Return ``value`` as compact UTF-8 JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def string(container: JsonObject, key: str) -> str:
    """Return the string at ``key``, or an empty one when there is none."""
    value = container.get(key)
    return value if isinstance(value, str) else ""


def objects(value: JsonValue) -> list[JsonObject]:
    """Return the objects of a JSON list, and nothing for any other value."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
