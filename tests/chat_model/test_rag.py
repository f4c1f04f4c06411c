"""The stock RAG chain and the same chain with one line changed, side by side, with many users and a kill."""

from __future__ import annotations

import difflib
import inspect
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.support.programs import ProgramRunner

EXAMPLE = Path(__file__).parents[2] / "examples" / "rag_killed.py"


def test_one_line_differs() -> None:
    example = runpy.run_path(str(EXAMPLE))
    stock, kept = (inspect.getsource(example[name]).splitlines()[1:] for name in ("stock", "kept"))
    changed = [line for line in difflib.ndiff(stock, kept) if line.startswith(("- ", "+ ")) and "manager" not in line]
    assert changed == ["-     llm = rule", '+     llm = SessionChatModel(provider="rule", model="rule")']


@pytest.mark.accept
def test_fifty_users_lose_nothing(run_program: ProgramRunner) -> None:
    table = run_program([sys.executable, str(EXAMPLE), "--users", "50"], seconds=300)
    counts = dict(re.findall(r"^(.+?) {2,}(\d+ +\d+)$", table, flags=re.MULTILINE))
    assert counts["turns taken"].split() == ["100", "100"]
    assert counts["turns lost"].split() == ["100", "0"]
    assert counts["words of other users"].split() == ["0", "0"]
    assert 0 < int(counts["answered before the kill"].split()[1]) < 100
