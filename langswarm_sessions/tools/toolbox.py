"""The tools of one send: those that can be run here, and those that are only offered."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from langswarm_sessions.errors import InvalidInputError
from langswarm_sessions.messages import ToolCall
from langswarm_sessions.providers.tools import function_tool
from langswarm_sessions.tools.foreign import InvokedTool, foreign_tool, is_foreign_tool
from langswarm_sessions.tools.functions import function_of_user
from langswarm_sessions.tools.offer import turn_options
from langswarm_sessions.tools.tool import Tool

__all__ = ["AnyTool", "Toolbox", "toolbox_of"]

AnyTool = Mapping[str, Any] | Callable[..., Any] | InvokedTool
"""A JSON function definition, a function (async or not), or a LangChain tool."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The tools of one send.

    Args:
        definitions: What the model is offered, in the order given.
        runnable: Those that can be run here, by name.
        offered: Names of those that somebody else runs.
    """

    definitions: tuple[Mapping[str, Any], ...] = field(repr=False)
    runnable: Mapping[str, Tool] = field(default_factory=dict[str, Tool])
    offered: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all tools, those that can be run here first."""
        return (*self.runnable, *sorted(self.offered))

    def leaves_open(self, call: ToolCall) -> bool:
        """Whether a call is one that only the caller can answer."""
        return call.name in self.offered


def toolbox_of(tools: object) -> Toolbox:
    """Return the tools of a send in one form.

    Raises:
        InvalidInputError: They are no list, one of them is no tool, or two have one name; the message tells the place.
    """
    if tools is None:
        return Toolbox(())
    if not isinstance(tools, list | tuple):
        raise InvalidInputError("tools must be a list of functions, LangChain tools or JSON function definitions.")
    entries = cast("Sequence[object]", tools)
    runnable: dict[str, Tool] = {}
    definitions: list[Any] = []
    for position, given in enumerate(entries):
        tool = _runnable(given, position)
        if tool is not None and runnable.setdefault(tool.name, tool) is not tool:
            raise _taken(tool.name, position)
        definitions.append(given if tool is None else tool.definition)
    plain = turn_options(definitions, None).tools
    return Toolbox(plain, runnable, _offered(plain, entries, runnable))


def _runnable(given: object, position: int) -> Tool | None:
    """Return what can be run; None for a JSON definition, which is checked with all the others."""
    if isinstance(given, Mapping):
        return None
    if is_foreign_tool(given):
        return foreign_tool(cast("InvokedTool", given), position=position)
    if inspect.isclass(given) or not callable(given):
        raise InvalidInputError(
            f"tools[{position}] must be a function, a LangChain tool or a JSON function definition (a dict with "
            "'name', 'description' and 'parameters')."
        )
    if inspect.isgeneratorfunction(given) or inspect.isasyncgenfunction(given):
        raise InvalidInputError(f"tools[{position}] yields; a tool returns its result at once.")
    return function_of_user(given, position=position)


def _offered(
    definitions: Sequence[Mapping[str, Any]], given: Sequence[object], runnable: Mapping[str, Tool]
) -> frozenset[str]:
    names: set[str] = set()
    for position, definition in enumerate(definitions):
        described = function_tool(definition) if isinstance(given[position], Mapping) else None
        if described is None:  # runnable, or run at the provider
            continue
        if described.name in names or described.name in runnable:
            raise _taken(described.name, position)
        names.add(described.name)
    return frozenset(names)


def _taken(name: str, position: int) -> InvalidInputError:
    return InvalidInputError(f"tools[{position}]: another tool is called {name!r}, too. Give each its own name.")
