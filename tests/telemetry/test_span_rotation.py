"""The span file's size: one file and one put aside, written by many at once, and nothing lost on the way."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from langswarm_sessions_otel import SpanRecord, Telemetry, TurnScope, read_span_file
from langswarm_sessions_otel.reading.files import TracedSession, put_aside, read_span_files, traced_sessions
from langswarm_sessions_otel.reading.records import line_of
from langswarm_sessions_otel.sdk import span_file
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor

if TYPE_CHECKING:
    from tests.support.recorded import Recorded
    from tests.telemetry.conftest import RunPython

StartTurn = Callable[..., TurnScope]
LIMIT = 10_000


def _record(number: int, **attributes: object) -> SpanRecord:
    return SpanRecord(
        name=f"span {number}",
        trace=f"{number // 10:032x}",
        span=f"{number:016x}",
        parent=None,
        kind="INTERNAL",
        start=number,
        end=number + 1,
        attributes=attributes,
    )


def _write(path: Path, *records: SpanRecord) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.writelines(map(line_of, records))


def test_a_full_file_is_put_aside_and_reading_goes_over_both(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn, tmp_path: Path
) -> None:
    path = tmp_path / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=LIMIT))
    for number in range(200):
        with start_turn(telemetry, session_id=f"s-{number}"):
            pass

    sizes = [file.stat().st_size for file in (put_aside(path), path)]
    assert all(0 < size <= LIMIT for size in sizes)
    assert sorted(os.listdir(tmp_path)) == ["spans.jsonl", "spans.jsonl.1"]
    kept = [str(record.attributes["langswarm.session.id"]) for record in read_span_file(path)]
    assert kept == [f"s-{number}" for number in range(200 - len(kept), 200)]
    assert len(kept) > 5
    assert [session.session_id for session in traced_sessions([path])] == kept


WRITE = """
import sys
from pathlib import Path
from opentelemetry.sdk.trace import TracerProvider
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SpanFileProcessor(Path(sys.argv[1]), limit=int(sys.argv[2])))
tracer = provider.get_tracer("test")
print("ready", flush=True)
sys.stdin.read()
for number in range(400):
    tracer.start_span(f"{sys.argv[3]} {number}", attributes={"langswarm.session.id": sys.argv[3]}).end()
"""


def test_processes_that_write_at_once_put_each_file_aside_once(tmp_path: Path) -> None:
    """Each puts aside a file that is full, never the new one of another: what is left is the newest, whole."""
    path, limit = tmp_path / "spans.jsonl", 100_000
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, str(path), str(limit), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(span_file.__file__).parents[2])},
            text=True,
        )
        for name in ("a", "b", "c")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    for writer in writers:
        assert writer.wait(60) == 0
        assert writer.stdout is not None
        writer.stdout.close()

    lines = [line for file in (put_aside(path), path) for line in file.read_text().splitlines()]
    assert all(json.loads(line) for line in lines)
    total = sum(file.stat().st_size for file in (put_aside(path), path))
    assert limit < total <= 2 * limit + 3 * 400
    for name in ("a", "b", "c"):
        numbers = [int(record.name.split()[1]) for record in read_span_file(path, session_id=name)]
        assert numbers == list(range(400 - len(numbers), 400))


def test_threads_lose_no_line(tmp_path: Path, recorded: Recorded) -> None:
    path = tmp_path / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=10**9))
    tracer = recorded.tracer_provider.get_tracer("test")

    def write() -> None:
        for _ in range(200):
            tracer.start_span("span").end()

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_span_file(path)) == 800


def test_a_file_that_was_removed_is_begun_anew(
    recorded: Recorded, telemetry: Telemetry, start_turn: StartTurn, tmp_path: Path
) -> None:
    path = tmp_path / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=LIMIT))
    with start_turn(telemetry):
        pass
    path.unlink()
    with start_turn(telemetry, session_id="s-2"):
        pass
    assert [session.session_id for session in traced_sessions([path])] == ["s-2"]


@pytest.mark.parametrize("without_locks", [False, True])
def test_where_a_file_cannot_be_renamed_it_goes_on(
    recorded: Recorded,
    telemetry: Telemetry,
    start_turn: StartTurn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    without_locks: bool,
) -> None:
    def refuse(_path: Path, _target: Path) -> Path:
        raise PermissionError("open elsewhere")

    monkeypatch.setattr(Path, "replace", refuse)
    if without_locks:
        monkeypatch.setattr(span_file, "fcntl", None)
    path = tmp_path / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=LIMIT))
    for _ in range(100):
        with start_turn(telemetry):
            pass
    assert LIMIT < path.stat().st_size <= 2 * LIMIT
    assert not put_aside(path).exists()


HOLD = """
import fcntl, sys
with open(sys.argv[1]) as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_holds_a_full_file_holds_no_turn_up_and_loses_no_line(
    recorded: Recorded,
    telemetry: Telemetry,
    start_turn: StartTurn,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=LIMIT))

    def fill(number: int) -> None:
        before = path.stat().st_size
        size = before
        while before <= size <= number:
            with start_turn(telemetry):
                pass
            last, size = size, path.stat().st_size
            assert size != last, "a line was lost"

    fill(LIMIT - 1000)
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        filling = threading.Thread(target=fill, args=(3 * LIMIT,), daemon=True)
        filling.start()
        filling.join(30)
        was_held_up = filling.is_alive()
        holder.communicate("")
    filling.join()
    assert not was_held_up
    assert not put_aside(path).exists()
    assert "cannot be renamed" not in caplog.text, "another is about to"
    fill(4 * LIMIT)
    assert path.stat().st_size < LIMIT < put_aside(path).stat().st_size


