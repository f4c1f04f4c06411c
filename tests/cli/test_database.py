"""`db` and `doctor` on databases in every state."""

from __future__ import annotations

import ctypes
import json
import os
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from langswarm_sessions import BlockingSessionManager, create_session_manager
from langswarm_sessions.cli.reach import host_of
from langswarm_sessions.cli.telemetry_checks import telemetry_checks
from langswarm_sessions_otel.settings import read_settings
from tests.cli.terminal import PROGRAM, run_cli

DATABASE = Path("langswarm_sessions.db")
HEADER = 100  # bytes that hold nothing of what is stored
KEY = "sk-canary-never-shown"
CAP_DAC_OVERRIDE, PR_CAPBSET_DROP = 1, 24


def _obey_permissions() -> None:
    """Let permissions count for root, too."""
    ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


def _doctor(*arguments: str, **env: str) -> tuple[int, dict[str, dict[str, Any]]]:
    outcome = run_cli("doctor", "--json", *arguments, env=env)
    assert KEY not in outcome.out + outcome.err
    report = json.loads(outcome.out)
    assert report["ok"] == (outcome.code == 0)
    return outcome.code, {check["name"]: check for check in report["checks"]}


def _write_newer() -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("UPDATE langswarm_sessions_schema SET version_num = '9999'")


def _write_damaged() -> None:
    with closing(sqlite3.connect(DATABASE)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode=DELETE")
    with DATABASE.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * (DATABASE.stat().st_size - 4096 * 3))


def _write_foreign() -> None:
    DATABASE.unlink()
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")


def _write_text() -> None:
    DATABASE.write_text("this is no database, " * 500)


def _drop_column() -> None:
    with closing(sqlite3.connect(DATABASE)) as connection, connection:
        connection.execute("ALTER TABLE messages RENAME COLUMN tokens TO other")


@pytest.fixture
def stored(own_folder: Path) -> Path:
    """A database with one turn, closed."""
    with create_session_manager("sqlite", storage_config={"db_path": str(DATABASE)}, blocking=True) as manager:
        manager.create_session("ada", "mock", "mock-model", session_id="notes").send_message("hello")
    return DATABASE


BROKEN = [
    (_write_newer, "newer than this version's", "Upgrade langswarm-sessions"),
    (_write_damaged, "damaged", "Restore a backup"),
    (_write_foreign, "tables of another program", "file of its own"),
    (_write_text, "not a SQLite database", "another file"),
]


@pytest.mark.parametrize(("spoil", "what", "remedy"), BROKEN)
def test_doctor_and_check_name_what_is_broken_and_the_remedy(spoil: Any, what: str, remedy: str, stored: Path) -> None:
    spoil()
    before = stored.read_bytes()[HEADER:]
    code, checks = _doctor()
    assert code == 1
    assert checks["problem"]["state"] == "broken"
    assert what in checks["problem"]["found"]
    assert remedy in checks["problem"]["remedy"]
    check = run_cli("db", "check")
    assert check.code == 1
    assert what in check.error
    for command in (["list"], ["chat"], ["db", "backup", "copy.db"], ["db", "upgrade"]):
        outcome = run_cli(*command, said="hello\n")
        assert outcome.code == 1, command
        assert outcome.error
    assert stored.read_bytes()[HEADER:] == before
    assert not Path("copy.db").exists()


def test_check_compares_tables_and_columns(stored: Path) -> None:
    _drop_column()
    outcome = run_cli("db", "check")
    assert outcome.code == 1
    assert "The table messages lacks tokens" in outcome.error


def test_a_whole_database_is_said_to_be_whole(stored: Path) -> None:
    assert "is whole: revision 0004, 1 session, 2 messages" in run_cli("db", "check").out
    code, checks = _doctor()
    assert code == 0
    assert checks["file"]["found"].endswith("1 session, 2 messages")
    assert {checks[name]["state"] for name in ("integrity", "schema", "writable")} == {"ok"}
    assert "nothing to do" in run_cli("db", "upgrade").out


