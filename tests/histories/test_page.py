"""What the docs tell of histories: the checks there are, and how ours does."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from langswarm_sessions.testing.langchain import HISTORY_CHECKS, CheckResult, HistoryReport, Verdict
from tests.histories.known import KNOWN
from tests.histories.page import PAGE, columns, page_with, section, written

OURS = [name for name in KNOWN if name.startswith("Session")]
ROOT = Path(__file__).parents[2]


def test_the_page_tells_of_each_check_and_its_reason() -> None:
    rows = [
        f"| {entry.group} | `{entry.name}` | {inspect.getdoc(entry.run)} | {entry.reason} |" for entry in HISTORY_CHECKS
    ]
    assert "\n".join(rows) in PAGE.read_text(encoding="utf-8")


def test_the_table_has_each_history_and_each_check() -> None:
    table = columns()
    assert list(table) == list(KNOWN)
    for name, signs in table.items():
        assert list(signs) == [entry.name for entry in HISTORY_CHECKS], name
        assert {*signs.values()} <= {"✓", "✗ broken", "–"}, name


def test_ours_hold_as_the_contract_demands() -> None:
    """Whether they do is shown by the contract's own tests of the same histories."""
    table = columns()
    assert {name: [check for check, sign in table[name].items() if sign != "✓"] for name in OURS} == {
        "SessionChatMessageHistory, SQLite": [],
        "SessionChatMessageHistory, memory": ["processes"],
    }


def test_what_is_broken_is_told_below_the_table() -> None:
    told = section()
    for name, signs in columns().items():
        broken = [check for check, sign in signs.items() if sign == "✗ broken"]
        _, found, rest = told.partition(f"**{name}**\n\n")
        assert bool(found) == bool(broken), name
        lines = rest.partition("\n\n")[0].splitlines()
        assert [line.split("`")[1] for line in lines if line.startswith("- ")][: len(broken)] == broken


def test_writing_changes_the_section_alone() -> None:
    result = CheckResult(check="nul", group="g", about="a", reason="r", verdict=Verdict.BROKEN, detail="gone")
    page = page_with(written([HistoryReport(name="somebody", results=(result,))]))
    assert "- `nul`: gone" in page
    before, after = PAGE.read_text(encoding="utf-8").split(section())
    assert page.startswith(before.rstrip())
    assert page.endswith(after.lstrip())


@pytest.mark.accept
def test_the_well_known_histories_run() -> None:
    """All of them, for real; ours have nothing broken."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.histories"],
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    for name in KNOWN:
        assert f"{name}: " in ran.stderr
