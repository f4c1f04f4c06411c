"""The SDK's own request types as the judge of every request body.

The SDK states a request as the arguments of `chat_stream`, with models that take anything: unknown keys are allowed,
and each enumeration has `Any` beside its words. Both are put right in the core schema.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, Required, cast, get_type_hints

from cohere.v2.raw_client import AsyncRawV2Client
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator
from typing_extensions import TypedDict

from tests.support.provider_server.judge import Node, strict_schema

_NO_FIELDS = frozenset({"request_options", "return"})
_REQUIRED = frozenset({"model", "messages"})
_LONGEST_MESSAGE = 160


def find_type_errors(raw: bytes) -> list[str]:
    """Return what the SDK's request types object to; empty for a legal body.

    Args:
        raw: The body as it came over the wire, judged strictly (the text "1" is no number).
    """
    try:
        _validator().validate_json(raw, strict=True)
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        return [f"{_path(one['loc'])}: {one['msg'][:_LONGEST_MESSAGE]}" for one in errors]
    return []


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location if isinstance(part, int) or part.isidentifier())


@cache
def _validator() -> SchemaValidator:
    hints = get_type_hints(AsyncRawV2Client.chat_stream, include_extras=True)
    arguments: dict[str, Any] = {
        name: Required[hint] if name in _REQUIRED else hint for name, hint in hints.items() if name not in _NO_FIELDS
    }
    arguments["stream"] = Required[Literal[True]]
    body: Any = cast("Any", TypedDict)("ChatBody", arguments, total=False)  # of fields known only now
    return SchemaValidator(strict_schema(TypeAdapter(body).core_schema, _tightened))


def _tightened(node: Node) -> object:
    """Allow nothing unknown, no way around an enumeration, no discriminator left out."""
    node.pop("serialization", None)
    match node.get("type"):
        case "typed-dict" | "model-fields":
            node["extra_behavior"] = "forbid"
        case "model":
            # A model as such would be judged by the SDK's own, kinder validator.
            return {**node["schema"], "ref": node["ref"]} if "ref" in node else node["schema"]
        case "union":
            node["choices"] = [one for one in node["choices"] if _kind(one) != "any"]
        case "default" if _kind(node["schema"]) == "literal":
            return node["schema"]
        case _:
            pass
    return node


def _kind(node: object) -> object:
    return cast("dict[str, object]", node).get("type") if isinstance(node, dict) else None
