"""What is loaded when, and what is said when LangChain is not there."""

from __future__ import annotations

import subprocess
import sys

WITHOUT = """
import sys
sys.modules["langchain"] = None
import langswarm_sessions_langchain
assert not [name for name in sys.modules if name.startswith(("langchain_core", "langgraph"))]
try:
    langswarm_sessions_langchain.SessionAgentMiddleware
except ImportError as error:
    print(type(error).__name__, error)
"""


def test_a_missing_langchain_names_the_extra() -> None:
    run = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False, timeout=60)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("MissingDependencyError")
    assert "langswarm-sessions[langchain]" in run.stdout
