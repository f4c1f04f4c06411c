"""The stock RAG chain and the same chain with one line changed, side by side, with many users and a kill."""

from __future__ import annotations

import asyncio
import difflib
import inspect
import json
import re
import runpy
import signal
import sys
from pathlib import Path

import pytest

from langswarm_sessions import get_session_manager, set_session_manager
from tests.langchain.chains import told
from tests.support.programs import ProgramRunner

EXAMPLE = Path(__file__).parents[2] / "examples" / "rag_killed.py"


def test_one_line_differs() -> None:
    example = runpy.run_path(str(EXAMPLE))
    stock, kept = (inspect.getsource(example[name]).splitlines()[1:] for name in ("stock", "kept"))
    changed = [line for line in difflib.ndiff(stock, kept) if line.startswith(("- ", "+ ")) and "manager" not in line]
    assert changed == ["-     llm = rule", '+     llm = SessionChatModel(provider="rule", model="rule")']


async def test_who_is_killed_midway_loses_nothing(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = runpy.run_path(str(EXAMPLE))
    users = ["ada", "ben", "cleo"]
    plan = {user: list(example["QUESTIONS"]) for user in users}
    before, code = await asyncio.to_thread(example["run"], "kept", plan, own_folder, len(users) * 8)
    assert code == -signal.SIGKILL
    assert len(before) < len(users) * 2
    answered = {(entry["user"], entry["asked"]) for entry in before}
    left = {
        user: [asked for asked in plan[user] if (user, asked.format(user=user)) not in answered] + [example["LAST"]]
        for user in users
    }
    try:
        await example["serve"]("kept", left, None)  # in the same folder, by another process: this one
        manager = get_session_manager()
        for user in users:
            said = [(role, text) for role, text, status in await told(manager, user) if status == "completed"]
            asked = [question.format(user=user) for question in (*example["QUESTIONS"], example["LAST"])]
            assert [re.findall("Question: (.*)", text) for role, text in said if role == "user"] == [[a] for a in asked]
            assert [role for role, _ in said if role != "system"] == ["user", "assistant"] * len(asked)
        await manager.close()
    finally:
        set_session_manager(None)
    for line in capsys.readouterr().out.splitlines():
        told_user = json.loads(line)
        assert all(other not in told_user["answer"] for other in users if other != told_user["user"])


@pytest.mark.accept
def test_fifty_users_lose_nothing(run_program: ProgramRunner) -> None:
    table = run_program([sys.executable, str(EXAMPLE), "--users", "50"], seconds=300)
    counts = dict(re.findall(r"^(.+?) {2,}(\d+ +\d+)$", table, flags=re.MULTILINE))
    assert counts["turns taken"].split() == ["100", "100"]
    assert counts["turns lost"].split() == ["100", "0"]
    assert counts["words of other users"].split() == ["0", "0"]
    assert 0 < int(counts["answered before the kill"].split()[1]) < 100
