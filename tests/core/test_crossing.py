"""How single parts cross to a provider, and how the ids of tool calls do."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, Part, Role, SessionMessage, TextPart, ToolCall
from langswarm_sessions.providers.mapping import CallIds, call_id_within, newness, tool_name_within
from langswarm_sessions.providers.mock.connection import MOCK_PROFILE
from langswarm_sessions.strategies import carried, crossing_of
from langswarm_sessions.window import repair

SPOKEN = AudioPart(data="UklGRg==", transcript="Hello?")


def user(*parts: Part, turn: str | None = None, seq: int | None = None) -> SessionMessage:
    return SessionMessage(role=Role.USER, parts=list(parts), message_id="m1", turn_id=turn, seq=seq)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (SPOKEN, "Hello?"),
        (AudioPart(data="UklGRg=="), "[A recording was here that this model cannot be given.]"),
        (ImagePart(data="aGk="), "[An image was here that this model cannot be given.]"),
        (FilePart(file_id="file-1"), "[A file was here that this model cannot be given.]"),
    ],
)
def test_in_place_of_a_medium_its_words_or_a_note_are_told(part: Part, told: str) -> None:
    assert carried([user(part)], frozenset({"text"}))[0].parts == [TextPart(told)]


@pytest.mark.parametrize(
    ("part", "provider", "becomes"),
    [
        (SPOKEN, "cohere", "converted"),
        (AudioPart(data="UklGRg=="), "cohere", "dropped"),
        (FilePart(file_id="file-1"), "anthropic", "dropped"),
        (FilePart(file_id="file-1"), "openai", "crossed"),
        (FilePart(file_id="file_011"), "openai", "dropped"),
        (FilePart(file_id="files/abc"), "mistral", "dropped"),
        (FilePart(file_id="files/abc", data="aGk="), "mistral", "crossed"),
        (FilePart(file_id="3f2a"), "mistral", "crossed"),
    ],
)
def test_the_report_says_what_becomes_of_a_part(part: Part, provider: str, becomes: str) -> None:
    profile = replace(MOCK_PROFILE, takes=frozenset({"text", "image", "file"}))
    crossing = crossing_of([user(part)], provider=provider, model="m", profile=profile)
    found = {
        "crossed": bool(crossing.crossed),
        "converted": bool(crossing.converted),
        "dropped": bool(crossing.dropped),
    }
    assert [name for name, is_it in found.items() if is_it] == [becomes]


LEGAL = re.compile(r"[a-z0-9_]{1,30}")


@given(st.lists(st.text(max_size=40) | st.sampled_from(["call_1", "call_1_2", "a" * 30]), max_size=12))
def test_ids_are_legal_told_apart_and_always_the_same(given_ids: list[str]) -> None:
    ids, again = (CallIds(call_id_within(LEGAL, prefix="call_")) for _ in range(2))
    sent: list[str] = []
    for call_id in given_ids:
        sent.append(ids.made(call_id))
        assert ids.answered(call_id) == sent[-1], "the result goes with the newest call of its id"
    assert len(set(sent)) == len(sent)
    assert all(map(LEGAL.fullmatch, sent))
    assert [again.made(call_id) for call_id in given_ids] == sent


def test_names_of_tools_stay_where_they_can() -> None:
    assert tool_name_within("get-weather_2", longest=64) == "get-weather_2"
    assert tool_name_within("files.read", longest=64) == "files_read"
    assert tool_name_within("1st", longest=3, first="a-zA-Z_") == "_1s"
    assert tool_name_within("", longest=64) == "_"
    assert tool_name_within("ü" * 80, longest=64) == "_" * 64


def test_what_was_asked_in_vain_is_not_new() -> None:
    answer = SessionMessage(role=Role.ASSISTANT, content="ok")
    vain, new = user(TextPart("vain"), turn="t1", seq=3), user(TextPart("new"), turn="t2", seq=4)
    assert newness([user(TextPart("old")), answer, vain, new]) == [False, False, False, True]
    result_in_its_place = [answer, replace(new, role=Role.TOOL), vain]
    assert newness(result_in_its_place) == [False, True, False], "wherever repair put it"
    assert newness([user(TextPart("a")), user(TextPart("b"))]) == [True, True]
    assert newness([]) == []


def test_a_call_left_without_a_result_makes_nothing_else_old() -> None:
    asking = SessionMessage(role=Role.ASSISTANT, turn_id="t1", seq=2, tool_calls=[ToolCall(id="c1", name="clock")])
    added, new = user(ImagePart(data="AAAA"), seq=3), user(TextPart("new"), turn="t2", seq=4)
    assert newness(repair([asking, added, new])) == [False, False, False, True]
