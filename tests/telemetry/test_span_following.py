"""A span file read as it grows, and the turns that its lines make up."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from langswarm_sessions_otel import SpanRecord
from langswarm_sessions_otel.reading.files import put_aside
from langswarm_sessions_otel.reading.following import follow_span_file, steps_as_they_end
from langswarm_sessions_otel.reading.records import line_of

SESSION: dict[str, Any] = {"langswarm.session.id": "s-1"}
TURN: dict[str, Any] = {**SESSION, "langswarm.session.operation": "send", "gen_ai.conversation.id": "s-1"}


def _span(name: str, parent: str | None = None, *, trace: str = "t", **facts: object) -> SpanRecord:
    return SpanRecord(
        name=name, trace=trace, span=name, parent=parent, kind="INTERNAL", start=1, end=2, attributes=facts
    )


def _one_after_the_other(*steps: Callable[[], object]) -> Callable[[], bool]:
    """Something happens at each wait; after the last one it is enough."""
    waiting = iter(steps)

    def wait() -> bool:
        step = next(waiting, None)
        if step is not None:
            step()
        return step is not None

    return wait


def test_what_is_appended_is_read_over_halves_of_lines_and_new_files(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"

    def append(text: str) -> Callable[[], object]:
        def write() -> None:
            with path.open("a", encoding="utf-8") as file:
                file.write(text)

        return write

    def rotate() -> None:
        append(line_of(_span("last of the old")))()
        path.replace(put_aside(path))
        append(line_of(_span("first of the new")))()

    path.write_text(line_of(_span("before")), encoding="utf-8")
    whole = line_of(_span("in two h\u00e4lves"))
    wait = _one_after_the_other(
        append(whole[:20]), append(whole[20:] + "no span\n"), rotate, append(line_of(_span("end")))
    )
    assert [record.name for record in follow_span_file(path, wait)] == [
        "in two h\u00e4lves",
        "last of the old",
        "first of the new",
        "end",
    ]


def test_a_file_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    wait = _one_after_the_other(lambda: None, lambda: path.write_text(line_of(_span("first")), encoding="utf-8"))
    assert [record.name for record in follow_span_file(path, wait)] == ["first"]


def test_a_file_that_is_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "spans.jsonl"
    path.write_text(line_of(_span("before")) * 3, encoding="utf-8")

    def add(name: str) -> Callable[[], object]:
        return lambda: os.write(file, line_of(_span(name)).encode())

    file = os.open(path, os.O_WRONLY | os.O_APPEND)
    wait = _one_after_the_other(add("first"), lambda: os.truncate(path, 0), add("second"), add("third"))
    names = [record.name for record in follow_span_file(path, wait)]
    os.close(file)
    assert names == ["first", "second", "third"]


def test_turns_and_transitions_come_whole_as_they_end() -> None:
    records = [
        _span("create", trace="t0", **SESSION, **{"langswarm.session.transition": "create"}),
        replace(_span("turn", "chain", **TURN), open=True),
        _span("load", "turn", **SESSION),
        _span("other load", "other turn"),
        _span("POST", "chat"),
        _span("rebuild", "turn", **SESSION, **{"gen_ai.conversation.id": "s-1"}),
        _span("chat", "turn", **SESSION),
        _span("turn", "chain", **TURN),
        _span("chain"),
        _span("other turn", "chain", **{**TURN, "langswarm.session.id": "s-2"}),
    ]
    steps = list(steps_as_they_end(records))
    assert [(step.root.name, step.root.parent) for step in steps] == [
        ("create", None),
        ("turn", None),
        ("other turn", None),
    ]
    assert [sorted(part.name for part in step.records) for step in steps[1:]] == [
        ["POST", "chat", "load", "rebuild", "turn"],
        ["other load", "other turn"],
    ]
    assert [step.root.name for step in steps_as_they_end(records, "s-2")] == ["other turn"]


def test_traces_that_never_end_are_not_held_for_ever() -> None:
    many = (_span("part", "never", trace=str(number)) for number in range(1000))
    late = [_span("turn", "part", trace="0", **TURN)]
    [step] = steps_as_they_end([*many, *late])
    assert [part.name for part in step.records] == ["turn"]
