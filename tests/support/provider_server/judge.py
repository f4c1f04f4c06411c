"""The SDKs' own request types as the judges of every request body: their schemas, made strict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pydantic_core import CoreSchema

Node = dict[str, Any]
"""One node of a core schema."""


def strict_schema(schema: object, tighten: Callable[[Node], object]) -> CoreSchema:
    """Copy a core schema and tighten every node of it.

    Read by pydantic as they stand the SDKs' types are too kind: unknown keys pass, and lazy iterables are never read.

    Args:
        schema: The schema.
        tighten: Given the copy of a node whose children are done; returns what stands in its place.
    """
    return cast(CoreSchema, _copied(schema, tighten))


def forbid_unknown_keys(node: Node) -> Node:
    """Refuse keys that a typed dict or a model has not, and read lazy iterables as lists."""
    match node.get("type"):
        case "typed-dict" | "model-fields" if node.get("extra_behavior") != "allow":
            node["extra_behavior"] = "forbid"
        case "generator":
            node["type"] = "list"
        case _:
            pass
    return node


def _copied(node: object, tighten: Callable[[Node], object]) -> object:
    if isinstance(node, dict):
        return tighten({key: _copied(value, tighten) for key, value in cast(Node, node).items()})
    if isinstance(node, list):
        return [_copied(value, tighten) for value in cast(list[object], node)]
    if isinstance(node, tuple):
        return tuple(_copied(value, tighten) for value in cast(tuple[object, ...], node))
    return node
