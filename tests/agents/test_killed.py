"""The stock agent and the same one with one line changed: killed in the middle, started again, compared."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent_killed.py"


def program() -> Any:
    """Return the example as a module."""
    spec = importlib.util.spec_from_file_location("agent_killed", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_kept(counts: dict[str, int], users: int) -> None:
    """Check what an agent with a session has. Only a tool whose result was not stored yet may have run again."""
    assert counts["messages lost"] == 0
    assert counts["messages doubled"] == 0
    assert counts["users the agent knows"] == users
    assert counts["tool runs too many"] < users


def test_an_agent_with_a_session_loses_and_repeats_nothing() -> None:
    check_kept(program().compare("with a session", 5), 5)


@pytest.mark.accept
def test_fifty_users_at_once_side_by_side() -> None:
    kept, stock = program().compare("with a session", 50), program().compare("stock", 50)
    check_kept(kept, 50)
    assert stock["messages lost"] > 0
    assert stock["users the agent knows"] == 0
    assert stock["tool runs too many"] > kept["tool runs too many"]
