"""No repr of a dataclass shows what was said: reprs end up in logs, tracebacks and debuggers' windows."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from typing import Any

import pytest

import langswarm_sessions
import langswarm_sessions_langchain
import langswarm_sessions_otel

CANARY = "the canary sings at noon"

# What a field of such a type holds, the caller chose; a dataclass of ours is looked at by itself.
OPEN_TYPES = frozenset({"Any", "object", "BaseMessage", "Runnable", "RunnableConfig", "SessionInput"})
# Text that somebody said, told by the field's name.
SPOKEN = frozenset(
    {"arguments", "content", "data", "input", "instructions", "output", "preview", "raw", "said", "system", "text"}
)
# Open types all the same, yet never anything said.
HARMLESS = frozenset(
    {
        "FunctionTool.parameters",
        "MessageKeys.input",
        "MessageKeys.output",
        "ModelPrice.service_tiers",
        "Preset.storage_config",
        "Query.text",
        "TurnOptions.tools",
    }
)


def all_dataclasses() -> list[type[Any]]:
    """Return every dataclass of the three packages."""
    found: set[type[Any]] = set()
    for package in (langswarm_sessions, langswarm_sessions_langchain, langswarm_sessions_otel):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            # What Alembic and `python -m` run does its work when it is imported.
            if ".migrations" in module.name or module.name.endswith(".__main__"):
                continue
            members = vars(importlib.import_module(module.name)).values()
            found.update(
                member
                for member in members
                if isinstance(member, type)
                and dataclasses.is_dataclass(member)
                and member.__module__.startswith("langswarm_sessions")
            )
    return sorted(found, key=lambda kind: f"{kind.__module__}.{kind.__qualname__}")


class Canary:
    """Shows itself wherever it is shown."""

    def __repr__(self) -> str:
        return CANARY


def may_hold_content(kind: type[Any], field: dataclasses.Field[Any]) -> bool:
    """Tell whether something said may be in a field."""
    if f"{kind.__name__}.{field.name}" in HARMLESS:
        return False
    # What a callable takes and returns is not in the field.
    declared = set(re.findall(r"\w+", re.sub(r"(Callable|CallerThread|ref|Task|Future)\[.*\]", "", str(field.type))))
    return bool(declared & OPEN_TYPES) or ("str" in declared and field.name.lstrip("_") in SPOKEN)


@pytest.mark.parametrize("kind", all_dataclasses(), ids=lambda kind: kind.__qualname__)
def test_no_repr_shows_content(kind: type[Any]) -> None:
    value: Any = object.__new__(kind)
    shown: list[str] = []
    for field in dataclasses.fields(kind):
        spoken = may_hold_content(kind, field)
        object.__setattr__(value, field.name, Canary() if spoken else None)
        shown += [field.name] * (spoken and field.repr)
    assert CANARY not in repr(value), f"give these repr=False: {', '.join(shown)}"


def test_the_walk_finds_what_it_should() -> None:
    names = {kind.__name__ for kind in all_dataclasses()}
    assert {"SessionMessage", "ProviderRequest", "GivenInput", "BoundCall", "SpanRecord", "ChatRequest"} <= names
