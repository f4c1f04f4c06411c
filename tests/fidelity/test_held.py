"""What the provider holds and what is sent make one legal conversation, in which nothing stands twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langswarm_sessions.messages import Role, SessionMessage, TextPart, ToolCall, ToolResult, TurnState
from langswarm_sessions.records import NativeKind, NativeState
from langswarm_sessions.strategies import carried
from langswarm_sessions.window import repair
from tests.fidelity.targets import TARGETS, Target
from tests.fidelity.test_pairs import given_to
from tests.support.histories import SPEAKERS, Said, for_model, said_marks, transcripts, written_marks
from tests.support.histories.contents import Words


@dataclass(frozen=True, slots=True)
class Kept:
    """A kind of conversation a provider keeps.

    Args:
        target: How it is asked.
        kind: Its kind.
        held: Returns what the provider holds of an answer: its raw items, as they stand in a request.
        takes_system: Whether a system message can follow; else the adapter gives the conversation up for a new one.
    """

    target: str
    kind: NativeKind
    held: Callable[[SessionMessage], list[dict[str, Any]]]
    takes_system: bool = True


def raw_items(answer: SessionMessage) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = (answer.provider_payload or {})["items"]
    return items


KEPT = {
    "openai node": Kept("openai responses", NativeKind.NODE, raw_items),
    "openai log": Kept("openai responses", NativeKind.LOG, raw_items),
    "gemini node": Kept("gemini interactions", NativeKind.NODE, raw_items),
    "mistral log": Kept("mistral conversations", NativeKind.LOG, raw_items, takes_system=False),
    "anthropic thread": Kept(
        "anthropic", NativeKind.EPHEMERAL, lambda answer: [{"role": "assistant", "content": raw_items(answer)}]
    ),
}


@pytest.mark.parametrize("name", KEPT)
@given(transcript=transcripts(), data=st.data())
def test_held_and_sent_are_one_conversation(name: str, transcript: list[SessionMessage], data: st.DataObject) -> None:
    kept, target = KEPT[name], TARGETS[KEPT[name].target]
    words = Words(data.draw, start=1000)
    first = target.request(given_to(target, transcript), keep_native=True)
    answer = an_answer(target, words, data)
    native = NativeState(
        provider=target.provider, kind=kept.kind, id="native", cursor=1, turn_id="answered", model=target.model,
        open_calls=tuple(call.id for call in answer.tool_calls),
    )  # fmt: skip
    since, new = what_follows(answer, words, data, with_system=kept.takes_system)
    delta = repair([*carried(for_model(since), target.takes), *new], open_calls=native.open_calls)
    second = target.request(delta, native=native, keep_native=True)

    whole = [*target.conversation(first), *kept.held(answer), *target.conversation(second)]
    assert target.problems({**second, target.said: whole}) == []
    told = said_marks([*given_to(target, transcript), answer, *delta])
    marks = Counter(mark for mark in written_marks([first, *kept.held(answer), second]) if "thought" not in mark)
    assert marks == Counter(text[1 : text.index(">")] for text in told), "each text once, wherever it lies"


def an_answer(target: Target, words: Words, data: st.DataObject) -> SessionMessage:
    """Return the answer the provider keeps: it speaks, and may wait for tools."""
    speaker = SPEAKERS[target.speaker]
    style = speaker.call_ids[-1]  # a provider gives no id twice
    calls = [
        ToolCall(id=style.format(words.number()), name=data.draw(st.sampled_from(speaker.call_names)))
        for _ in range(data.draw(st.integers(0, 2)))
    ]
    said = Said(number=words.number(), text=words.some("answer"), thought=words.some("thought"),
                calls=tuple(calls))  # fmt: skip
    return speaker.answer(said, turn_id="answered")


def what_follows(
    answer: SessionMessage, words: Words, data: st.DataObject, *, with_system: bool
) -> tuple[list[SessionMessage], list[SessionMessage]]:
    """Return what was added since outside any turn, or asked in vain, and the new input."""
    since: list[SessionMessage] = []
    if with_system and data.draw(st.booleans()):
        since.append(SessionMessage(role=Role.SYSTEM, content=words.some("system")))
    if data.draw(st.booleans()):
        state = data.draw(st.sampled_from([TurnState.FAILED, TurnState.INTERRUPTED]))
        since.append(SessionMessage(role=Role.USER, content=words.some("user"), status=state, turn_id="in vain"))
    how_many: int = data.draw(st.integers(0, len(answer.tool_calls)))
    if answered := answer.tool_calls[:how_many]:
        results = [ToolResult(tool_call_id=call.id, content=words.some("result")) for call in answered]
        return since, [SessionMessage(role=Role.TOOL, parts=[one], turn_id="new") for one in results]
    return since, [SessionMessage(role=Role.USER, parts=[TextPart(words.some("user"))], turn_id="new")]


def test_every_kind_of_native_state_is_here() -> None:
    """A provider that learns to keep conversations must be held to this, too."""
    kinds = {target.profile.native for target in TARGETS.values()} | {NativeKind.LOG}
    assert {kept.kind for kept in KEPT.values()} == kinds - {NativeKind.NONE}
    natives: Sequence[str] = [name for name, target in TARGETS.items() if target.profile.native is not NativeKind.NONE]
    assert {kept.target for kept in KEPT.values()} == set(natives)