def test_a_forked_child_puts_no_file_aside_while_its_parent_does(run_sdk: RunPython, tmp_path: Path) -> None:
    """A lock on a file that was opened before the fork would be the child's as well."""
    path = tmp_path / "spans.jsonl"
    printed = run_sdk(f"""
import fcntl, os
from pathlib import Path
from opentelemetry.sdk.trace import TracerProvider
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor

path, opened = Path({str(path)!r}), []
opener = os.open
os.open = lambda *given: opened.append(opener(*given)) or opened[-1]
provider = TracerProvider(shutdown_on_exit=False)
provider.add_span_processor(SpanFileProcessor(path, limit={LIMIT}))
os.open = opener
tracer = provider.get_tracer("test")
text = {{"text": "x" * {LIMIT - 1000}}}
tracer.start_span("first", attributes=text).end()
fcntl.flock(opened[0], fcntl.LOCK_EX)
if os.fork() == 0:
    tracer.start_span("child's", attributes=text).end()
    os._exit(0)
os.wait()
print(path.with_name("spans.jsonl.1").exists())
tracer.start_span("parent's", attributes=text).end()
print(path.with_name("spans.jsonl.1").exists())
""")
    assert printed == "False\nTrue\n"
    assert [record.name for record in read_span_file(path)] == ["first", "child's", "parent's"]


def test_a_pipe_that_nobody_reads_holds_nobody_up(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    told: list[str | None] = []

    def configure() -> None:
        try:
            SpanFileProcessor(pipe, limit=LIMIT)
        except OSError as error:
            told.append(error.strerror)

    thread = threading.Thread(target=configure, daemon=True)
    thread.start()
    thread.join(30)
    assert told == [os.strerror(errno.ENXIO)]


def test_several_files_are_one(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    mine = {"langswarm.session.id": "mine"}
    _write(put_aside(first), _record(1, **mine))
    _write(first, _record(12, **mine), _record(40))
    _write(second, _record(12, **mine), _record(25, **mine), _record(30, **{"langswarm.session.id": "yours"}))

    assert [record.start for record in read_span_files([second, first], session_id="mine")] == [1, 12, 25]
    assert [record.start for record in read_span_files([first, second, first])] == [1, 12, 25, 30, 40]
    assert [session.session_id for session in traced_sessions([first, second])] == ["mine", "yours"]


def test_sessions_are_told_with_what_became_of_their_turns(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    turn = {"langswarm.session.id": "s", "langswarm.session.operation": "send"}
    begun = [replace(_record(number, **turn), open=True) for number in (10, 20, 30)]
    ended = [_record(10, **turn), replace(_record(20, **turn), error="TimeoutError", end=99)]
    child = _record(40, **{"langswarm.session.id": "s"})
    _write(path, *begun, *ended, begun[0], child, _record(1), _record(2, **{"langswarm.session.id": 5}))

    assert traced_sessions([path]) == [TracedSession(session_id="s", turns=3, failed=1, open=1, last_seen=99)]
    assert [(record.start, record.open) for record in read_span_file(path, session_id="s")] == [
        (10, False), (20, False), (30, True), (40, False),
    ]  # fmt: skip


def test_a_session_is_read_without_holding_the_rest(run_sdk: RunPython, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    others = [_record(number, **{"langswarm.session.id": "other", "text": "x" * 1000}) for number in range(10, 5000)]
    _write(path, *others, _record(1, **{"langswarm.session.id": 'mi"ne}\u00e9'}))
    printed = run_sdk(f"""
import sys, tracemalloc
from langswarm_sessions_otel import read_span_file
tracemalloc.start()
print(len(read_span_file({str(path)!r}, session_id='mi"ne}}\u00e9')), tracemalloc.get_traced_memory()[1] < 1_000_000)
""")
    assert printed == "1 True\n"


@pytest.mark.parametrize(
    "line",
    [
        "null", "[]", "5", '"text"', "{}", '{"name":"x"}', "[" * 100_000, "{" * 10,
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":"soon","end":2}',
        '{"name":5,"trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"attributes":[1]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"events":[5]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"links":{"a":1}}',
        '{"name":"x","trace":"1","span":"","parent":null,"kind":"INTERNAL","start":1,"end":2}',
        '{"name":"x","trace":"1","span":"2","parent":["1"],"kind":"INTERNAL","start":1,"end":2}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":1e30}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":-1,"end":2}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":9999999999999999999}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"service":{}}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"process":[]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"events":[{"name":"e","time":"x"}]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"events":[{"name":"e","time":1,"attributes":null}]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"links":[{"trace":"1","span":[]}]}',
        '{"name":"x","trace":"1","span":"2","parent":null,"kind":"INTERNAL","start":1,"end":2,"links":[{"trace":"1","span":"2","attributes":[1]}]}',
    ],
)  # fmt: skip
def test_lines_that_are_no_spans_are_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(f"{line}\n{line_of(_record(1))}{line}", encoding="utf-8")
    assert [record.start for record in read_span_file(path)] == [1]


def test_lines_that_were_written_anew_with_spaces_are_those_of_their_session(tmp_path: Path) -> None:
    path, mine = tmp_path / "spans.jsonl", _record(1, **{"langswarm.session.id": "mine"})
    path.write_text(json.dumps(json.loads(line_of(mine))) + "\n", encoding="utf-8")
    assert read_span_file(path, session_id="mine") == [mine]


def test_lines_of_a_newer_version_are_read_for_what_is_known(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(line_of(_record(1)).replace('"kind"', '"colour":"red","kind"'), encoding="utf-8")
    assert read_span_file(path) == [_record(1)]
