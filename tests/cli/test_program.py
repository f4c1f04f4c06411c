"""The program itself: help, version, what it loads, and how it fails."""

from __future__ import annotations

import subprocess
import sys

from tests.cli.terminal import run_cli


def _run_python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    told = run_cli("--help")
    assert told.code == 0
    for command in ("chat", "list", "show", "export", "doctor", "db"):
        assert f" {command} " in told.out
    for command in ("upgrade", "check", "backup"):
        assert f" {command} " in run_cli("db", "--help").out


def test_version() -> None:
    assert run_cli("--version").out.startswith("langswarm-sessions ")


def test_a_call_that_makes_no_sense_is_exit_code_2() -> None:
    assert run_cli("shout").code == 2
    assert run_cli("list", "--limit", "0").code == 2


def test_a_missing_extra_is_named() -> None:
    for package in ("typer", "rich"):
        ended = _run_python(
            f"import sys; sys.modules[{package!r}] = None\nfrom langswarm_sessions.cli import main; sys.exit(main())"
        )
        assert ended.returncode == 1
        assert "pip install 'langswarm-sessions[cli]'" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_help_loads_neither_database_nor_sdk() -> None:
    ended = _run_python(
        "import sys\n"
        "from langswarm_sessions.cli import main\n"
        "sys.argv = ['langswarm-sessions', '--help']\n"
        "try:\n    main()\n"
        "finally:\n    print(*sorted({'sqlalchemy', 'openai', 'langchain_core', 'alembic'} & set(sys.modules)))"
    )
    assert ended.stdout.splitlines()[-1] == ""


def test_debug_shows_where_an_error_comes_from() -> None:
    told = run_cli("--debug", "show", "nobody")
    assert told.code == 1
    assert "Traceback" in told.err
    assert told.err.rstrip().splitlines()[-1].startswith("error: ")


def test_what_the_terminal_cannot_write_does_not_fail() -> None:
    ended = run_cli("chat", "talk", said="hello\n", env={"PYTHONIOENCODING": "ascii"})
    assert ended.code == 0
