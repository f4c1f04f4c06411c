"""A langchain-core 2.x, without the classes deprecated today: one of our names goes with them, and says so."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import langswarm_sessions_langchain

FACES = Path(langswarm_sessions_langchain.__file__).parent
DEPENDS = {"history.py": {"BaseChatMessageHistory"}}
"""What of ours imports a class that will go, as it runs."""

GONE = """
import sys, types
{hide}
import langswarm_sessions_langchain as faces
from langswarm_sessions import MissingDependencyError
"""
NO_MODULE = 'sys.modules["langchain_core.chat_history"] = sys.modules["langchain_core.runnables.history"] = None'
NO_CLASS = """
for name in ("langchain_core.chat_history", "langchain_core.runnables.history"):
    sys.modules[name] = types.ModuleType(name)
"""
NAMES = """
for name in faces.__all__:
    try:
        getattr(faces, name)
    except MissingDependencyError as error:
        print(name, error, sep=": ")
"""
TURNS = """
from langswarm_sessions import create_session_manager
with create_session_manager(storage="memory", blocking=True) as manager:
    chain = faces.SessionRunnable(manager=manager, provider="mock", model="mock-model")
    for text in ("hi", "again"):
        print(chain.invoke(text, {"configurable": {"session_id": "s"}}).text)
    print(len(manager.get_session("s").get_messages()))
"""
KIT = """
import asyncio
from langswarm_sessions.testing.langchain import check_history

class Mine:
    def __init__(self, kept):
        self.kept = kept
    async def aadd_messages(self, messages):
        self.kept.extend(messages)
    async def aget_messages(self):
        return list(self.kept)

kept = {}
opens = lambda session_id: Mine(kept.setdefault(session_id, []))
print(asyncio.run(check_history(opens, only={"one_by_one", "tasks", "lists_are_copies"})).conforms)
"""


def ran(hide: str, program: str) -> list[str]:
    command = [sys.executable, "-W", "error", "-c", GONE.format(hide=hide) + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_one_name_goes_and_all_others_work() -> None:
    told, *turns = ran(NO_MODULE, NAMES + TURNS + KIT)
    assert told.startswith("SessionChatMessageHistory: SessionChatMessageHistory needs langchain-core 1.x")
    assert "SessionRunnable" in told
    assert turns == ["Mock response to: hi", "Mock response to: again", "4", "True"]


def test_it_says_the_same_where_the_module_stays_without_the_class() -> None:
    [told] = ran(NO_CLASS, NAMES.replace("faces.__all__", '["SessionRunnable", "SessionChatMessageHistory"]'))
    assert told.startswith("SessionChatMessageHistory: SessionChatMessageHistory needs langchain-core 1.x")


# ---------------------------------------------------------------- what depends on what will go


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """The names that a module imports from LangChain as it runs, not for the type checker alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or node.module is None or id(node) in for_types:
            continue
        if node.module.partition(".")[0] in ("langchain", "langchain_core", "langgraph"):
            yield from ((node.module, alias.name) for alias in node.names)


def deprecated(module: str, name: str) -> bool:
    """Whether LangChain says that this class or function will go."""
    value = getattr(import_module(module), name)
    return bool(getattr(value, "__deprecated__", None))


def test_one_module_imports_what_will_go() -> None:
    found: dict[str, set[str]] = {}
    seen = 0
    for path in FACES.rglob("*.py"):
        for module, name in imported(path):
            seen += 1
            if deprecated(module, name):
                found.setdefault(path.relative_to(FACES).as_posix(), set()).add(name)
    assert seen > 50
    assert found == DEPENDS


def test_nothing_else_of_ours_imports_that_module() -> None:
    """Nor what it imports would matter: only the root's list of names and the type checker know of it."""
    for path in FACES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "langswarm_sessions_langchain.history":
                assert path == FACES / "__init__.py"
