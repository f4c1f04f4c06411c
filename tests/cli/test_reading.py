"""`list`, `show`, `export`: what the command line reads is what the library reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from langswarm_sessions import BlockingSessionManager
from tests.cli.terminal import run_cli


def test_export_is_what_the_library_exports(talked: str, library: BlockingSessionManager) -> None:
    outcome = run_cli("export", talked)
    exported, expected = json.loads(outcome.out), library.get_session(talked).export_conversation()
    for data in (exported, expected):
        assert data.pop("exported_at")
    assert exported == expected
    assert len(exported["messages"]) == 4


def test_export_writes_a_file_and_replaces_none(talked: str) -> None:
    target = Path("notes.json")
    assert run_cli("export", talked, "--output", str(target)).code == 0
    whole = target.read_text(encoding="utf-8")
    assert json.loads(whole)["session"]["session_id"] == talked
    assert "exists already" in run_cli("export", talked, "-o", str(target)).error
    assert target.read_text(encoding="utf-8") == whole
    assert run_cli("export", talked, "-o", str(target), "--force").code == 0
    assert "cannot be written" in run_cli("export", talked, "-o", "nowhere/notes.json").error
    assert sorted(path.name for path in Path().iterdir() if path.suffix == ".json" or "part" in path.name) == [
        "notes.json"
    ]


def test_list_says_what_there_is(talked: str, library: BlockingSessionManager) -> None:
    library.create_session("eve", "mock", "other-model", session_id="b").archive()
    library.create_session("eve", "mock", "other-model", session_id="c").delete()
    listed = json.loads(run_cli("list", "--json").out)
    assert [(session["session_id"], session["status"]) for session in listed] == [("b", "archived"), (talked, "active")]
    facts = listed[1]
    assert (facts["user_id"], facts["name"], facts["tags"], facts["message_count"]) == ("ada", "Notes", ["a", "b"], 4)
    assert [session["session_id"] for session in json.loads(run_cli("list", "--user", "ada", "--json").out)] == [talked]
    deleted = json.loads(run_cli("list", "--status", "deleted", "--json").out)
    assert [session["session_id"] for session in deleted] == ["c"]
    assert json.loads(run_cli("list", "--provider", "openai", "--json").out) == []
    wrong = run_cli("list", "--status", "gone")
    assert wrong.code == 2
    assert "active, archived, deleted" in wrong.err


def test_list_is_readable(talked: str, library: BlockingSessionManager) -> None:
    outcome = run_cli("list")
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["session", "name", "user", "provider", "/", "model", "messages", "last", "activity", "status"],
        f"{talked} Notes ada mock / mock-model 4 just now active".split(),
    ]
    library.create_session("ada", "mock", "mock-model", session_id="newer")
    limited = run_cli("list", "--limit", "1")
    assert "newer" in limited.out
    assert talked not in limited.out
    assert "--limit shows more" in limited.err


def test_an_id_is_whole_however_long_it_is(own_folder: Path, library: BlockingSessionManager) -> None:
    long = "thread:" + "0123456789" * 10
    library.create_session("ada", "mock", "mock-model", session_id=long)
    _, piped = run_cli("list", env={"COLUMNS": ""}).out.splitlines()
    assert piped.split() == f"{long} ada mock / mock-model 0 just now active".split()
    _, *narrow = run_cli("list", env={"COLUMNS": "80"}).out.splitlines()
    assert "".join(line.split()[0] for line in narrow) == long
    assert narrow[0].split()[1:] == piped.split()[1:]
    shown = run_cli("show", long, env={"COLUMNS": ""}).out.splitlines()
    assert shown[0].split() == ["session", long]


def test_show_is_the_transcript(talked: str) -> None:
    shown = run_cli("show", talked)
    assert shown.code == 0
    places = [shown.out.index(text) for text in ("first", "to: first", "second", "to: second")]
    assert places == sorted(places)
    for fact in ("ada", "mock / mock-model", "active", "4 (2 from the user, 2 answers)", "a, b"):
        assert fact in shown.out
    newest = run_cli("show", talked, "--limit", "1")
    assert "3 earlier messages" in newest.out
    assert "first" not in newest.out


def test_show_as_json(talked: str, library: BlockingSessionManager) -> None:
    shown = json.loads(run_cli("show", talked, "--json").out)
    expected = library.get_session(talked)
    assert shown["messages"] == expected.export_conversation()["messages"]
    assert shown["metrics"]["total_tokens"] == expected.get_metrics().total_tokens
    assert shown["session"]["session_id"] == talked
    assert len(json.loads(run_cli("show", talked, "--json", "--limit", "3").out)["messages"]) == 3


def test_control_characters_are_shown_not_obeyed(library: BlockingSessionManager) -> None:
    named = {"name": "\x1b[31mNotes"}
    session = library.create_session("eve", "mock", "mock-model", session_id="evil", session_config=named)
    session.add_message("user", "\x1b]0;title\x07 [red]markup[/red] \x9b2J")
    for arguments in (["show", "evil"], ["list"]):
        outcome = run_cli(*arguments, env={"FORCE_COLOR": "1"})
        assert "\x1b]" not in outcome.out
        assert "\x07" not in outcome.out
        assert "\x9b" not in outcome.out
        assert "�[31mNotes" in outcome.out  # colours of our own are on, so that ESC alone proves nothing
    assert "�]0;title� [red]markup[/red] �2J" in run_cli("show", "evil").out


@pytest.mark.parametrize("command", [["show", "nobody"], ["export", "nobody"]])
@pytest.mark.usefixtures("talked")
def test_an_unknown_session_is_one_line(command: list[str]) -> None:
    outcome = run_cli(*command)
    assert outcome.code == 1
    assert outcome.error == (
        "error: No session 'nobody' in this database. `langswarm-sessions list` shows those there are."
    )


@pytest.mark.parametrize("command", [["show", "notes"], ["export", "notes"], ["chat", "notes"]])
def test_a_deleted_session_is_said_to_be_deleted(
    command: list[str], talked: str, library: BlockingSessionManager
) -> None:
    library.delete_session(talked)
    outcome = run_cli(*command, said="hello\n")
    assert outcome.code == 1
    assert not outcome.out
    assert "Session 'notes' was deleted" in outcome.error
    assert "manager.restore_session('notes')" in outcome.error
    library.restore_session("notes")
    assert library.get_session(talked).message_count == 4
    assert run_cli(*command, said="hello\n").code == 0


@pytest.mark.parametrize(("target", "told"), [(".", "is a folder"), ("x" * 300, "File name too long")])
def test_export_names_what_is_no_file(target: str, told: str, talked: str) -> None:
    for arguments in ([], ["--force"]):
        outcome = run_cli("export", talked, "--output", target, *arguments)
        assert outcome.code == 1
        assert outcome.error.startswith("error: --output: ")
        assert told in outcome.error


@pytest.mark.parametrize("command", [["list"], ["show", "x"], ["export", "x"], ["db", "check"], ["db", "backup", "y"]])
def test_reading_makes_no_database(command: list[str]) -> None:
    outcome = run_cli(*command)
    assert outcome.code == 1
    assert "There is no database at langswarm_sessions.db" in outcome.error
    assert not list(Path().iterdir())
