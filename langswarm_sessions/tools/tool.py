"""A tool that can be run here."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.tools.context import ToolContext

__all__ = ["Tool", "checked_name"]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tool(ABC):
    """What a model may call and this process can run.

    Attributes:
        name: The tool's name.
        description: When and how to use it.
        parameters: JSON schema of its arguments.
    """

    __slots__ = ()

    name: str
    description: str | None
    parameters: Mapping[str, Any]

    @property
    def definition(self) -> dict[str, Any]:
        """The JSON function definition a model is given."""
        told = {} if self.description is None else {"description": self.description}
        return {"name": self.name, **told, "parameters": dict(self.parameters)}

    @abstractmethod
    def checked(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments a model gave as the tool takes them.

        Raises:
            InvalidInputError: They do not fit the schema; the message is for the model.
        """

    @abstractmethod
    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> object:
        """Run the tool and return what it returned; its errors are the caller's to tell."""


def checked_name(name: object, *, where: str) -> str:
    """Return a name that every provider takes.

    Raises:
        InvalidInputError: It is none.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidInputError(
            f"{where}: a tool's name must have 1 to 64 letters (a-z), digits, '_' or '-'; it is {name!r}. "
            "Pass a function made with def, or rename it."
        )
    return name
