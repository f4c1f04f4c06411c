"""Reading what other libraries keep: each format is read by what is found under its name, loaded when it is needed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from typing import cast

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.importing.source import Assembler

__all__ = ["ENTRY_POINT_GROUP", "assembler_of"]

ENTRY_POINT_GROUP = "langswarm_sessions.formats"
"""Entry points of this group are classes of Assembler, under their format's name."""


def assembler_of(name: str) -> Assembler:
    """Return what makes messages of rows of a format.

    Args:
        name: "langchain", "openai-agents", or what a package of yours registers.

    Raises:
        ConfigurationError: No installed package reads it.
    """
    return _class_of(name)()


@cache
def _class_of(name: str) -> Callable[[], Assembler]:
    """Return a format's class; asking what is installed takes long, and each conversation wants an assembler."""
    for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return cast("Callable[[], Assembler]", point.load())
    raise ConfigurationError(
        f"No installed package reads the format {name!r}. Install langswarm-sessions anew: "
        "pip install --force-reinstall langswarm-sessions."
    )
