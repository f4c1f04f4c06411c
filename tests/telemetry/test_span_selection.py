"""A session's spans divided into turns and transitions, and some of them picked."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions_otel import SpanRecord
from langswarm_sessions_otel.reading.selection import select_steps, spans_of, steps_of
from langswarm_sessions_otel.reading.tree import draw_traces, render_span_tree

SESSION = {"langswarm.session.id": "s-1"}
IN_TURN: dict[str, Any] = {"gen_ai.conversation.id": "s-1"}


def _span(
    span: str,
    parent: str | None = None,
    *,
    trace: str = "t1",
    start: int = 0,
    turn: int | None = None,
    own: bool = True,
    error: str | None = None,
    open: bool = False,
    **attributes: object,
) -> SpanRecord:
    facts: dict[str, object] = {**(SESSION if own else {}), **attributes}
    if turn is not None:
        facts |= {"langswarm.session.turn.index": turn, "langswarm.session.operation": "send"}
    return SpanRecord(
        name=span, trace=trace, span=span, parent=parent, kind="INTERNAL", start=start, end=start + 1, error=error,
        open=open, attributes=facts,
    )  # fmt: skip


RECORDS = [
    _span("create", trace="t0", start=1),
    _span("chain", trace="t1", start=2, own=False),
    _span("turn 1", "chain", trace="t1", start=3, turn=1),
    _span("load", "turn 1", trace="t1", start=4),
    _span("chat", "turn 1", trace="t1", start=5, error="TimeoutError"),
    _span("POST", "chat", trace="t1", start=6, own=False),
    _span("other step", "chain", trace="t1", start=7, own=False),
    _span("turn 2", trace="t2", start=8, turn=2),
    _span("load", "lost", trace="t3", start=9, **IN_TURN),
    _span("append", "lost", trace="t3", start=9, **IN_TURN),
    _span("turn 3", trace="t4", start=10, turn=3),
    _span("archive", trace="t5", start=11),
    _span("turn 4", trace="t6", start=12, turn=4, open=True),
    _span("load 4", "turn 4", trace="t6", start=13, **IN_TURN),
    _span("purge", "user's", trace="t7", start=14),
]


def _names(**selection: object) -> list[str]:
    steps = select_steps(steps_of(RECORDS, "s-1"), **selection)  # type: ignore[arg-type]
    return [record.name for record in spans_of(steps, RECORDS)]


def test_turns_transitions_and_what_a_killed_turn_left_are_steps() -> None:
    steps = steps_of(RECORDS, "s-1")
    assert [(step.root.name, step.turn, step.is_turn, step.failed) for step in steps] == [
        ("create", None, False, False),
        ("turn 1", 1, True, True),
        ("turn 2", 2, True, False),
        ("load", None, True, True),
        ("turn 3", 3, True, False),
        ("archive", None, False, False),
        ("turn 4", 4, True, True),
        ("purge", None, False, False),
    ]
    assert [step.root.name for step in steps if not step.ended] == ["load", "turn 4"]
    assert [record.name for record in steps[3].records] == ["load", "append"]
    assert sorted(record.name for record in steps[1].records) == ["POST", "chat", "load", "turn 1"]


def test_one_turn_comes_with_what_it_stands_in() -> None:
    assert _names(turn=1) == ["chain", "turn 1", "load", "chat", "POST"]
    assert _names(turn=2) == ["turn 2"]
    assert _names(turn=9) == []


def test_the_last_turns_come_with_what_followed() -> None:
    assert _names(last=1) == ["turn 4", "load 4", "purge"]
    assert _names(last=2) == ["turn 3", "archive", "turn 4", "load 4", "purge"]
    assert _names(last=3) == ["load", "append", "turn 3", "archive", "turn 4", "load 4", "purge"]
    assert _names(last=50) == [record.name for record in RECORDS if record.name not in ("create", "other step")]


def test_what_failed_or_never_ended_is_found_however_deep() -> None:
    failed, killed = ["chain", "turn 1", "load", "chat", "POST"], ["turn 4", "load 4"]
    assert _names(failed=True) == [*failed, "load", "append", *killed]
    assert _names(failed=True, last=1) == killed
    assert _names(failed=True, turn=1) == failed
    assert _names(failed=True, turn=2) == []
    assert _names(turn=4) == killed


def test_a_circle_of_parents_ends() -> None:
    circle = [_span("a", "b", own=False), _span("b", "a", own=False), _span("c", "a")]
    steps = steps_of(circle, "s-1")
    assert [step.root.name for step in steps] == ["c"]
    assert {record.name for record in spans_of(steps, circle)} == {"a", "b", "c"}


def test_links_name_turns_that_are_not_drawn() -> None:
    from langswarm_sessions_otel.reading.records import SpanLink

    link = SpanLink(trace="t1", span="turn 1", attributes={"langswarm.link.kind": "previous_turn"})
    second = SpanRecord(
        name="turn 2", trace="t2", span="x", parent=None, kind="INTERNAL", start=8, end=9, links=(link,)
    )
    [trace] = draw_traces([second], known=RECORDS)
    assert trace.lines[0].endswith("follows turn 1")


@pytest.mark.parametrize(
    ("kind", "known", "told"),
    [
        ("handoff", {}, "handed over in span b7ad6b71"),
        (
            "handoff",
            {"langswarm.handoff.from.provider": "openai", "langswarm.handoff.from.model": "gpt-5"},
            "handed over from openai gpt-5",
        ),
        ("source_turn", {}, "continues span b7ad6b71"),
        ("source_turn", {"langswarm.session.turn.index": 3}, "continues turn 3"),
        ("last_good_turn", {"langswarm.session.turn.index": 3}, "after turn 3"),
        ("previous_turn", {}, "follows span b7ad6b71"),
        ("of a later version", {}, "see span b7ad6b71"),
    ],
)
def test_a_link_says_what_it_is(kind: str, known: dict[str, Any], told: str) -> None:
    from langswarm_sessions_otel.reading.records import SpanLink

    target = _span("b7ad6b7169203331", trace="t1", **known)
    link = SpanLink(trace="t1", span=target.span, attributes={"langswarm.link.kind": kind})
    span = SpanRecord(name="x", trace="t2", span="x", parent=None, kind="INTERNAL", start=8, end=9, links=(link,))
    [trace] = draw_traces([span], known=[target] if known else [])
    assert trace.lines[0].endswith(f"  {told}")


def test_content_stands_under_a_turn_that_was_recorded_with_it() -> None:
    said: dict[str, Any] = {"input.value": "two\nlines \x1b[31m", "output.value": "x" * 500}
    lines = render_span_tree([_span("turn", turn=1, **said), _span("chat", "turn", start=1)]).splitlines()
    assert lines[1] == "│  » two lines \ufffd[31m"
    assert lines[2] == f"│  « {'x' * 160}…"
    assert lines[3].startswith("└─ chat")
    assert "»" not in render_span_tree([_span("turn", turn=1)])


def test_nothing_in_a_span_can_steer_a_terminal() -> None:
    text = render_span_tree([_span("turn\x1b[2J", turn=1, error="Error\x07: two\nlines")])
    assert text.isprintable()
    assert text.endswith("✗ Error\ufffd: two lines")
