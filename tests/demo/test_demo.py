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
TURN_INDEX = "langswarm.session.turn.index"
BARE = {"PATH": os.defpath, "LC_ALL": "C.UTF-8"}  # nothing that would find the program for the user


DEAD_END = "http://127.0.0.1:9"


def _rows(query: str, *, database: str = "conversation.db") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(f"kept/{database}")) as connection:
        return connection.execute(query).fetchall()


def test_the_demo_holds_what_it_claims() -> None:
    demo = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "--keep", "kept"],
        capture_output=True,
        text=True,
        encoding="utf-8",
        # Whatever left this machine would come to a dead end.
        env={**os.environ, "COLUMNS": "100", "HTTP_PROXY": DEAD_END, "HTTPS_PROXY": DEAD_END},
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
    spans = [span for span in read_span_file("kept/spans.jsonl") if TURN_INDEX in span.attributes]
    assert [span.attributes[TURN_INDEX] for span in spans if not span.open] == [1, 2, 3]
    assert [span.attributes[TURN_INDEX] for span in spans if span.open] == [2]
    assert "✗ never ended: its process was killed" in demo.stdout

    _second_act_holds_what_it_claims(demo.stdout)

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


def _second_act_holds_what_it_claims(shown: str) -> None:
    assert "ours, on loopback" in shown
    assert "no provider is called" in shown
    assert "One conversation, whoever answered it." in shown

    # The conversation: whoever answered it, each question and each answer is there once; it ends where it began.
    said = _rows("SELECT role, content FROM messages WHERE content != '' ORDER BY seq", database="providers.db")
    questions = [str(content) for role, content in said if role == "user"]
    answers = [str(content) for role, content in said if role == "assistant"]
    assert (len(questions), len(answers)) == (6, 6)
    assert [role for role, _ in said] == [*["user", "assistant"] * 6]
    assert _rows("SELECT provider, model FROM sessions", database="providers.db") == [("openai", "gpt-6.1-terra")]
    assert all("Ada" in answer and "Lisbon" in answer and "14.2 kg" in answer for answer in answers[2:])

    # The wire: who was sent what, which request was refused, and that the page says the same.
    sent = [json.loads(line) for line in Path("kept/providers-requests.jsonl").read_text().splitlines()]
    assert [(one["turn"], one["provider"], one["status"]) for one in sent] == [
        (1, "openai", 200),
        (2, "openai", 200),
        (3, "openai", 200),
        (4, "openai", 400),
        (4, "openai", 200),
        (5, "anthropic", 200),
        (6, "mistral", 200),
        (7, "openai", 200),
    ]
    _, _, _, lost, rebuilt, anthropic, mistral, back = [json.dumps(one["body"]) for one in sent]
    assert [name in lost for name in ("previous_response_id", questions[0], questions[2])] == [True, False, True]
    assert "previous_response_id" not in rebuilt + back
    assert all(rebuilt.count(question) == 1 for question in questions[:3])
    for number, body in enumerate((anthropic, mistral, back), start=4):
        assert all(body.count(question) == 1 for question in questions[:number])
        assert "scale 2: 14.2 kg" in body
    thought = "warmth matters most"
    assert [thought in body for body in (rebuilt, anthropic, mistral, back)] == [True, False, False, True]
    for one in sent:
        assert re.search(
            rf"^{one['turn']} +{one['provider']} .* {one['bytes']:,} +{one['status']}$", shown, re.MULTILINE
        )

    # The reports: text and tools cross, what OpenAI's model thought crosses back only.
    assert re.findall(r"^crosses as it is +(.*\S)", shown, re.MULTILINE) == [
        "6 text, 1 tool call, 1 tool result",
        "8 text, 1 tool call, 1 tool result",
        "10 text, 3 reasoning, 1 tool call, 1 tool result",
    ]
    assert len(re.findall(r"^cannot cross +3 reasoning", shown, re.MULTILINE)) == 2

    # The spans, and what subscribers heard.
    spans = read_span_file("kept/providers-spans.jsonl")
    assert [span.attributes[TURN_INDEX] for span in spans if TURN_INDEX in span.attributes] == [1, 2, 3, 4, 5, 6, 7]
    names = [span.name for span in spans]
    assert (names.count("langswarm.session.rebuild"), names.count("langswarm.session.handoff")) == (1, 3)
    assert re.search(r"├─ langswarm.session.rebuild .* not_found · 7 messages replayed", shown)
    assert "session_rebuilt × 1, session_handoff × 3" in shown


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


def test_the_hint_to_keep_the_conversation_can_be_followed_and_replaces_no_database() -> None:
    assert _hint(MAKELEVEL="1").endswith(': make demo DEMO_ARGS="--keep FOLDER"')
    _, _, command = _hint().partition(": ")
    assert command.endswith("demo.py --keep FOLDER")
    Path("FOLDER").mkdir()
    Path("FOLDER/conversation.db").write_text("mine")
    followed = subprocess.run(command, shell=True, capture_output=True, text=True, env=BARE, check=False)
    assert followed.returncode == 1
    assert "FOLDER/conversation.db is there already" in followed.stdout.replace("\n", "")
    assert Path("FOLDER/conversation.db").read_text() == "mine"


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


def _at_the_offer() -> Terminal:
    return Terminal([], program=[sys.executable, str(EXAMPLES / "demo.py")], env={"OPENAI_API_KEY": "no-key"})


def test_ctrl_c_at_the_offer_is_no_error() -> None:
    with _at_the_offer() as terminal:
        terminal.see("press Enter for the mock provider")
        terminal.interrupt_prompt("Interrupted: nothing goes on in the background.")
        code, rest = terminal.end()
    assert (code, rest.strip()) == (130, "")


@pytest.mark.accept
def test_ctrl_d_at_the_offer_is_no_error() -> None:
    with _at_the_offer() as terminal:
        terminal.see("press Enter for the mock provider")
        terminal.press(CTRL_D)
        shown = terminal.see("Interrupted: nothing goes on in the background.")
        code, rest = terminal.end()
    assert (code, rest.strip()) == (130, "")
    assert "Traceback" not in shown


def test_the_demo_offers_the_real_provider_to_somebody_with_a_key() -> None:
    with _at_the_offer() as terminal:
        terminal.see("OPENAI_API_KEY is set")
        terminal.see("press Enter for the mock provider")
        terminal.enter("")
        terminal.see("mock / mock-model (no key, no network)")