@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_database_that_cannot_be_written(what: str, stored: Path) -> None:
    with closing(sqlite3.connect(stored)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
    target = stored if what == "file" else Path.cwd()
    mode = target.stat().st_mode
    os.chmod(target, 0o444 if what == "file" else 0o555)
    command = [*PROGRAM, "doctor"] if what == "file" else [*PROGRAM, "doctor", "--db", "new.db"]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, preexec_fn=_obey_permissions, check=False)
    finally:
        os.chmod(target, mode)
    assert finished.returncode == 1, finished.stdout
    assert "writable for this user" in " ".join(finished.stdout.split())


def test_a_backup_is_a_database_to_go_on_with(stored: Path, library: BlockingSessionManager) -> None:
    outcome = run_cli("db", "backup", "copies/today.db")
    assert outcome.code == 0
    assert "copies/today.db holds 1 session, 2 messages" in outcome.out
    library.get_session("notes").send_message("only in the original")
    assert run_cli("chat", "notes", "--db", "copies/today.db", said="go on\n").out == "Mock response to: go on\n"
    copy = json.loads(run_cli("export", "notes", "--db", "copies/today.db").out)
    assert [message["content"] for message in copy["messages"][::2]] == ["hello", "go on"]
    assert run_cli("db", "check", "--db", "copies/today.db").code == 0
    assert "exists already" in run_cli("db", "backup", "copies/today.db").error


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/dev/null/a.db", "/dev/null/a.db: No file can be made in /dev/null"),
        (".", "PATH: . is a folder"),
        ("x" * 300, "File name too long"),
    ],
)
@pytest.mark.usefixtures("stored")
def test_a_backup_that_cannot_be_made_names_its_target(target: str, told: str) -> None:
    outcome = run_cli("db", "backup", target)
    assert outcome.code == 1
    assert told in outcome.error
    assert str(DATABASE) not in outcome.error


@pytest.mark.parametrize("command", [["list"], ["doctor"], ["db", "check"], ["db", "upgrade"], ["db", "backup", "x"]])
def test_a_folder_is_no_database(command: list[str]) -> None:
    outcome = run_cli(*command, "--db", ".")
    assert outcome.code == 1
    assert "--db: . is a folder" in outcome.error


def test_upgrade_makes_a_database() -> None:
    assert "made, at revision 0004" in run_cli("db", "upgrade").out
    assert run_cli("db", "check").code == 0


def test_doctor_without_a_database() -> None:
    code, checks = _doctor()
    assert code == 0
    assert "made on first use" in checks["file"]["found"]
    assert not DATABASE.exists()
    assert checks["openai"]["state"] == "absent"
    assert checks["mock"]["state"] == "ok"
    assert checks["extra cli"]["state"] == "ok"


@contextmanager
def _provider(status: int) -> Generator[tuple[str, list[str]]]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers['Authorization']}")
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "state", "found", "code"),
    [
        (200, "ok", "answers", 0),
        (401, "broken", "refuses the key", 1),
        (404, "notice", "lists no models", 0),
        (302, "notice", "lists no models", 0),
    ],
)
def test_doctor_asks_the_provider(status: int, state: str, found: str, code: int) -> None:
    with _provider(status) as (address, asked):
        ended, checks = _doctor(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=address)
        assert asked == [f"/v1/models Bearer {KEY}"]
        assert _doctor("--offline", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=address)[0] == 0
        assert len(asked) == 1
    assert (ended, checks["openai"]["state"]) == (code, state)
    assert found in checks["openai"]["found"]
    assert "key present" in checks["openai"]["found"]


@pytest.mark.parametrize(
    ("provider", "variable"),
    [
        ("anthropic", "ANTHROPIC_API_KEY"),
        ("gemini", "GEMINI_API_KEY"),
        ("gemini", "GOOGLE_API_KEY"),
        ("mistral", "MISTRAL_API_KEY"),
        ("cohere", "CO_API_KEY"),
        ("cohere", "COHERE_API_KEY"),
    ],
)
def test_doctor_says_which_provider_has_a_key(provider: str, variable: str) -> None:
    _, checks = _doctor()
    assert checks[f"extra {provider}"]["state"] == "ok"
    assert checks[provider]["state"] == "absent"
    assert "_API_KEY" in checks[provider]["remedy"]
    code, checks = _doctor(**{variable: KEY})
    assert (code, checks[provider]["state"]) == (0, "notice")
    assert checks[provider]["found"] == "package installed · key present · not contacted"


