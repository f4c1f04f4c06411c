"""The program itself: help, version, what it loads, and how it fails."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import PROGRAM, run_cli


def _run_python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)


def test_help_names_every_command() -> None:
    told = run_cli("--help")
    assert told.code == 0
    for command in ("chat", "list", "show", "export", "doctor", "db"):
        assert f" {command} " in told.out
    for command in ("upgrade", "check", "backup"):
        assert f" {command} " in run_cli("db", "--help").out


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("chat", "mock, which needs no key"),
        ("chat", "user"),
        ("chat", "langswarm_sessions.db"),
        ("export", "standard output"),
    ],
)
def test_help_names_the_defaults(command: str, told: str) -> None:
    shown = " ".join(run_cli(command, "--help").out.replace("│", " ").split())
    assert re.search(rf"\[default: \(?{re.escape(told)}\)?\]", shown), shown


def test_help_shows_an_argument_in_one_pair_of_brackets() -> None:
    assert "chat [OPTIONS] [SESSION_ID]" in run_cli("chat", "--help").out


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


_FAILING = """
import sys
from langswarm_sessions.cli import listing, main

def list_sessions(*_, **__):
    raise RuntimeError("the canary sings at noon")

listing.list_sessions = list_sessions
sys.argv = ["langswarm-sessions", *{options}, "list"]
sys.exit(main())
"""


def test_an_unexpected_error_is_named_and_quoted_only_when_asked() -> None:
    ended = _run_python(_FAILING.format(options=[]))
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: unexpected RuntimeError (--debug ")
    assert "canary" not in ended.stderr
    assert "RuntimeError: the canary sings" in _run_python(_FAILING.format(options=["--debug"])).stderr


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_a_stream_that_is_closed_is_as_one_to_nowhere(own_folder: Path, closed: int) -> None:
    command = f"{shlex.join([*PROGRAM, 'chat', 's'])} {closed}{'<' if closed == 0 else '>'}&-"
    ended = subprocess.run(command, shell=True, input="hi\n", capture_output=True, text=True, check=False)
    assert ended.returncode == 0
    assert ended.stdout == ("Mock response to: hi\n" if closed == 2 else "")
    assert ended.stderr == ("Go on with: langswarm-sessions chat s\n" if closed == 1 else "")
    said = [line.split("  ")[0] for line in run_cli("show", "s").out.splitlines() if not line.startswith(" ")]
    assert ("user" in said, "assistant" in said) == (closed != 0, closed != 0)


def test_a_full_disk_is_named(own_folder: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run([*PROGRAM, "doctor", "--offline"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert ended.returncode == 1
    assert ended.stderr.decode() == (
        "error: unexpected OSError: No space left on device (--debug before the command shows what and where)\n"
    )


def test_what_the_terminal_cannot_write_does_not_fail() -> None:
    ended = run_cli("chat", "talk", said="hello\n", env={"PYTHONIOENCODING": "ascii"})
    assert ended.code == 0
