"""`trace`: the span tree of a session, from files that any number of processes wrote."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langswarm_sessions.cli.trace import TraceRequest, follow_trace
from langswarm_sessions_otel import SpanRecord
from langswarm_sessions_otel.reading.files import put_aside
from langswarm_sessions_otel.reading.records import line_of
from tests.cli.terminal import run_cli

if TYPE_CHECKING:
    from tests.support.otlp import Receiver

DEFAULT = "langswarm_sessions_spans.jsonl"
VARIABLE = "LANGSWARM_SESSIONS_SPAN_FILE"


@pytest.fixture(scope="module")
def folder_of_talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a session whose turns two runs of the command line wrote into the default file."""
    folder = tmp_path_factory.mktemp("talk")
    with contextlib.chdir(folder):
        for text in ("first canary\nsecond\n", "third\n"):
            outcome = run_cli("chat", "talk", said=text, env={VARIABLE: DEFAULT})
            assert outcome.code == 0
            assert outcome.err == "Go on with: langswarm-sessions chat talk\n"
    return folder


@pytest.fixture
def spoken(folder_of_talk: Path, own_folder: Path) -> str:
    """The id of the session, in the current folder."""
    shutil.copytree(folder_of_talk, own_folder, dirs_exist_ok=True)
    return "talk"


def test_a_session_is_drawn_over_all_processes(spoken: str) -> None:
    outcome = run_cli("trace", spoken)
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    headings = [line for line in lines if " · process " in line]
    processes = [line.rpartition(" ")[2] for line in headings]
    assert len(headings) == 4
    assert all(line[:4].isdigit() and " · langswarm-sessions · process " in line for line in headings)
    assert len(set(processes[:3])) == 1
    assert processes[3] != processes[0]
    assert [line.split("  ")[0] for line in lines if line.startswith(("lang", "invoke"))] == [
        "langswarm.session.create",
        "invoke_agent session",
        "invoke_agent session",
        "invoke_agent session",
    ]
    assert [line.rpartition(" · ")[2] for line in lines if "follows" in line] == ["follows turn 1", "follows turn 2"]
    assert sum(line.startswith(("├─ chat mock-model", "│  └─ chat mock-model")) for line in lines) == 4
    assert outcome.err.startswith("3 turns · ")
    assert outcome.err.rstrip().endswith(" · 2 processes")
    assert "canary" not in outcome.out


def test_turns_are_picked(spoken: str) -> None:
    second = run_cli("trace", spoken, "--turn", "2")
    assert "turn 2" in second.out
    assert "turn 1 ·" not in second.out
    assert "follows turn 1" in second.out
    last = run_cli("trace", spoken, "--last", "1")
    assert "turn 3 · " in last.out
    assert "turn 2 · " not in last.out
    assert last.err.startswith("1 turn · ")
    failed = run_cli("trace", spoken, "--errors")
    assert "✗" in failed.out  # the mock forgets its threads with its process: the third turn had to rebuild
    assert failed.err.startswith("1 turn · ")
    nothing = run_cli("trace", spoken, "--errors", "--turn", "1")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "Nothing failed.\n")


def test_a_turn_that_was_killed_is_found_and_counted(spoken: str) -> None:
    kept = {"langswarm.session.id": spoken, "gen_ai.conversation.id": spoken}
    facts = {**kept, "langswarm.session.operation": "send", "langswarm.session.turn.index": 4}
    killed = SpanRecord(
        name="invoke_agent session", trace="f" * 32, span="e" * 16, parent=None, kind="INTERNAL",
        start=2**62, end=2**62, open=True, attributes=facts,
    )  # fmt: skip
    with Path(DEFAULT).open("a", encoding="utf-8") as file:
        file.write(line_of(killed))
    fourth = run_cli("trace", spoken, "--turn", "4")
    assert "turn 4 · send" in fourth.out
    assert "✗ never ended: its process was killed, or it is still going on" in fourth.out
    assert fourth.err == "1 turn · 1 span · 1 process · 1 never ended\n"
    assert "turn 4 · send" in run_cli("trace", spoken, "--errors").out
    assert run_cli("trace", spoken).err.startswith("4 turns · ")
    listed = json.loads(run_cli("trace", "--json").out)
    assert [(one["session_id"], one["turns"], one["failed"], one["open"]) for one in listed] == [(spoken, 4, 0, 1)]