def test_doctor_says_that_a_provider_cannot_be_reached() -> None:
    code, checks = _doctor(OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://user:hidden@127.0.0.1:9/v1")
    assert code == 1
    assert "127.0.0.1:9 cannot be reached" in checks["openai"]["found"]
    assert "hidden" not in json.dumps(checks)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://user:hidden@[::1]:8/v1?key=hidden", "::1:8"),
        ("http://localhost", "localhost"),
        ("http://[bad", None),
        ("http://", None),
        ("http://localhost:port", None),
        ("ftp://localhost", None),
        ("localhost:4318", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_only_host_and_port_of_an_address_are_shown(address: str, host: str | None) -> None:
    assert host_of(address) == host


def test_doctor_names_an_address_of_the_provider_that_is_none() -> None:
    for arguments in ([], ["--offline"]):
        code, checks = _doctor(*arguments, OPENAI_API_KEY=KEY, OPENAI_BASE_URL="http://[bad")
        assert (code, checks["openai"]["state"]) == (1, "broken")
        assert "OPENAI_BASE_URL is no address" in checks["openai"]["found"]
        assert "http" in checks["openai"]["remedy"]
        assert checks["spans"]["state"] == "absent"  # the report goes on to its end


@pytest.mark.parametrize("variable", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
def test_doctor_names_an_address_for_spans_that_is_none(variable: str) -> None:
    code, checks = _doctor("--offline", **{variable: "nonsense"})
    assert (code, checks["spans"]["state"]) == (1, "broken")
    assert "the address of their receiver is none" in checks["spans"]["found"]
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in checks["spans"]["remedy"]


def test_doctor_takes_an_empty_address_for_none() -> None:
    assert _doctor(OTEL_EXPORTER_OTLP_ENDPOINT="")[1]["spans"]["state"] == "absent"


def test_doctor_reports_telemetry() -> None:
    _, checks = _doctor("--offline", OTEL_EXPORTER_OTLP_ENDPOINT="http://user:hidden@localhost:4318")
    assert checks["spans"]["found"] == "sent to localhost:4318 · not contacted"
    _, checks = _doctor(OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="SPAN_ONLY")
    assert checks["content"]["state"] == "notice"
    _, checks = _doctor(LANGSWARM_SESSIONS_TELEMETRY="off")
    assert "switched off" in checks["spans"]["found"]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("true", "not captured"),
        ("SPAN_ONLY", "messages are put on spans"),
        ("span_and_event", "messages are put on spans and into events"),
        ("EVENT_ONLY", "messages are put into events"),
        ("NO_CONTENT", "not captured"),
        ("", "not captured"),
    ],
)
def test_doctor_and_telemetry_read_the_same_switch(asked: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", asked)
    checks = {check.name: check for check in telemetry_checks(offline=True)}
    assert checks["content"].found == found
    assert read_settings().capture_content is (found != "not captured")


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        ("OTEL_SDK_DISABLED", "1", "made, sent nowhere"),  # the SDK takes "true" alone
        ("OTEL_SDK_DISABLED", " True", "switched off by the environment"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", " ", "made, sent nowhere"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:1", "sent to traces:1 · not contacted"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://metrics:1", "sent to localhost:4318 · not contacted"),
    ],
)
def test_doctor_says_where_spans_go(name: str, value: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    checks = {check.name: check for check in telemetry_checks(offline=True)}
    assert checks["spans"].found == found
    # Nobody is sent to set up a receiver for a look.
    assert ("LANGSWARM_SESSIONS_SPAN_FILE" in (checks["spans"].remedy or "")) is (found == "made, sent nowhere")
