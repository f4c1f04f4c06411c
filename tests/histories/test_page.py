"""What the docs tell of histories: the checks there are, and how ours does."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from langswarm_sessions.testing.langchain import HISTORY_CHECKS, CheckResult, HistoryReport, Verdict
from tests.docs.fences import find_fences
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


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says of the page's example and of one with faults, in a folder without any configuration."""
    folder = tmp_path_factory.mktemp("theirs")
    [example] = [fence.source for fence in find_fences(PAGE.read_text("utf-8")) if "class TestMine" in fence.source]
    (folder / "test_mine.py").write_text(example, encoding="utf-8")
    (folder / "test_faulty.py").write_text(BROKEN_IN_FOUR_WAYS, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", f"{WANTED} or {FAULTY}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False).stdout


def test_the_example_for_tests_runs_as_it_stands(told: str) -> None:
    assert f"4 failed, {len(HISTORY_CHECKS) - 5 - SLOW} passed" in told
    assert "FAILED test_mine.py" not in told


def test_a_failure_of_the_contract_tells_what_why_and_where(told: str) -> None:
    assert "nul: raised ValueError: no NUL here" in told
    assert "Why it matters: Tools read files; one NUL in a result must not lose the turn." in told
    assert "in add_messages" in told, "the traceback of the history"
    assert "losslessness.py" not in told, "no line of the kit's own"
    assert "processes: what it keeps cannot be reached from another process; name it in not_applicable" in told
    assert "blocks holds now: take it out of known_broken" in told
    assert "one_by_one: did not come to its end within 0.5 seconds" in told


WANTED, SLOW = "(TestMine and not ten_thousand and not cost)", 2
FAULTY = "(TestFaulty and (nul or processes or blocks or one_by_one))"
BROKEN_IN_FOUR_WAYS = """
import threading
import pytest_asyncio
from langchain_core.chat_history import InMemoryChatMessageHistory
from langswarm_sessions.testing.langchain import Face, HistoryContract, HistorySubject

class Mine(InMemoryChatMessageHistory):
    def add_messages(self, messages):
        if any("\\0" in str(message.content) for message in messages):
            raise ValueError("no NUL here")
        if str(messages[0].content) == "7":
            threading.Event().wait(5)
        super().add_messages(messages)

store = {}

class TestFaulty(HistoryContract):
    known_broken = {"blocks": "so I thought"}
    patience = 0.5

    @pytest_asyncio.fixture
    async def subject(self):
        opens = lambda session_id: store.setdefault(session_id, Mine())
        yield HistorySubject(open=opens, faces=frozenset({Face.BLOCKING}))
"""


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
