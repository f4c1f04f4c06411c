"""Plain functions as tools."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from langswarm_sessions.tools.arguments import Arguments, arguments_of
from langswarm_sessions.tools.context import ToolContext
from langswarm_sessions.tools.threads import in_thread
from langswarm_sessions.tools.tool import Tool, checked_name

__all__ = ["FunctionOfUser", "function_of_user"]

_known: WeakKeyDictionary[object, dict[bool, Arguments]] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionOfUser(Tool):
    """A function a user wrote: async ones run on the event loop, others in a thread of their own."""

    name: str
    description: str | None = field(repr=False)
    parameters: Mapping[str, Any] = field(repr=False)
    function: Callable[..., Any] = field(repr=False)
    arguments: Arguments = field(repr=False)

    def checked(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments as the annotations say."""
        return self.arguments.validated(arguments)

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> object:
        """Call the function, with the context if it asks for it."""
        given = dict(arguments)
        if self.arguments.context_parameter is not None:
            given[self.arguments.context_parameter] = context
        first = [given.pop(name) for name in self.arguments.positional if name in given]
        call = partial(self.function, *first, **given)
        result = call() if _is_async(self.function) else await in_thread(call, name=f"tool {self.name}")
        return await result if inspect.isawaitable(result) else result


def function_of_user(function: Callable[..., Any], *, position: int) -> FunctionOfUser:
    """Return a function as a tool, with name, description and schema read off it.

    Args:
        function: What the user passed.
        position: Its place among the tools, for errors.

    Raises:
        InvalidInputError: It has no name a provider would take, or takes what a model cannot pass.
    """
    plain: object = getattr(function, "func", function)
    name: object = getattr(plain, "__name__", type(plain).__name__)
    where = f"tools[{position}]"
    name = checked_name(name, where=where)
    arguments = _arguments_of(function, where=f"{where} ({name})")
    return FunctionOfUser(
        name=name,
        description=arguments.description,
        parameters=arguments.schema,
        function=function,
        arguments=arguments,
    )


def _arguments_of(function: Callable[..., Any], *, where: str) -> Arguments:
    """Return what a function takes; of one that was used before, without building its schema again."""
    plain: Any = getattr(function, "__func__", function)  # a method is another object each time it is looked up
    try:
        known = _known.setdefault(plain, {})
    except TypeError:  # an object that takes no weak reference, or has no hash
        return arguments_of(function, where=where)
    is_bound = plain is not function
    if is_bound not in known:
        known[is_bound] = arguments_of(function, where=where)
    return known[is_bound]


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
