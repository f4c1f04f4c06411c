"""Calling what users wrote: with the arguments it takes, async or not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["accepted_arguments", "call", "is_cancelled", "takes"]

_NO_NAMES: frozenset[str] = frozenset()


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters


def accepted_arguments(
    function: Callable[..., Any], values: Mapping[str, Any], *, by_name_only: frozenset[str] = _NO_NAMES
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments, out of `values`, that a function takes.

    Parameters are matched by name; required ones with names of their own get the values left over, in order, and what
    then is left goes to `**`, else to `*`. A parameter with a name of its own and a default keeps its default.

    Args:
        function: What is to be called.
        values: What can be passed, in the documented order.
        by_name_only: Values that go only to a parameter of their name.

    Example:
        >>> accepted_arguments(lambda text: text, {"content": "hi", "role": "user"})
        ([], {'text': 'hi'})
    """
    parameters = inspect.signature(function).parameters.values()
    kinds = {item.kind for item in parameters}
    named = [item for item in parameters if item.kind not in (item.VAR_POSITIONAL, item.VAR_KEYWORD)]
    taken, left = _shared_out(named, values, by_name_only)
    takes_more = inspect.Parameter.VAR_POSITIONAL in kinds
    positional: list[Any] = []
    for item in named:
        if item.name not in taken and item.default is item.empty:
            break  # there is nothing for it: the call will say so
        if item.kind is item.POSITIONAL_ONLY or (takes_more and item.kind is item.POSITIONAL_OR_KEYWORD):
            positional.append(taken.pop(item.name, item.default))
    if inspect.Parameter.VAR_KEYWORD in kinds:
        return positional, {**taken, **left}
    return [*positional, *left.values()] if takes_more else positional, taken


def _shared_out(
    named: Iterable[inspect.Parameter], values: Mapping[str, Any], by_name_only: frozenset[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return which parameter gets which value, and the values left over."""
    names = {item.name for item in named}
    left = {name: value for name, value in values.items() if name in names or name not in by_name_only}
    taken = {item.name: left.pop(item.name) for item in named if item.name in left}
    for item in named:
        if item.name not in taken and item.default is item.empty and left:
            taken[item.name] = left.pop(next(iter(left)))
    return taken, left


async def call(
    function: Callable[..., Any], values: Mapping[str, Any], *, by_name_only: frozenset[str] = _NO_NAMES
) -> Any:
    """Call a user's function with what it takes and return its result; a blocking one runs in a thread.

    Args:
        function: An async or plain function.
        values: What can be passed, in the documented order.
        by_name_only: Values that go only to a parameter of their name.
    """
    positional, keywords = accepted_arguments(function, values, by_name_only=by_name_only)
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        result = function(*positional, **keywords)
    else:
        result = await asyncio.to_thread(function, *positional, **keywords)
    return await result if inspect.isawaitable(result) else result


def is_cancelled() -> bool:
    """Whether a CancelledError that came out of a user's function is meant for us, not for something it waited for."""
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
