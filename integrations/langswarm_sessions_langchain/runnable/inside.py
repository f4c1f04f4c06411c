"""The chat models that a Runnable is made of, as far as it can be looked into."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial
from types import CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, cast

from langchain_core.language_models import BaseChatModel

__all__ = ["chat_models_in"]

_FRAMEWORKS = ("langchain", "langgraph", "langswarm_sessions_langchain")
_PLAIN = (str, bytes, int, float, bool, complex, type(None), BaseException)
_MOST_VISITED = 5_000

_values = dict[object, object].values

_logger = logging.getLogger("langswarm_sessions.telemetry")


def chat_models_in(runnable: object) -> tuple[BaseChatModel, ...]:
    """Return the chat models that a Runnable is made of; none when there is too much in it to be looked through.

    Found are those in LangChain's own Runnables, in attributes and methods of the program's own objects, and those that
    its functions hold on to, refer to by a global name, or have as defaults. What other libraries hold stays unseen,
    and so does an object that raises something when it is looked at.

    Args:
        runnable: Any Runnable.
    """
    found: list[BaseChatModel] = []
    waiting, seen = [runnable], dict[int, object]()
    while waiting:
        item = waiting.pop()
        try:
            if isinstance(item, _PLAIN) or id(item) in seen:
                continue
            if len(seen) == _MOST_VISITED:
                return ()
            seen[id(item)] = item  # held: the id of what is gone may be given to another
            if isinstance(item, BaseChatModel):
                found.append(item)
            else:
                waiting.extend(_inside(item))
        except Exception as error:  # noqa: BLE001 - objects of the program's: no turn fails over what they raise
            _logger.debug("an object in a Runnable cannot be looked at for chat models: %s", type(error).__name__)
    return tuple(found)


def _inside(item: object) -> Iterable[object]:
    if isinstance(item, dict):  # also of a kind that fetches its values
        return list(_values(cast("dict[object, object]", item)))
    if isinstance(item, MappingProxyType):
        return list(cast("Mapping[object, object]", item).values())
    if isinstance(item, list | tuple | set | frozenset):
        return list(cast("Iterable[object]", item))
    if isinstance(item, MethodType):
        return [item.__self__, item.__func__]
    if isinstance(item, partial):
        whole = cast("partial[object]", item)
        return [whole.func, *whole.args, *whole.keywords.values()]
    if isinstance(item, FunctionType):
        return _in_function(item)
    kind = item if isinstance(item, type) else type(item)
    if _is_of_program(kind.__module__):
        return [*_attributes(item), *_members(kind)]
    return _attributes(item) if kind is not item and kind.__module__.startswith(_FRAMEWORKS) else ()


def _in_function(function: FunctionType) -> list[object]:
    held = [_content_of(cell) for cell in function.__closure__ or ()]
    held += [function.__defaults__, function.__kwdefaults__, getattr(function, "__wrapped__", None)]
    if _is_of_program(function.__module__):
        held += _named_in(function.__code__, function.__globals__)
    return held


def _named_in(code: CodeType, names: Mapping[str, object]) -> Iterator[object]:
    """Yield what code refers to by a global name, and by a name of a module that it refers to."""
    for name in code.co_names:
        value = names.get(name)
        if isinstance(value, ModuleType):
            yield from (vars(value).get(inner) for inner in code.co_names)
        else:
            yield value
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _named_in(constant, names)


def _attributes(item: object) -> list[object]:
    """Return what an object holds, without asking it: what is computed on access stays so."""
    if isinstance(item, type):
        return []
    return [*_held(item, "__dict__", {}).values(), _held(item, "__pydantic_private__", None)]


def _held(item: object, name: str, otherwise: Any) -> Any:
    try:
        return object.__getattribute__(item, name)
    except AttributeError:
        return otherwise


def _members(kind: type) -> Iterator[object]:
    """Yield what the program's own classes hold: their functions, properties and plain values."""
    for each in kind.__mro__:
        if _is_of_program(each.__module__):
            for member in vars(each).values():
                if isinstance(member, classmethod | staticmethod):
                    yield cast("classmethod[Any, Any, Any]", member).__func__
                else:
                    yield member.fget if isinstance(member, property) else member


def _package(module: str | None) -> str:
    return (module or "").partition(".")[0]


def _is_of_program(module: str | None) -> bool:
    return _is_own(_package(module))


@lru_cache(maxsize=512)
def _is_own(package: str) -> bool:
    """Whether a package is the program's own: none of Python's, and not installed."""
    if package.startswith((*_FRAMEWORKS, "langswarm_sessions")) or package in sys.stdlib_module_names or not package:
        return package == "__main__"
    module = sys.modules.get(package)
    places = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return not any(part in str(place) for place in places for part in ("site-packages", "dist-packages"))


def _content_of(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
