"""The file of spans and the tree that people read."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace

from langswarm_sessions_otel import SpanRecord, Telemetry, TurnScope, read_span_file, render_span_tree
from langswarm_sessions_otel.reading.files import put_aside
from langswarm_sessions_otel.reading.records import SpanEvent, SpanLink, line_of, record_of
from langswarm_sessions_otel.sdk import delivery, local
from langswarm_sessions_otel.sdk.console import ConsoleTreeProcessor
from langswarm_sessions_otel.sdk.span_file import SpanFileProcessor

if TYPE_CHECKING:
    from tests.support.recorded import Recorded
    from tests.telemetry.conftest import RunPython

WholeTurn = Callable[..., str | None]
PREVIOUS = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _record(name: str, span: str, parent: str | None = None, **fields: object) -> SpanRecord:
    start = int(str(fields.pop("start", 0)))
    return SpanRecord(
        name=name,
        trace=str(fields.pop("trace", "t" * 32)),
        span=span,
        parent=parent,
        kind="INTERNAL",
        start=start,
        end=start + int(str(fields.pop("took", 1_500_000))),
        **fields,  # type: ignore[arg-type]
    )


def test_the_file_holds_what_the_spans_held(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn, tmp_path: Path
) -> None:
    path = tmp_path / "made" / "spans.jsonl"
    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=1_000_000))
    whole_turn(telemetry, previous=PREVIOUS)

    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(recorded.spans) + 2 == 8  # a turn has two lines before its end
    assert all(" :" not in line and json.loads(line)["name"] for line in lines)
    expected = sorted((record_of(span) for span in recorded.spans), key=lambda record: record.start)
    assert [line_of(record) for record in read_span_file(path)] == [line_of(record) for record in expected]
    assert render_span_tree(read_span_file(path)) == render_span_tree(recorded.spans)
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_killed_process_leaves_what_it_finished(run_python: RunPython, tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    code = """
        import os, signal
        from langswarm_sessions_otel import Telemetry, configure_telemetry
        configure_telemetry(span_file=os.environ["SPANS"])
        if os.fork() == 0:
            with Telemetry().turn(session_id="s-1", agent_name="session", operation="stream", mode="native",
                                  provider="mock", model="m", stream=True) as turn:
                with turn.storage("load", backend="sqlite") as load:
                    load.done(count=2)
                turn.began(turn_index=7)
                with turn.chat(provider="mock", model="m", stream=True):
                    os.kill(os.getpid(), signal.SIGKILL)
        _, status = os.wait()
        print(os.WTERMSIG(status))
    """
    assert run_python(code, SPANS=str(path)) == "9\n"
    assert path.read_text().count('"open":true') == 2, "one line at its beginning, one with its number"
    with path.open("a") as file:
        file.write('{"name":"cut off in the mid')

    turn, load = read_span_file(path, session_id="s-1")
    assert (turn.name, turn.open, turn.attributes["langswarm.session.turn.index"]) == ("invoke_agent session", True, 7)
    assert (load.name, load.open, load.parent) == ("langswarm.storage.load", False, turn.span)
    first, second = render_span_tree([turn, load]).splitlines()
    assert first.startswith("invoke_agent session  turn 7 · stream · native  ✗ never ended")
    assert second.startswith("└─ langswarm.storage.load")
    first, second = render_span_tree([load]).splitlines()
    assert "never ended" in first
    assert second.startswith("└─ langswarm.storage.load")


def test_reading_keeps_the_traces_of_one_session(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    mine, yours = {"langswarm.session.id": "mine"}, {"langswarm.session.id": "yours"}
    records = [
        _record("chain", "a" * 16, trace="1" * 32),
        _record("turn", "b" * 16, "a" * 16, trace="1" * 32, attributes=mine),
        _record("other turn", "c" * 16, "a" * 16, trace="1" * 32, attributes=yours),
        _record("elsewhere", "d" * 16, trace="2" * 32, attributes=yours),
    ]
    path.write_text("".join(map(line_of, records)) + '[1]\n{"name":"x"}\nnot json\n', encoding="utf-8")

    assert [record.name for record in read_span_file(path, session_id="mine")] == ["chain", "turn"]
    assert len(read_span_file(path)) == 4
    assert read_span_file(tmp_path / "missing.jsonl") == []


def test_a_tree() -> None:
    trace_before, second = "1" * 32, "2" * 32
    turn = {
        "langswarm.session.operation": "send",
        "langswarm.session.mode": "native",
        "langswarm.history.messages_sent": 1,
        "langswarm.history.messages_total": 5,
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ["stop"],
    }
    spans = [
        _record("langswarm.storage.append", "d" * 16, "b" * 16, trace=second, start=90, error="OSError",
                attributes={"langswarm.storage.backend": "sqlite", "langswarm.storage.count": 2}),
        _record("invoke_agent session", "a" * 16, trace=trace_before,
                attributes={**turn, "langswarm.session.turn.index": 1}),
        _record("invoke_agent session", "b" * 16, trace=second, start=10, took=2_340_000_000,
                attributes={**turn, "langswarm.session.turn.index": 2, "langswarm.turn.retries": 1},
                events=(SpanEvent(name="langswarm.turn.retry", time=20, attributes={"langswarm.retry.attempt": 1}),),
                links=(SpanLink(trace=trace_before, span="a" * 16,
                                attributes={"langswarm.link.kind": "previous_turn"}),)),
        _record("chat gpt-5", "c" * 16, "b" * 16, trace=second, start=30, took=900_000,
                attributes={"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
                            "gen_ai.usage.input_tokens": 12, "gen_ai.usage.output_tokens": 5,
                            "gen_ai.usage.cache_read.input_tokens": 4,
                            "gen_ai.response.time_to_first_chunk": 0.0123}),
        _record("POST", "e" * 16, "c" * 16, trace=second, start=40),
    ]  # fmt: skip
    assert render_span_tree(spans).splitlines() == [
        "invoke_agent session  1.5 ms  turn 1 · send · native · sent 1 of 5 messages · 12 → 5 tokens · stop",
        "invoke_agent session  2.34 s  turn 2 · send · native · sent 1 of 5 messages · 1 retries · 12 → 5 tokens · stop"
        " · follows turn 1",
        "├─ · langswarm.turn.retry attempt=1",
        "├─ chat gpt-5  900 µs  openai · first chunk 12.3 ms · 12 (4 cached) → 5 tokens",
        "│  └─ POST  1.5 ms",
        "└─ langswarm.storage.append  1.5 ms  sqlite · 2 messages  ✗ OSError",
    ]


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ({"langswarm.cost.usd": 5.25e-05}, "$0.0000525"),
        ({"langswarm.cost.usd": 0.5, "langswarm.cost.is_partial": True}, "at least $0.5"),
        (
            {
                "langswarm.handoff.from.provider": "openai",
                "langswarm.handoff.from.model": "gpt-5",
                "langswarm.handoff.to.provider": "anthropic",
                "langswarm.handoff.to.model": "claude",
            },
            "openai gpt-5 → anthropic claude",
        ),
    ],
)
def test_what_a_line_tells(attributes: dict[str, object], told: str) -> None:
    span = SpanRecord(
        name="span", trace="1" * 32, span="2" * 16, parent=None, kind="INTERNAL", start=0, end=1, attributes=attributes
    )
    assert render_span_tree([span]) == f"span  0 µs  {told}"


def test_a_trace_may_be_as_deep_as_it_likes() -> None:
    spans = [_record(f"span {depth}", f"{depth}", None if depth == 0 else f"{depth - 1}") for depth in range(2_000)]
    assert [line.strip("└─ ") for line in render_span_tree(spans).splitlines()] == [
        f"span {depth}  1.5 ms" for depth in range(2_000)
    ]


def test_a_span_that_stands_below_itself_is_drawn_once_there() -> None:
    spans = [_record("first", "a", None), _record("again", "a", "b"), _record("between", "b", "a")]
    lines = [line.strip("│├└─ ") for line in render_span_tree(spans).splitlines()]
    assert lines == ["first  1.5 ms", "between  1.5 ms", "again  1.5 ms"]


@pytest.mark.parametrize(("nanoseconds", "told"), [(-3 * 10**9, "-3.00 s"), (-5 * 10**6, "-5.0 ms"), (-7000, "-7 µs")])
def test_a_clock_that_was_put_back_is_told_in_the_same_units(nanoseconds: int, told: str) -> None:
    span = SpanRecord(
        name="span", trace="1", span="2", parent=None, kind="INTERNAL", start=10**18, end=10**18 + nanoseconds
    )
    assert render_span_tree([span]) == f"span  {told}"


def test_no_spans_are_no_text() -> None:
    assert render_span_tree([]) == ""


def test_links_to_spans_that_are_not_at_hand_are_told_by_their_id(
    recorded: Recorded, telemetry: Telemetry, start_turn: Callable[..., TurnScope]
) -> None:
    with start_turn(telemetry) as turn:
        turn.began(turn_index=3, previous=PREVIOUS, mode="native")
        turn.interrupted("abandoned")

    text = render_span_tree(recorded.spans)
    assert "follows span b7ad6b71" in text
    assert text.endswith("✗ abandoned")


def test_the_console_gets_a_tree_when_the_local_root_ends(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn
) -> None:
    stream = StringIO()
    recorded.tracer_provider.add_span_processor(ConsoleTreeProcessor(stream))
    tracer = recorded.tracer_provider.get_tracer("user")
    remote = trace.set_span_in_context(
        trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(1)))
    )
    with tracer.start_as_current_span("chain", context=remote):
        whole_turn(telemetry)
        assert stream.getvalue() == ""

    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("chain  ")
    assert lines[1].startswith("└─ invoke_agent session  ")


def test_a_closed_console_changes_nothing(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn, caplog: pytest.LogCaptureFixture
) -> None:
    stream = StringIO()
    stream.close()
    recorded.tracer_provider.add_span_processor(ConsoleTreeProcessor(stream))
    with caplog.at_level(logging.WARNING):
        whole_turn(telemetry)
        whole_turn(telemetry)

    assert len(recorded.spans) == 12
    assert recorded.points("langswarm.telemetry.errors") == []
    assert len([record for record in caplog.records if record.name == "langswarm_sessions.telemetry"]) == 1


def test_a_console_keeps_only_so_many_unfinished_traces(recorded: Recorded, telemetry: Telemetry) -> None:
    processor = ConsoleTreeProcessor(StringIO())
    recorded.tracer_provider.add_span_processor(processor)
    tracer = recorded.tracer_provider.get_tracer("user")
    for _ in range(400):
        root = tracer.start_span("never ends")
        tracer.start_span("child", trace.set_span_in_context(root)).end()

    assert len(processor._traces) <= 257


def test_a_console_keeps_the_root_of_a_trace_that_it_cannot_keep_all_of(recorded: Recorded) -> None:
    stream = StringIO()
    recorded.tracer_provider.add_span_processor(ConsoleTreeProcessor(stream))
    tracer = recorded.tracer_provider.get_tracer("theirs")
    with tracer.start_as_current_span("root"):
        for number in range(1200):
            tracer.start_span(f"part {number}").end()
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("root ")
    assert "part 1199 " in lines[-1]
    assert len(lines) == 1000


def test_a_file_that_was_open_to_others_is_closed_to_them(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    for there in (path, put_aside(path)):
        there.touch()
        there.chmod(0o664)
    SpanFileProcessor(path, limit=1_000_000).shutdown()
    if os.name == "posix":
        assert [stat.S_IMODE(there.stat().st_mode) for there in (path, put_aside(path))] == [0o600, 0o600]


def test_a_full_disk_is_told_with_the_file_and_counted_and_ends_no_line_of_others(
    recorded: Recorded,
    telemetry: Telemetry,
    whole_turn: WholeTurn,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, write, stages = tmp_path / "spans.jsonl", os.write, list[str]()
    rooms = iter([10, 0, *[1_000_000] * 20])

    def write_what_fits(file: int, data: bytes) -> int:
        if room := next(rooms):
            return write(file, data[:room])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recorded.tracer_provider.add_span_processor(SpanFileProcessor(path, limit=1_000_000))
    monkeypatch.setattr(os, "write", write_what_fits)
    monkeypatch.setattr(local, "count_error", stages.append)
    with caplog.at_level(logging.WARNING):
        whole_turn(telemetry)
    assert [record.getMessage() for record in caplog.records] == [
        f"langswarm-sessions: spans are not written to {path} (No space left on device). Sessions go on without"
    ]
    assert stages == ["write", "write"]
    torn, *whole = path.read_text().splitlines()
    assert len(torn) == 10
    assert [json.loads(line)["name"] for line in whole][-1] == "invoke_agent session"
    assert len(whole) == 6


def test_a_span_ends_well_where_neither_the_file_nor_the_count_of_failures_can_be_had(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recorded.tracer_provider.add_span_processor(SpanFileProcessor(tmp_path / "spans.jsonl", limit=1_000_000))
    monkeypatch.setattr(os, "write", fail)
    monkeypatch.setattr(delivery, "process_wide_instruments", fail)
    with recorded.tracer_provider.get_tracer("theirs").start_as_current_span("mine"):
        pass
    assert "mine" in {span.name for span in recorded.spans}


def test_a_handoff_on_the_console_is_named_by_the_turn_after_it(recorded: Recorded, telemetry: Telemetry) -> None:
    stream = StringIO()
    recorded.tracer_provider.add_span_processor(ConsoleTreeProcessor(stream))
    tracer = recorded.tracer_provider.get_tracer("langswarm_sessions")
    with tracer.start_as_current_span("handoff") as handoff:
        handoff.set_attribute("langswarm.handoff.from.provider", "openai")
        handoff.set_attribute("langswarm.handoff.from.model", "gpt-5")
    link = trace.Link(handoff.get_span_context(), {"langswarm.link.kind": "handoff"})
    tracer.start_span("turn", links=[link]).end()
    assert stream.getvalue().splitlines()[-1].endswith("  handed over from openai gpt-5")


def test_a_span_file_that_is_closed_takes_no_more(
    recorded: Recorded, telemetry: Telemetry, whole_turn: WholeTurn, tmp_path: Path
) -> None:
    processor = SpanFileProcessor(tmp_path / "spans.jsonl", limit=1_000_000)
    recorded.tracer_provider.add_span_processor(processor)
    processor.shutdown()
    processor.shutdown()
    whole_turn(telemetry)
    assert read_span_file(tmp_path / "spans.jsonl") == []
