"""The demo runs, and what it claims is in the database."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from langswarm_sessions_otel import read_span_file
from tests.cli.terminal import CTRL_C, CTRL_D, Terminal, run_cli
from tests.support.programs import ProgramRunner

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 120
BARE = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}  # nothing that would find the program for the user


def _rows(query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect("kept/conversation.db")) as connection:
        return connection.execute(query).fetchall()


def test_the_demo_holds_what_it_claims() -> None:
    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "--keep", "kept"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "COLUMNS": "100"},
        timeout=SECONDS,
        check=False,
    )
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert not demo.stderr
    assert "\x1b" not in demo.stdout
    assert demo.stdout.count("✓ ") >= 7
    assert "Nothing lost, nothing doubled." in demo.stdout
    killed = re.search(r"first process · pid (\d+)", demo.stdout)
    assert killed is not None
    assert f"kill -9 {killed[1]}:" in demo.stdout

    # The conversation: three questions, three answers, in order, each once.
    said = _rows("SELECT role, content FROM messages WHERE role != 'system' ORDER BY seq")
    assert [role for role, _ in said] == ["user", "assistant"] * 3
    assert len({content for _, content in said}) == 6
    assert "Ada" in str(said[-1][1])

    # The turns: three of them, the one that was cut off rerun in its place.
    turns = _rows("SELECT turn_index, state, idempotency_key FROM turns ORDER BY turn_index")
    assert turns == [(number, "completed", f"question-{number}") for number in (1, 2, 3)]

    # The spans: turn 2 ended once, in the second process; what the first one began never did.
    ended = [span.attributes.get("langswarm.session.turn.index") for span in read_span_file("kept/spans.jsonl")]
    assert [index for index in ended if index is not None] == [1, 2, 3]
    assert "a span that never ended" in demo.stdout

    # The command line goes on with it, by the line that the demo ends with.
    _, _, command = demo.stdout.rstrip().rpartition("\nGo on with it: ")
    talk = subprocess.run(
        command,
        shell=True,
        input="Thank you.\n",
        capture_output=True,
        text=True,
        env=BARE,
        timeout=SECONDS,
        check=False,
    )
    assert talk.stdout == "Mock response to: Thank you.\n", command + talk.stderr


def test_the_conversation_runs_over_the_real_sdk(run_program: ProgramRunner) -> None:
    program = [sys.executable, str(EXAMPLES / "demo_conversation.py"), "real.db"]
    said = run_program([*program, "--provider", "openai", "--model", "gpt-5.4"], seconds=SECONDS)
    assert said.count("you    ") == said.count("model  ") == 3
    assert "Traceback" not in said
    [session] = json.loads(run_cli("list", "--json", "--db", "real.db").out)
    assert (session["provider"], session["message_count"]) == ("openai", 7)


def _hint(**env: str) -> str:
    """Return the line that a demo whose conversation is not kept ends with."""
    program = "from demo_pages import Console, Stage; Stage(Console()).close(kept=None)"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(EXAMPLES), "MAKELEVEL": "", **env},
        check=True,
    )
    return ended.stdout.strip()


def test_the_hint_to_keep_the_conversation_can_be_followed() -> None:
    assert _hint(MAKELEVEL="1").endswith(': make demo DEMO_ARGS="--keep FOLDER"')
    _, _, command = _hint().partition(": ")
    assert command.endswith("demo.py --keep FOLDER")
    Path("FOLDER").mkdir()
    Path("FOLDER/conversation.db").write_text("mine")
    followed = subprocess.run(command, shell=True, capture_output=True, text=True, env=BARE, check=False)
    assert "FOLDER/conversation.db is there already" in followed.stdout.replace("\n", "")


def test_ctrl_c_ends_the_demo_with_one_line() -> None:
    with Terminal(["--keep", "kept"], program=[sys.executable, str(EXAMPLES / "demo.py")]) as terminal:
        [pid] = re.findall(r"pid (\d+)", terminal.see(" · pid ") + terminal.see(" "))
        terminal.see("model ")
        terminal.press(CTRL_C)
        code, shown = terminal.end()
    assert code == 130
    assert "Traceback" not in shown
    assert shown.count("Interrupted") == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_leaving_the_offer_is_no_error() -> None:
    program = [sys.executable, str(EXAMPLES / "demo.py")]
    for key in (CTRL_C, CTRL_D):
        with Terminal([], program=program, env={"OPENAI_API_KEY": "no-key"}) as terminal:
            terminal.see("press Enter for the mock provider")
            terminal.press(key)
            code, shown = terminal.end()
        assert code == 130
        assert "Traceback" not in shown


def test_the_demo_offers_the_real_provider_to_somebody_with_a_key() -> None:
    program = [sys.executable, str(EXAMPLES / "demo.py")]
    with Terminal([], program=program, env={"OPENAI_API_KEY": "no-key"}) as terminal:
        terminal.see("OPENAI_API_KEY is set")
        terminal.see("press Enter for the mock provider")
        terminal.enter("")
        terminal.see("mock / mock-model (no key, no network)")


def test_the_demo_replaces_no_database() -> None:
    Path("kept").mkdir()
    Path("kept/conversation.db").write_text("mine")
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--keep", "kept"]
    demo = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert demo.returncode == 1
    assert "is there already" in demo.stdout
    assert Path("kept/conversation.db").read_text() == "mine"
