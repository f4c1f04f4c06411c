"""`chat` with a pipe: answers on standard output, everything else on standard error, all of it stored."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from langswarm_sessions import BlockingSessionManager
from tests.cli.terminal import PROGRAM, run_cli


def test_piped_lines_are_answered_on_standard_output(library: BlockingSessionManager) -> None:
    outcome = run_cli("chat", "talk", said="hello\n\n  how are you?\n")
    assert outcome.code == 0
    assert outcome.out == "Mock response to: hello\nMock response to: how are you?\n"
    assert "Go on with: langswarm-sessions chat talk\n" in outcome.err
    said = [(message.role.value, message.content) for message in library.get_session("talk").get_messages()]
    assert said == [
        ("user", "hello"),
        ("assistant", "Mock response to: hello"),
        ("user", "how are you?"),
        ("assistant", "Mock response to: how are you?"),
    ]


def test_a_new_session_gets_an_id_to_go_on_with(library: BlockingSessionManager) -> None:
    outcome = run_cli("chat", "--user", "ada", said="hello")
    [session] = library.get_user_sessions("ada")
    assert f"langswarm-sessions chat {session.session_id}\n" in outcome.err
    run_cli("chat", session.session_id, said="again")
    assert [message.content for message in session.get_messages(role="user")] == ["hello", "again"]


def test_nothing_said_stores_nothing(library: BlockingSessionManager) -> None:
    assert run_cli("chat", "talk", said="").code == 0
    assert not library.search_sessions()


def test_exit_ends_the_conversation(library: BlockingSessionManager) -> None:
    assert run_cli("chat", "talk", said="one\n/exit\ntwo\n").out == "Mock response to: one\n"
    assert library.get_session("talk").message_count == 2


def test_system_instructions_are_stored_once(library: BlockingSessionManager) -> None:
    run_cli("chat", "talk", "--system", "Be brief.", said="one\ntwo\n")
    run_cli("chat", "talk", "--system", "Be brief.", said="three\n")
    told = library.get_session("talk").get_messages(role="system")
    assert [message.content for message in told] == ["Be brief."]


def test_another_database_is_named_in_the_line_to_go_on_with() -> None:
    outcome = run_cli("chat", "talk", "--db", "deep/down/own file.db", said="hello")
    assert "langswarm-sessions chat talk --db 'deep/down/own file.db'\n" in outcome.err
    assert Path("deep/down/own file.db").exists()
    assert not Path("langswarm_sessions.db").exists()
    assert '"message_count": 2' in run_cli("list", "--json", env={"LANGSWARM_SESSIONS_DB": "deep/down/own file.db"}).out


def test_a_failed_turn_of_a_pipe_is_the_exit_code(library: BlockingSessionManager) -> None:
    library.create_session("user", "mock", "mock-model", session_id="old").archive()
    outcome = run_cli("chat", "old", said="hello\n")
    assert outcome.code == 1
    assert "archived" in outcome.error
    assert not library.get_session("old").get_messages()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--provider", "nobody", "--model", "x"], "unknown provider 'nobody'"),
        (["--provider", "openai"], "--model"),
        (["--provider", "openai", "--model", "gpt-5"], "OPENAI_API_KEY"),
        (["notes", "--provider", "openai"], "--provider: session 'notes' was begun with 'mock'"),
        (["notes", "--model", "other"], "--model: session 'notes' was begun with 'mock-model'"),
        (["notes", "--user", "eve"], "--user: session 'notes' was begun with 'ada'"),
        (["--db", ""], "must not be empty"),
        (["--db", "postgresql://localhost/x"], "SQLite"),
        (["--db", "."], "--db: . is a folder"),
        (["--db", "x" * 300], "File name too long"),
        (["--db", "~nobody-of-this-name/x.db"], "--db: ~nobody-of-this-name/x.db"),
        (["--provider", ""], "--provider must not be empty"),
        (["--provider", "openai", "--model", ""], "--model must not be empty"),
        (["--model", " "], "--model must not be empty"),
        (["--user", ""], "--user must not be empty"),
        (["--provider", "runnable", "--model", "y"], "answered by the program that wraps the Runnable"),
        (["new", "--provider", "openai"], "--model"),
    ],
)
@pytest.mark.usefixtures("talked")
def test_what_cannot_work_is_refused_in_one_line(
    arguments: list[str], told: str, library: BlockingSessionManager
) -> None:
    outcome = run_cli("chat", *arguments, said="hello\n")
    assert outcome.code == 1
    assert told in outcome.error
    assert not outcome.out
    [session] = library.search_sessions()
    assert (session.session_id, session.message_count) == ("notes", 4)


def test_a_session_that_a_runnable_answers_is_refused_before_anything_is_asked(library: BlockingSessionManager) -> None:
    session = library.create_session("user", "runnable", "runnable", session_id="wrapped")
    outcome = run_cli("chat", "wrapped", said="hello\n")
    assert outcome.code == 1
    assert "answered by the program that wraps the Runnable" in outcome.error
    assert not session.get_messages()


@pytest.mark.parametrize("encoding", ["C", "C.UTF-8"])
def test_bytes_that_are_no_text_are_refused_and_nothing_is_stored(
    encoding: str, library: BlockingSessionManager
) -> None:
    spoken = b"caf\xe9\n"
    ended = subprocess.run(
        [*PROGRAM, "chat", "talk"],
        input=spoken,
        capture_output=True,
        env={**os.environ, "LC_ALL": encoding},
        check=False,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.decode().splitlines()
    assert line.startswith("error: Line 1 of standard input is no text in UTF-8")
    assert not library.search_sessions()


def test_options_that_are_no_text_are_refused_and_nothing_is_stored(library: BlockingSessionManager) -> None:
    for option in ("--system", "--user", "--model"):
        outcome = run_cli("chat", "talk", option, "caf\udce9", said="hello\n")
        assert outcome.code == 1
        assert f"{option} is no text in UTF-8" in outcome.error
    assert not library.search_sessions()
