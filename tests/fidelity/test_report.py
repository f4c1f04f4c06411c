"""What a handoff reports is what is sent: of every kind of content, wherever it stands, from everybody to everybody."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from langswarm_sessions.messages import (
    AudioPart,
    ImagePart,
    OtherPart,
    Part,
    Role,
    SessionMessage,
    TextPart,
    ToolCall,
    ToolResult,
)
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions.strategies import carried, crossing_of
from langswarm_sessions.window import repair
from tests.fidelity.targets import TARGETS, Target
from tests.fidelity.test_pairs import holds
from tests.support.histories import MEDIA, SPEAKERS, Said

PLACES = ("user", "results", "one result", "answer", "system")


def user(*parts: Part, turn: str) -> SessionMessage:
    return SessionMessage(role=Role.USER, parts=list(parts), turn_id=turn)


def assistant(*parts: Part, turn: str) -> SessionMessage:
    return SessionMessage(role=Role.ASSISTANT, parts=list(parts), turn_id=turn)


def history_with(part: Part, place: str) -> list[SessionMessage]:
    """Return a conversation that holds a part in a place."""
    if place == "user":
        return [user(TextPart("look"), part, TextPart("there"), turn="t1"), assistant(TextPart("ok"), turn="t1")]
    if place == "system":
        system = SessionMessage(role=Role.SYSTEM, parts=[TextPart("look"), part])
        return [user(TextPart("hi"), turn="t1"), assistant(TextPart("ok"), turn="t1"), system]
    if place == "answer":
        return [user(TextPart("draw"), turn="t1"), assistant(TextPart("here"), part, turn="t1")]
    names = ("c1", "c2") if place == "results" else ("c1",)
    calls = [ToolCall(id=name, name="shot", arguments={}) for name in names]
    results = [ToolResult(tool_call_id=name, content=f"result {name}") for name in names]
    return [
        user(TextPart("shoot"), turn="t1"),
        assistant(*calls, turn="t1"),
        SessionMessage(role=Role.TOOL, parts=[*results, part], turn_id="t2"),
        assistant(TextPart("ok"), turn="t2"),
    ]


def wire_of(target: Target, history: Sequence[SessionMessage], new: SessionMessage | None = None) -> str:
    """Return the body of a request as JSON, after holding it against the vendor's rules."""
    for seq, message in enumerate(history, start=1):
        message.seq = seq
    body = target.request(repair([*carried(history, target.takes), new or user(TextPart("go on"), turn="t9")]))
    assert target.problems(body) == []
    told = {**body, target.said: target.conversation(body)}
    return json.dumps(told, ensure_ascii=False, default=str)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", TARGETS)
def test_of_media_the_report_says_what_is_sent(name: str, place: str) -> None:
    target = TARGETS[name]
    for part in MEDIA:
        if name == "langchain" and place == "system":
            continue  # system messages are given as LangChain keeps them
        history = history_with(part, place)
        wire = wire_of(target, history)
        report = crossing_of(history, provider=target.provider, model=target.model, profile=target.profile)
        assert (part.type in report.crossed) == holds(wire, part), (part, report)
        if part.type not in report.crossed:
            assert told_instead(part) in wire, f"nothing tells of {part}"
        found = [note for note in (*report.converted, *report.dropped) if note.part == part.type]
        assert len(found) == (part.type not in report.crossed)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("source", SPEAKERS)
def test_of_reasoning_and_raw_blocks_too(source: str, name: str) -> None:
    target, speaker = TARGETS[name], SPEAKERS[source]
    call = ToolCall(id="rXo8OuL9G", name="clock", arguments={})
    for calls in ((), (call,)):
        for is_sealed in (True, False):
            said = Said(text="ans", thought="<thought>", is_sealed=is_sealed, number=1, calls=calls)
            answer = speaker.answer(said, model=target.model, turn_id="t1")
            results = [ToolResult(tool_call_id=one.id, content="noon") for one in answer.tool_calls]
            told = [SessionMessage(role=Role.TOOL, parts=[one], turn_id="t2") for one in results]
            history = [user(TextPart("q"), turn="t1"), answer, *told, assistant(TextPart("ok"), turn="t2")]
            wire = wire_of(target, history)
            report = crossing_of(history, provider=target.provider, model=target.model, profile=target.profile)
            assert ("reasoning" in report.crossed) == ("<thought>" in wire), (calls, is_sealed, report)


def test_a_raw_block_of_the_user_is_told_to_nobody_else() -> None:
    strange = OtherPart(data={"type": "strange", "of": ["<strange>"]})
    for name, target in TARGETS.items():
        history = history_with(strange, "user")
        assert "<strange>" not in wire_of(target, history), name
        report = crossing_of(history, provider=target.provider, model=target.model, profile=target.profile)
        assert [note.part for note in report.dropped] == ["other"], name


PNG = ImagePart(data="iVBORw0KGgo=", media_type="image/png")


@pytest.mark.parametrize("name", sorted(set(TARGETS) - {"cohere", "mistral conversations"}))
def test_new_media_beside_several_results_are_sent_once(name: str) -> None:
    target = TARGETS[name]
    *before, results, _ = history_with(PNG, "results")
    wire = wire_of(target, before, results)
    assert wire.count(PNG.data or "-") == 1
    assert "result c1" in wire
    assert "result c2" in wire


def test_a_note_stands_on_a_line_of_its_own() -> None:
    parts: list[Part] = [
        TextPart("look"),
        ImagePart(data="aGk="),
        TextPart("there"),
        AudioPart(data="aGk=", transcript="Hi!"),
    ]
    (message,) = carried([user(*parts, turn="t1")], frozenset({"text"}))
    assert message.content == f"look\n{told_instead(ImagePart())}\nthere\nHi!"
