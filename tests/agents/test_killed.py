"""The stock agent and the same one with one line changed: killed in the middle, started again, compared."""

from __future__ import annotations

import difflib
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.support.programs import ProgramRunner

EXAMPLE = Path(__file__).parents[2] / "examples" / "agent_killed.py"
KEPT = "with a session"


def compared(run: ProgramRunner, users: int, *agents: str) -> dict[str, list[int]]:
    """Return what the example counts, by what is counted: a number for each agent."""
    only = [argument for agent in agents for argument in ("--only", agent)]
    table = run([sys.executable, str(EXAMPLE), "--users", str(users), *only], seconds=300)
    lines = re.findall(r"^(\w.*?) {2,}((?:\d+ *)+)$", table, flags=re.MULTILINE)
    return {name: [int(count) for count in counts.split()] for name, counts in lines}


def check_kept(counts: dict[str, int], users: int) -> None:
    """Check what an agent with a session has. Only a tool whose result was not stored yet may have run again."""
    assert counts["messages lost"] == 0
    assert counts["messages doubled"] == 0
    assert counts["users the agent knows"] == users
    assert counts["tool runs too many"] < users


def test_one_line_differs() -> None:
    example = runpy.run_path(str(EXAMPLE))
    stock, kept = (inspect.getsource(example[name]).splitlines()[1:] for name in ("stock_agent", "kept_agent"))
    changed = [line for line in difflib.ndiff(stock, kept) if line.startswith(("- ", "+ "))]
    assert changed == ["-         checkpointer=InMemorySaver(),", "+         middleware=[SessionAgentMiddleware()],"]


def test_an_agent_with_a_session_loses_and_repeats_nothing(run_program: ProgramRunner) -> None:
    counts = compared(run_program, 5, KEPT)
    check_kept({name: found for name, [found] in counts.items()}, 5)


@pytest.mark.accept
def test_fifty_users_at_once_side_by_side(run_program: ProgramRunner) -> None:
    counts = compared(run_program, 50, "stock", KEPT)
    check_kept({name: kept for name, [_, kept] in counts.items()}, 50)
    stock = {name: found for name, [found, _] in counts.items()}
    assert stock["messages lost"] > 0
    assert stock["users the agent knows"] == 0
    assert stock["tool runs too many"] > counts["tool runs too many"][1]
