"""What makes a JSON schema one."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

from langswarm_sessions.errors import InvalidInputError

__all__ = ["check_schema"]

_LONGEST = 160
_OF_TYPE = re.compile(r"\.type(\[\d+\])?$")
_NO_TYPE = "there are the types array, boolean, integer, null, number, object and string"


def check_schema(schema: object, *, field: str) -> None:
    """Refuse what is no JSON schema: types there are not, properties that are no mapping, names that are no text.

    Keywords that JSON Schema does not know are left to the provider.

    Args:
        schema: The schema, as plain JSON.
        field: Its name, for the message.

    Raises:
        InvalidInputError: It is none by the metaschema of JSON Schema 2020-12; the message names the place.

    Example:
        >>> check_schema({"type": "object", "properties": {"zone": {"type": "string"}}}, field="parameters")
    """
    problem = _problem_of(json.dumps(schema))
    if problem is not None:
        place, what = problem
        raise InvalidInputError(f"{field}{place} is no JSON schema: {what}. Correct it.")


@lru_cache(maxsize=512)
def _problem_of(schema: str) -> tuple[str, str] | None:
    """Return where a schema is none, and why; kept, since most are told again with every turn."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import relevance

    draft: Any = Draft202012Validator
    errors = [error for error in draft(draft.META_SCHEMA).iter_errors(json.loads(schema)) if not _is_older(error)]
    if not errors:
        return None
    worst = max(errors, key=relevance)
    place: str = worst.json_path.removeprefix("$")
    return place, (_NO_TYPE if _OF_TYPE.search(place) else str(worst.message)[:_LONGEST])


def _is_older(error: Any) -> bool:
    """Whether this is the list of `items` that older drafts have."""
    return bool(error.json_path.endswith(".items")) and isinstance(error.instance, list)
