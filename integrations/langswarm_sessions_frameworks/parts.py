"""What several formats treat alike: values JSON cannot hold, media that mean the same to all."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_jsonable_python

from langswarm_sessions.messages import Part
from langswarm_sessions.providers.media import is_foreign_file

__all__ = ["is_portable", "plain_values", "type_name"]


def plain_values(value: object) -> Any:
    """Return a value as JSON can hold it: of what has no such form the name of its type, as its repr may hold secrets.

    Args:
        value: Dicts, lists, models, dataclasses and whatever is in them.

    Example:
        >>> plain_values({"at": (1, float("nan")), "by": object()})
        {'at': [1, None], 'by': '<builtins.object>'}
    """
    return to_jsonable_python(value, bytes_mode="base64", inf_nan_mode="null", fallback=type_name)


def type_name(value: object) -> str:
    """Return the name of a value's type.

    Example:
        >>> type_name(1)
        '<builtins.int>'
    """
    kind = type(value)
    return f"<{kind.__module__}.{kind.__qualname__}>"


def is_portable(part: Part) -> bool:
    """Whether a medium means the same to everybody: as data or at an address, not by the id a provider gave it.

    Args:
        part: An image, a recording or a file.
    """
    has_content = bool(getattr(part, "url", None) or getattr(part, "data", None))
    return has_content and not is_foreign_file(part, provider=None)
