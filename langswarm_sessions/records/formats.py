"""The form an answer is asked for in, brought into one shape. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import plain_mapping
from langswarm_sessions.records.schemas import check_schema

__all__ = ["ResponseFormat", "response_format_of"]

ResponseFormat = str | Mapping[str, Any] | type[Any]
"""`"json_object"`, `"text"`, a named JSON schema, one of the providers' own dicts, or a pydantic model's class."""

_PLAIN = frozenset({"text", "json_object"})
_SCHEMA_FIELDS = ("name", "description", "schema", "strict")
_FORMS = (
    "response_format must be a pydantic model class, {'name': ..., 'schema': {...}} (a JSON schema and its name; also "
    "within {'type': 'json_schema', 'json_schema': ...}), 'json_object' or 'text'."
)


def response_format_of(given: ResponseFormat | None) -> dict[str, Any] | None:
    """Return a response format in the form OpenAI's Chat Completions have it, as plain JSON; None when there is none.

    Args:
        given: What a caller passed.

    Raises:
        InvalidInputError: It is of another form, a schema lacks its name, or is none.

    Example:
        >>> response_format_of({"name": "city", "schema": {"type": "object"}})
        {'type': 'json_schema', 'json_schema': {'name': 'city', 'schema': {'type': 'object'}}}
    """
    if given is None:
        return None
    if isinstance(given, type):
        return _named({"name": _plain_name(given.__name__), "schema": _schema_of(given)})
    if isinstance(given, str):
        given = {"type": given}
    plain = plain_mapping(cast("object", given), field="response_format")
    kind = plain.get("type", "json_schema")
    if kind in _PLAIN and set(plain) == {"type"}:
        return {"type": kind}
    nested: object = plain.get("json_schema", plain)
    if kind != "json_schema" or not isinstance(nested, Mapping):
        raise InvalidInputError(_FORMS)
    return _named(cast("Mapping[str, Any]", nested))


def _named(told: Mapping[str, Any]) -> dict[str, Any]:
    fields = {name: told[name] for name in _SCHEMA_FIELDS if told.get(name) is not None}
    if not (isinstance(fields.get("name"), str) and fields["name"] and isinstance(fields.get("schema"), Mapping)):
        raise InvalidInputError(_FORMS)
    check_schema(fields["schema"], field="response_format: schema")
    return {"type": "json_schema", "json_schema": fields}


def _schema_of(model: type[Any]) -> dict[str, Any]:
    """Ask a class for its schema: pydantic is not imported for that."""
    make = getattr(model, "model_json_schema", None)
    if not callable(make):
        raise InvalidInputError(_FORMS)
    return plain_mapping(make(), field="response_format")


def _plain_name(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:64]
