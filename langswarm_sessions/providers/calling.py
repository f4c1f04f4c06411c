"""Calling what users wrote: with the arguments it takes, async or not."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["accepted_arguments", "call", "takes"]

_NO_NAMES: frozenset[str] = frozenset()


def takes(function: Callable[..., Any], name: str) -> bool:
    """Whether a function has a parameter of that name."""
    return name in inspect.signature(function).parameters


def accepted_arguments(
    function: Callable[..., Any], values: Mapping[str, Any], *, by_name_only: frozenset[str] = _NO_NAMES
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments, out of `values`, that a function takes.

    Parameters are matched by name; required ones with names of their own get the values left over, in order.

    Args:
        function: What is to be called.
        values: What can be passed, in the documented order.
        by_name_only: Values that go only to a parameter of their name.

    Example:
        >>> accepted_arguments(lambda text: text, {"content": "hi", "role": "user"})
        ([], {'text': 'hi'})
    """
    parameters = inspect.signature(function).parameters
    kinds = {parameter.kind for parameter in parameters.values()}
    offered = {name: value for name, value in values.items() if name in parameters or name not in by_name_only}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        by_name = {name: value for name, value in offered.items() if name in by_name_only}
        return [value for name, value in offered.items() if name not in by_name], by_name
    left_over = {name: value for name, value in offered.items() if name not in parameters}
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    for name, parameter in parameters.items():
        is_required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if name in offered:
            value = offered[name]
        elif is_required and left_over:
            value = left_over.pop(next(iter(left_over)))
        else:
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(value)
        else:
            keywords[name] = value
    return positional, {**keywords, **(left_over if inspect.Parameter.VAR_KEYWORD in kinds else {})}


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
