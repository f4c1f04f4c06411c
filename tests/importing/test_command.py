"""`langswarm-sessions import`, as its user has it."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, message_to_dict

from langswarm_sessions import create_session_manager
from langswarm_sessions.cli.importing import ImportRequest, import_conversations
from langswarm_sessions.cli.output import notes
from langswarm_sessions.importing import exports
from tests.cli.terminal import Terminal, run_cli
from tests.importing.held import plain_export
from tests.importing.written import CONVERSATION, digests, write_rows, write_table

SECRET = "what only the two of them know"
REQUEST = ImportRequest(
    source="chat.db",
    path=Path("new.db"),
    user="ada",
    table=None,
    session_id_field=None,
    prefix="",
    provider=None,
    model=None,
    dry_run=False,
    resume=False,
    strict=False,
    as_json=False,
)


def test_import_says_what_it_found_and_did() -> None:
    write_table("chat.db", {"rome": CONVERSATION, "oslo": [HumanMessage(SECRET)]})
    dry = run_cli("import", "chat.db", "--into", "new.db", "--dry-run")
    assert (dry.code, Path("new.db").exists()) == (0, False)
    assert "A dry run: nothing was stored in new.db." in dry.out
    done = run_cli("import", "sqlite:///chat.db", "--into", "new.db", "--user", "ada")
    assert done.code == 0
    assert "Found chat history table message_store" in done.err
    assert "2 sessions, 7 messages." in " ".join(done.err.split())
    assert done.out.splitlines() == [
        "sessions: 2 found = 2 imported + 0 extended + 0 already there + 0 skipped",
        "messages: 7 read = 7 stored + 0 already there + 0 refused",
    ]
    listed = json.loads(run_cli("list", "--db", "new.db", "--user", "ada", "--json").out)
    assert {session["session_id"]: session["message_count"] for session in listed} == {"rome": 6, "oslo": 1}
    again = json.loads(run_cli("import", "chat.db", "--into", "new.db", "--user", "ada", "--resume", "--json").out)
    assert (again["messages_read"], again["messages_already_there"], again["is_complete"]) == (7, 7, True)


def test_import_tells_what_it_refuses_with_its_row_and_without_what_was_said() -> None:
    write_rows("chat.db", [("a", json.dumps(message_to_dict(HumanMessage(SECRET)))), ("a", f"{SECRET} {{")])
    write_rows("chat.db", [("b", f"{SECRET} {{") for _ in range(30)])
    outcome = run_cli("import", "chat.db")
    assert outcome.code == 1
    assert "not imported: session 'a', row 2: it is not JSON" in outcome.out
    assert "messages: 32 read = 1 stored + 0 already there + 31 refused" in outcome.out
    assert "12 more; --json lists them" in outcome.out
    assert SECRET not in outcome.out + outcome.err
    assert len(json.loads(run_cli("import", "chat.db", "--json").out)["problems"]) == 32
    strict = run_cli("import", "chat.db", "--strict")
    assert (strict.code, "row 2: it is not JSON" in strict.error) == (1, True)


def test_import_of_nothing_known_says_what_is_there() -> None:
    assert "There is no file" in run_cli("import", "nothing.db").error
    write_table("chat.db", {"a": [HumanMessage("hi")]}, table_name="first")
    write_table("chat.db", {"a": [HumanMessage("hi")]}, table_name="second")
    assert "more than one source: first, second" in run_cli("import", "chat.db").error
    assert "has no table 'third'" in run_cli("import", "chat.db", "--table", "third").error
    assert run_cli("import", "chat.db", "--table", "second", "--prefix", "old-").code == 0
    assert json.loads(run_cli("list", "--json").out)[0]["session_id"] == "old-a"


class Screen(StringIO):
    """What takes itself for a terminal."""

    def isatty(self) -> bool:
        """Return that it is one."""
        return True


@pytest.fixture
def new_console() -> Iterator[None]:
    """A console asks when it is made what kind of terminal it is on."""
    notes.cache_clear()
    yield
    notes.cache_clear()


@pytest.mark.usefixtures("new_console")
def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert import_conversations(REQUEST) == 0
    shown = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    assert "sessions ━" in shown
    assert "messages ━" in shown


@pytest.mark.accept  # a whole process of its own; what it shows, the test before shows
def test_a_terminal_of_its_own_shows_a_bar_and_keeps_what_was_done() -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    with Terminal(["import", "chat.db"]) as terminal:
        terminal.see("sessions ━")
        terminal.see("messages ━")
        code, last = terminal.end()
    assert (code, "6 read = 6 stored" in last) == (0, True)


def test_nothing_is_written_to_the_file_of_another_program() -> None:
    write_table("chat.db", {"rome": CONVERSATION})
    before = digests()
    outcome = run_cli("import", "chat.db", "--into", "chat.db")
    assert (outcome.code, "tables of another program" in outcome.error) == (1, True)
    assert digests() == before


def test_import_takes_what_export_wrote() -> None:
    with create_session_manager("sqlite", storage_config={"db_path": "old.db"}, blocking=True) as manager:
        session = manager.create_session("ada", "mock", "mock-model", session_id="rome")
        session.send_message(SECRET)
    assert run_cli("export", "rome", "--db", "old.db", "--output", "rome.json").code == 0
    dry = run_cli("import", "rome.json", "--into", "new.db", "--dry-run")
    assert (dry.code, Path("new.db").exists()) == (0, False)
    assert "A dry run: nothing was stored in new.db." in dry.out
    done = run_cli("import", "rome.json", "--into", "new.db")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            "sessions: 1 found = 1 imported + 0 extended + 0 already there + 0 skipped",
            "messages: 2 read = 2 stored + 0 already there + 0 refused",
        ],
    )
    again = json.loads(run_cli("import", "rome.json", "--into", "new.db", "--json").out)
    assert (again["sessions_already_there"], again["messages_already_there"], again["is_complete"]) == (1, 2, True)
    assert run_cli("import", "rome.json", "--into", "new.db", "--prefix", "old-", "--user", "bob").code == 0
    listed = json.loads(run_cli("list", "--db", "new.db", "--json").out)
    assert {session["session_id"]: session["user_id"] for session in listed} == {"rome": "ada", "old-rome": "bob"}
    first, second = (run_cli("export", "rome", "--db", name).out for name in ("old.db", "new.db"))
    assert json.loads(first)["messages"] == json.loads(second)["messages"]


def test_an_export_that_is_none_is_named() -> None:
    Path("cut.json").write_text('{"format": "langswarm-sessions", "messages": [')
    Path("other.json").write_text(json.dumps({"messages": [SECRET]}))
    for name, message in (("cut.json", "is not whole JSON"), ("other.json", "format must be 'langswarm-sessions'")):
        outcome = run_cli("import", name, "--into", "new.db")
        assert (outcome.code, message in outcome.error) == (1, True)
        assert SECRET not in outcome.out + outcome.err
    refused = run_cli("import", "other.json", "--table", "t")
    assert (refused.code, "an export needs neither" in refused.error) == (1, True)


REFUSED_ALIKE: dict[str, tuple[list[str], str]] = {
    "another user's": (["--user", "bob"], "--prefix"),
    "a provider nobody knows": (["--provider", "nobody", "--model", "m"], "unknown provider 'nobody'"),
    "a prefix too long": (["--prefix", "p" * 256], "at most 255 characters"),
    "half of who answers": (["--provider", "mock"], "name both, or neither"),
}


@pytest.mark.parametrize("case", REFUSED_ALIKE)
def test_a_dry_run_refuses_what_the_run_refuses(case: str) -> None:
    options, message = REFUSED_ALIKE[case]
    Path("s.json").write_text(json.dumps(plain_export({"content": "hi"})))
    assert run_cli("import", "s.json", "--into", "new.db").code == 0
    before = digests()
    for dry in (["--dry-run"], []):
        outcome = run_cli("import", "s.json", "--into", "new.db", *options, *dry)
        assert (outcome.code, message in outcome.error, outcome.out) == (1, True, "")
    assert digests() == before


def test_a_dry_run_tells_a_session_that_was_deleted() -> None:
    Path("s.json").write_text(json.dumps(plain_export({"content": "hi"})))
    assert run_cli("import", "s.json", "--into", "new.db").code == 0
    again = run_cli("import", "s.json", "--into", "new.db", "--dry-run")
    assert (again.code, "1 already there" in again.out) == (0, True)
    with create_session_manager("sqlite", storage_config={"db_path": "new.db"}, blocking=True) as manager:
        manager.delete_session("s")
    for dry in (["--dry-run"], []):
        outcome = run_cli("import", "s.json", "--into", "new.db", *dry)
        assert (outcome.code, "it may be archived, deleted" in outcome.error) == (1, True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_export_is_known_in_the_encodings_that_shells_write(encoding: str) -> None:
    Path("s.json").write_text(json.dumps(plain_export({"content": "für dich"}), ensure_ascii=False), encoding=encoding)
    assert run_cli("import", "s.json", "--into", "new.db").code == 0
    assert "für dich" in run_cli("export", "s", "--db", "new.db").out


def test_an_export_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("s.json").write_text(json.dumps(plain_export({"content": "hi"})))
    calls: list[object] = []
    original = exports.read_export

    def counted(*arguments: Any) -> Any:
        calls.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(exports, "read_export", counted)
    for dry_run in (True, False, False):
        calls.clear()
        assert import_conversations(replace(REQUEST, source="s.json", prefix="old-", dry_run=dry_run)) == 0
        assert len(calls) == 1


TOLD_HERE: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"provider": "openai", "model": "gpt-5"}, "--provider and --model"),
    "a setting nobody knows": ({"provider_config": {"temprature": 1}}, "--provider and --model"),
    "a server elsewhere": ({"provider_config": {"base_url": "https://elsewhere.example"}}, "--provider and --model"),
    "a version to come": ({}, "Upgrade it"),
}


@pytest.mark.parametrize("case", TOLD_HERE)
def test_what_is_refused_leaves_no_database_and_is_told_in_the_words_of_the_command(
    case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    session, message = TOLD_HERE[case]
    data = plain_export({"content": "hi"}, **session)
    Path("s.json").write_text(json.dumps(data if session else {**data, "version": 99}))
    for dry in (["--dry-run"], []):
        outcome = run_cli("import", "s.json", "--into", "new.db", *dry)
        assert (outcome.code, message in outcome.error) == (1, True)
        assert "provider=" not in outcome.error
        assert "provider_config=" not in outcome.error
        assert [file.name for file in Path().iterdir()] == ["s.json"]


def test_a_taken_id_is_told_in_the_words_of_the_command() -> None:
    Path("s.json").write_text(json.dumps(plain_export({"content": "hi"})))
    assert run_cli("import", "s.json").code == 0
    outcome = run_cli("import", "s.json", "--user", "bob")
    assert (outcome.code, "--prefix" in outcome.error, "session_id=" in outcome.error) == (1, True, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "list.json holds a JSON list"),
        (f" \n[{json.dumps(plain_export({'content': SECRET}))}]", "list.json holds a JSON list"),
        (f"{json.dumps(plain_export())}\n{json.dumps(plain_export())}", "more than one JSON value"),
    ],
)
def test_json_that_is_no_export_is_told_so(text: str, message: str) -> None:
    Path("list.json").write_text(text)
    outcome = run_cli("import", "list.json", "--into", "new.db")
    assert (outcome.code, message in outcome.error, SECRET in outcome.error) == (1, True, False)
    assert not Path("new.db").exists()


@pytest.mark.usefixtures("new_console")
def test_an_export_that_was_stopped_tells_nothing_of_resuming(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("s.json").write_text(json.dumps(plain_export({"content": "hi"})))

    def stopped(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("langswarm_sessions.cli.importing.take_export", stopped)
    with pytest.raises(KeyboardInterrupt):
        import_conversations(replace(REQUEST, source="s.json"))
    told = capsys.readouterr().err
    assert "whole or not at all" in told
    assert "--resume" not in told