def refused(*arguments: str) -> str:
    """Return what is said of a command line that makes no sense, without the box around it."""
    outcome = run_cli(*arguments)
    assert outcome.code == 2
    return " ".join(outcome.err.replace("│", " ").split())


def test_without_a_session_they_are_listed(spoken: str) -> None:
    outcome = run_cli("trace")
    assert outcome.code == 0
    head, row = outcome.out.splitlines()
    assert head.split() == ["session", "turns", "failed", "never", "ended", "last", "seen"]
    assert row.split()[:4] == [spoken, "3", "0", "0"]
    assert "`langswarm-sessions trace SESSION_ID`" in outcome.err
    assert "--turn, --last and --errors pick of one session" in refused("trace", "--errors")
    Path("empty.jsonl").touch()
    assert run_cli("trace", "-f", "empty.jsonl").err == "No span of any session in empty.jsonl.\n"


def test_an_id_is_listed_whole_however_long_it_is(own_folder: Path) -> None:
    long = "thread:" + "0123456789" * 10
    span = SpanRecord(
        name="n", trace="f" * 32, span="e" * 16, parent=None, kind="INTERNAL", start=1, end=2,
        attributes={"langswarm.session.id": long},
    )  # fmt: skip
    Path(DEFAULT).write_text(line_of(span), encoding="utf-8")
    _, piped = run_cli("trace", env={"COLUMNS": ""}).out.splitlines()
    assert piped.split()[:4] == [long, "0", "0", "0"]
    _, *narrow = run_cli("trace", env={"COLUMNS": "80"}).out.splitlines()
    assert "".join(line.split()[0] for line in narrow) == long
    assert narrow[0].split()[1:] == piped.split()[1:]


