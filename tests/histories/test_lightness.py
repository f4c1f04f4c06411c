"""Our packages beside frameworks: importing them, and starting the command line, loads none, and needs none."""

from __future__ import annotations

import json
import subprocess
import sys

CORE = ("langchain_core",)
FRAMEWORKS = ("agent_framework", "agents", "google.adk", "langchain", "langgraph", "pydantic_ai")
SDKS = ("anthropic", "cohere", "google.genai", "mistralai", "openai")
OURS = (
    "langswarm_sessions",
    "langswarm_sessions.testing.langchain",
    "langswarm_sessions_frameworks",
    "langswarm_sessions_langchain",
    "langswarm_sessions_langchain.testing",
    "langswarm_sessions_otel",
)
IMPORTING = f"import importlib; [importlib.import_module(name) for name in {OURS!r}]"
STARTING = """
import contextlib, io
from langswarm_sessions.cli import main
sys.argv = ["langswarm-sessions", "list", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
    main()
assert "Usage" in said.getvalue()
"""
LOADED = "import sys, json\n{program}\nprint(json.dumps(sorted(sys.modules)))"
LACKING = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if any(name == root or name.startswith(root + ".") for root in {lacking!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""
ALL_NAMES = f"""
import importlib, json
from langswarm_sessions import MissingDependencyError
told = {{}}
for module in map(importlib.import_module, {OURS!r}):
    for name in module.__all__ if hasattr(module, "__all__") else ():
        try:
            getattr(module, name)
        except MissingDependencyError as error:
            told[name] = str(error)
print(json.dumps(told))
"""


def ran(program: str) -> str:
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def frameworks_loaded_by(program: str) -> list[str]:
    loaded = json.loads(ran(LOADED.format(program=program)).splitlines()[-1])
    return [name for name in loaded if any(name == root or name.startswith(f"{root}.") for root in CORE + FRAMEWORKS)]


def test_importing_loads_no_framework() -> None:
    assert frameworks_loaded_by(IMPORTING) == []


def test_the_command_line_starts_without_them() -> None:
    assert frameworks_loaded_by(STARTING) == []


def test_the_probe_sees_what_is_loaded() -> None:
    assert "langchain_core.messages" in frameworks_loaded_by("from langswarm_sessions_langchain import from_langchain")


def test_where_all_of_them_are_missing_our_packages_are_imported_all_the_same() -> None:
    ran(LACKING.format(lacking=CORE + FRAMEWORKS + SDKS) + IMPORTING)


def test_where_they_are_missing_each_name_works_or_says_what_to_install() -> None:
    told = json.loads(ran(LACKING.format(lacking=FRAMEWORKS + SDKS) + ALL_NAMES))
    extras = {
        name: said.partition("pip install 'langswarm-sessions[")[2].partition("]'")[0] for name, said in told.items()
    }
    assert extras == {
        "AdkSessionService": "google-adk",
        "AgentsSession": "openai-agents",
        "SessionAgentMiddleware": "langchain",
        "SessionCheckpointSaver": "langgraph",
        "SessionConversationStore": "pydantic-ai",
        "SessionHistoryProvider": "agent-framework",
        "SessionMessages": "pydantic-ai",
    }
