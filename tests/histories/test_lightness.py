"""Importing our packages, and starting the command line, loads no framework."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FRAMEWORKS = (
    "agent_framework",
    "agents",
    "google.adk",
    "langchain",
    "langchain_core",
    "langgraph",
    "pydantic_ai",
)
IMPORTING = "import {module}"
STARTING = """
import contextlib, io
from langswarm_sessions.cli import main
sys.argv = {arguments!r}
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
ASIDE = "import sys, json\n{program}\nprint(json.dumps(sorted(sys.modules)))"


def frameworks_loaded_by(program: str) -> list[str]:
    command = [sys.executable, "-c", ASIDE.format(program=program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    loaded = json.loads(done.stdout.splitlines()[-1])
    return [name for name in loaded if any(name == root or name.startswith(f"{root}.") for root in FRAMEWORKS)]


@pytest.mark.parametrize(
    "module",
    [
        "langswarm_sessions",
        "langswarm_sessions.testing.langchain",
        "langswarm_sessions_frameworks",
        "langswarm_sessions_langchain",
        "langswarm_sessions_langchain.testing",
        "langswarm_sessions_otel",
    ],
)
def test_importing_loads_no_framework(module: str) -> None:
    assert frameworks_loaded_by(IMPORTING.format(module=module)) == []


@pytest.mark.parametrize("arguments", [["--help"], ["list", "--help"]])
def test_the_command_line_starts_without_them(arguments: list[str]) -> None:
    assert frameworks_loaded_by(STARTING.format(arguments=["langswarm-sessions", *arguments])) == []


def test_the_probe_sees_what_is_loaded() -> None:
    assert "langchain_core" in frameworks_loaded_by("import langchain_core")
    assert "langchain_core.messages" in frameworks_loaded_by("from langswarm_sessions_langchain import from_langchain")