def test_turns_are_shown_as_they_end(spoken: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path(DEFAULT).read_text(encoding="utf-8").splitlines(keepends=True)
    waits = iter([*lines, "".join(lines)])
    Path("growing.jsonl").touch()

    def wait() -> bool:
        more = next(waits, None)
        if more is not None:
            with Path("growing.jsonl").open("a", encoding="utf-8") as file:
                file.write(more)
        return more is not None

    follow_trace(TraceRequest(session_id=spoken, files=("growing.jsonl",), errors=True), wait=wait)
    told = capsys.readouterr()
    assert told.out.count("invoke_agent session") == 2  # the one turn that had to rebuild, written twice
    assert told.out.count("turn 3 · ") == told.out.count("follows turn 2") == 2
    assert told.err.startswith("Waiting for what is written to growing.jsonl")
    assert "leave out --turn" in refused("trace", "--follow", "--turn", "1")
    assert "name one --file" in refused("trace", "--follow", "-f", "a", "-f", "b")


def test_json_is_the_spans(spoken: str) -> None:
    outcome = run_cli("trace", spoken, "--turn", "1", "--json")
    spans = json.loads(outcome.out)
    assert outcome.err == ""
    assert {span["trace"] for span in spans} == {spans[0]["trace"]}
    assert spans[0]["name"] == "invoke_agent session"
    assert spans[0]["attributes"]["langswarm.session.turn.index"] == 1
    assert {span["parent"] for span in spans[1:]} == {spans[0]["span"]}
    lines = [json.loads(line) for line in Path(DEFAULT).read_text(encoding="utf-8").splitlines()]
    assert all(span in lines for span in spans)
    assert json.loads(run_cli("trace", spoken, "--turn", "1", "--errors", "--json").out) == []


def test_content_is_shown_where_it_was_recorded(own_folder: Path) -> None:
    variables = {VARIABLE: "said.jsonl", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
    run_cli("chat", "talk", said="hello\n", env=variables)
    outcome = run_cli("trace", "talk", env={VARIABLE: "said.jsonl"})
    assert "│  » hello\n│  « Mock response to: hello\n" in outcome.out


def test_files_are_named_by_option_or_variable(spoken: str) -> None:
    Path(DEFAULT).rename("elsewhere.jsonl")
    by_option = run_cli("trace", spoken, "--file", "elsewhere.jsonl")
    assert by_option.code == 0
    assert run_cli("trace", spoken, env={VARIABLE: "elsewhere.jsonl"}).out == by_option.out
    Path("elsewhere.jsonl").rename(put_aside(Path("elsewhere.jsonl")))
    assert run_cli("trace", spoken, "-f", "elsewhere.jsonl").out == by_option.out
    run_cli("chat", spoken, said="fourth\n", env={VARIABLE: "more.jsonl"})
    both = run_cli("trace", spoken, "-f", "more.jsonl", "-f", "elsewhere.jsonl")
    assert both.err.startswith("4 turns · ")
    assert "follows turn 3" in both.out


def test_what_is_not_there_is_said_with_what_to_do(spoken: str) -> None:
    missing = run_cli("trace", spoken, "--file", "nowhere.jsonl")
    assert missing.code == 1
    assert missing.error.startswith("error: There is no span file at nowhere.jsonl. Let the program that talks write")
    assert VARIABLE in missing.error
    unknown = run_cli("trace", "tolk")
    assert unknown.code == 1
    assert unknown.error == f"error: No span of session 'tolk' in {DEFAULT}. It holds those of 'talk'."
    turn = run_cli("trace", spoken, "--turn", "9")
    assert turn.code == 1
    assert turn.error == "error: --turn: no turn 9 in the spans of this session; it has those from 1 to 3."
    Path("empty.jsonl").write_text("no span\n")
    assert "it holds none of any session" in run_cli("trace", spoken, "--file", "empty.jsonl").error
    assert run_cli("trace", spoken, "--file", ".").error.endswith("is a folder. Name a file.")
    assert run_cli("trace", spoken, "--file", "").error == (
        "error: --file must not be empty: name a span file, or leave it out."
    )
    assert [run_cli("trace", spoken, option, "0").code for option in ("--last", "--turn")] == [2, 2]


def test_nothing_in_a_file_can_steer_the_terminal(own_folder: Path) -> None:
    Path(DEFAULT).write_text(
        '{"name":"turn\\u001b[2J\\u009b2J","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,'
        '"service":"\\u001b[1m","process":"\\u001b[1m","attributes":{"langswarm.session.id":"\\u001b[1m"}}\n',
        encoding="utf-8",
    )
    outcome = run_cli("trace", "\x1b[1m")
    assert outcome.code == 0
    assert "\x1b" not in outcome.out
    assert "\x1b" not in run_cli("trace", "other").error
    as_json = run_cli("trace", "\x1b[1m", "--json").out
    assert not {"\x1b", "\x9b"} & set(outcome.out + as_json)
    assert json.loads(as_json)[0]["name"] == "turn\x1b[2J\x9b2J"


def test_doctor_names_the_file_and_takes_addresses_of_grpc(own_folder: Path) -> None:
    variables = {
        VARIABLE: "spans.jsonl",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
    }
    checks = {
        check["name"]: (check["state"], check["found"])
        for check in json.loads(run_cli("doctor", "--offline", "--json", env=variables).out)["checks"]
    }
    assert checks["span file"] == ("ok", "spans.jsonl, not there yet, made on first use")
    assert checks["spans"] == ("notice", "sent to collector:4317 · not contacted")


def test_doctor_tries_what_it_is_told_of(own_folder: Path, receiver: Receiver) -> None:
    def checked(code: int, **variables: str) -> dict[str, dict[str, str]]:
        outcome = run_cli("doctor", "--json", env={"OPENAI_API_KEY": "", **variables})
        assert outcome.code == code
        assert outcome.err == ""
        return {check["name"]: check for check in json.loads(outcome.out)["checks"] if check["section"] == "telemetry"}

    well = checked(0, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url, LANGSWARM_SESSIONS_SPAN_FILE="made/spans.jsonl")
    assert well["spans"]["state"] == well["span file"]["state"] == "ok"
    assert well["spans"]["found"].endswith(", which takes them")
    assert [path for path, _, _ in receiver.requests] == ["/v1/traces", "/v1/metrics", "/v1/logs"]
    assert not Path("made").exists()
    ill = checked(
        1,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9",
        OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="nonsense",
        OTEL_SDK_DISABLED="perhaps",
        LANGSWARM_SESSIONS_SPAN_FILE="/dev/null/spans.jsonl",
    )
    assert ill["spans"]["found"] == "sent to 127.0.0.1:9, which does not take them (NewConnectionError)"
    assert ill["spans"]["remedy"] == "Start a receiver there, or correct the endpoint."
    assert ill["events"]["found"] == "sent nowhere: the address of their receiver is none"
    assert ill["span file"]["found"] == "/dev/null/spans.jsonl cannot be written (Not a directory)"
    assert ill["variable"]["found"].startswith("OTEL_")
    assert {ill[name]["state"] for name in ("spans", "events", "span file")} == {"broken"}
    os.mkfifo("pipe")
    unread = checked(1, LANGSWARM_SESSIONS_SPAN_FILE="pipe")["span file"]["found"]
    assert unread == f"pipe cannot be written ({os.strerror(errno.ENXIO)})"


def test_doctor_finds_what_was_not_delivered(own_folder: Path, receiver: Receiver) -> None:
    """Most tracing backends take spans alone, at the one address that is named for all signals."""
    receiver.unknown = {"/v1/metrics", "/v1/logs"}
    variables = {"OPENAI_API_KEY": "", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
    sent = run_cli("chat", "talk", said="hello\n", env=variables)
    assert sent.err.endswith("Not all spans and metrics were delivered: see `langswarm-sessions doctor`.\n")
    outcome = run_cli("doctor", "--json", env=variables)
    checks = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
    assert outcome.code == 1
    assert [checks[name]["state"] for name in ("spans", "metrics", "events")] == ["ok", "broken", "broken"]
    assert checks["metrics"]["found"].endswith(", which does not take them (status 404)")
    for name, signal in (("metrics", "METRICS"), ("events", "LOGS")):
        assert checks[name]["remedy"] == (
            f"If it takes no {name}, set OTEL_{signal}_EXPORTER=none; or name another receiver with"
            f" OTEL_EXPORTER_OTLP_{signal}_ENDPOINT."
        )
    variables |= {"OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    assert run_cli("doctor", env=variables).code == 0
    assert "delivered" not in run_cli("chat", "talk", said="hello\n", env=variables).err


@pytest.mark.parametrize("variable", ["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_PYTHON_METER_PROVIDER"])
def test_doctor_names_a_variable_that_the_sdk_refuses(own_folder: Path, variable: str) -> None:
    for place in ({VARIABLE: "spans.jsonl"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}):
        outcome = run_cli("doctor", "--json", env={"OPENAI_API_KEY": "", variable: "many", **place})
        assert (outcome.code, outcome.err) == (1, "")
        checks = {check["name"]: check for check in json.loads(outcome.out)["checks"]}
        assert (checks["spans"]["state"], checks["spans"]["found"]) == ("broken", "not recorded: a variable is refused")
        assert checks["spans"]["remedy"].startswith(variable)
        assert "span file" not in checks


def test_a_file_that_cannot_be_written_is_one_line(own_folder: Path) -> None:
    outcome = run_cli("chat", "talk", said="hello\n", env={VARIABLE: "/dev/null/spans.jsonl"})
    assert (outcome.code, outcome.out) == (0, "Mock response to: hello\n")
    assert outcome.err.splitlines() == [
        f"{VARIABLE} must be a file that can be written: /dev/null/spans.jsonl cannot (Not a directory); its spans are"
        " written nowhere",
        "Go on with: langswarm-sessions chat talk",
    ]
