"""The import root: every public name, loaded when it is used and not before."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

import langswarm_sessions
from langswarm_sessions import interfaces

PUBLIC: list[str] = json.loads((Path(__file__).parent / "public_names.json").read_text(encoding="utf-8"))
HEAVY = ["alembic", "anthropic", "langchain_core", "openai", "opentelemetry.sdk", "rich", "sqlalchemy", "typer"]


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_the_public_names_are_those_we_promised() -> None:
    assert langswarm_sessions.__all__ == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_to_what_its_home_holds(name: str) -> None:
    found = getattr(langswarm_sessions, name)
    assert found.__name__.lstrip("_")
    if not name.startswith("I") or not hasattr(interfaces, name):
        assert found.__name__ == name
    assert inspect.getdoc(found)


def test_the_names_for_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(inspect.getsource(langswarm_sessions))
    imported = {
        alias.name: (node.module or "").removeprefix("langswarm_sessions.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("langswarm_sessions.")
        for alias in node.names
    }
    assert imported == langswarm_sessions._HOME_OF
    assert set(imported) == set(PUBLIC)


def test_all_names_are_listed_and_a_star_brings_them() -> None:
    assert set(PUBLIC) <= set(dir(langswarm_sessions))
    printed = run("from langswarm_sessions import *; print(sorted(set(dir())))")
    assert set(PUBLIC) <= set(ast.literal_eval(printed))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'langswarm_sessions' has no attribute 'Sesion'"):
        _ = langswarm_sessions.Sesion
    with pytest.raises(AttributeError, match=r"module 'langswarm_sessions.interfaces' has no attribute 'ISesion'"):
        _ = interfaces.ISesion


def test_importing_loads_nothing_of_ours_or_heavy() -> None:
    printed = run("import langswarm_sessions, sys; print(sorted(sys.modules))")
    loaded = ast.literal_eval(printed)
    assert [name for name in loaded if name.startswith("langswarm_sessions")] == ["langswarm_sessions"]
    assert not [name for name in loaded if name.startswith(tuple(HEAVY))]


@pytest.mark.parametrize("name", ["SessionMessage", "SessionManager", "create_session_manager", "ISession", "Session"])
def test_using_a_name_loads_nothing_heavy(name: str) -> None:
    printed = run(f"import sys; from langswarm_sessions import {name}; print(sorted(sys.modules))")
    assert not [module for module in ast.literal_eval(printed) if module.startswith(tuple(HEAVY))]


def test_the_interfaces_have_their_other_names() -> None:
    assert interfaces.ISessionStorage is interfaces.SessionStorage
    assert interfaces.IProviderSession is interfaces.ProviderSession
    assert interfaces.ISessionMiddleware is interfaces.SessionMiddleware
    assert interfaces.ISessionLifecycleHook is interfaces.SessionLifecycleHook
    assert interfaces.ISessionManager is langswarm_sessions.SessionManager
    assert interfaces.ISession is langswarm_sessions.Session
    assert all(hasattr(interfaces, name) for name in interfaces.__all__)


MODULES = sorted(
    ".".join(path.relative_to(Path(langswarm_sessions.__file__).parent.parent).with_suffix("").parts)
    for folder in ("", "interfaces", "messages", "records", "middleware", "strategies", "turns")
    for path in (Path(langswarm_sessions.__file__).parent / folder).glob("*.py")
    if path.name != "__init__.py"
)


@pytest.mark.parametrize("name", MODULES)
def test_every_module_lists_what_it_has(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, public) for public in module.__all__)
