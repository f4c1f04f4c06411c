"""Whatever was said to whom, the next provider is given all of it, once, in a request it takes."""

from __future__ import annotations

import base64
import copy
from collections import Counter
from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import given

from langswarm_sessions.messages import ReasoningPart, Role, SessionMessage
from langswarm_sessions.providers.media import Medium, told_instead
from langswarm_sessions.strategies import carried
from langswarm_sessions.window import repair
from tests.fidelity.targets import TARGETS, Target
from tests.support.histories import SPEAKERS, for_model, said_marks, strings_in, transcripts, written_marks

SIDES = ("openai", "anthropic", "gemini", "mistral", "cohere", "mychat")
ANYWHERE = ("system",)
"""Kinds of texts that some APIs take in front only."""


def speakers_of(*sides: str) -> list[str]:
    return [name for side in sides for name, speaker in SPEAKERS.items() if speaker.provider == side]


def given_to(target: Target, transcript: Sequence[SessionMessage]) -> tuple[SessionMessage, ...]:
    """Return what the planner sends: the history as far as the target takes it, and the new input, repaired."""
    newest = transcript[-1].turn_id
    history = [message for message in for_model(transcript) if message.turn_id is None or message.turn_id != newest]
    new = [message for message in transcript if message.turn_id is not None and message.turn_id == newest]
    return repair([*carried(history, target.takes), *new])


@pytest.mark.hypothesis
@pytest.mark.parametrize(("source", "side"), list(product(SIDES, SIDES)))
def test_a_request_is_legal_and_whole(source: str, side: str) -> None:
    targets = {name: target for name, target in TARGETS.items() if target.provider == side}

    @given(transcript=transcripts(speakers_of(source, source, side)))
    def check(transcript: list[SessionMessage]) -> None:
        before = copy.deepcopy(transcript)
        for name, target in targets.items():
            messages = given_to(target, transcript)
            assert repair(messages) == messages, "repairing twice changes nothing"
            body = target.request(messages)
            assert target.problems(body) == [], name
            assert target.request(given_to(target, transcript)) == body, f"{name}: another request for the same"
            everything_is_told(target, messages, body)
        assert transcript == before, "nothing of the transcript is changed"

    check()


def everything_is_told(target: Target, messages: Sequence[SessionMessage], body: dict[str, Any]) -> None:
    """Each text once, in the order it was said, letter by letter; no reasoning of others."""
    texts = said_marks(messages)
    said = target.conversation(body)
    marks = list(written_marks(body if target.provider != "mychat" else said))
    expected = [text[1 : text.index(">")] for text in texts]
    told = [mark for mark in marks if not mark.startswith("thought")]
    assert Counter(told) == Counter(expected), "each text stands once in what the model is given"
    in_order = [mark for mark in told if not mark.startswith(ANYWHERE)]
    assert in_order == [mark for mark in expected if not mark.startswith(ANYWHERE)], "in the order it was said"
    strings = "\0".join(strings_in(body if target.provider != "mychat" else said))
    assert all(text.strip() in strings for text in texts), "letter by letter"
    media = [part for message in messages for part in message.parts if isinstance(part, Medium)]
    assert all(holds(strings, part) or told_instead(part) in strings for part in media), "a medium, or a note of it"
    foreign = {thought for message in messages if not is_own(target, message) for thought in thoughts(message)}
    assert not [mark for mark in marks if f"<{mark}>" in foreign], "reasoning is its own model's"


def holds(strings: str, part: Medium) -> bool:
    """Whether a medium is sent; of a text file an API may be sent its text."""
    embedded = part.url.partition(",")[2] if part.url and part.url.startswith("data:") else None
    letters = (part.data or embedded or "").replace("+", "-").replace("/", "_")  # as Gemini's SDK writes them
    given = (part.data, part.url, getattr(part, "file_id", None), embedded, letters)
    as_text = base64.b64decode(part.data).decode() if part.data and part.media_type == "text/plain" else None
    return any(mark in strings for mark in (*given, as_text) if mark)


def is_own(target: Target, message: SessionMessage) -> bool:
    payload = message.provider_payload or {}
    return (payload.get("provider"), payload.get("model")) == (SPEAKERS[target.speaker].provider, target.model)


def thoughts(message: SessionMessage) -> set[str]:
    if message.role is not Role.ASSISTANT:
        return set()
    return {part.text[: part.text.index(">") + 1] for part in message.parts if isinstance(part, ReasoningPart)}


@pytest.mark.parametrize("name", TARGETS)
@given(transcript=transcripts())
def test_what_was_sent_before_stays_as_it_was(name: str, transcript: list[SessionMessage]) -> None:
    """The prompt caches of the providers know the beginning of a conversation."""
    target = TARGETS[name]
    spoken = [message for message in transcript if message.role is not Role.SYSTEM]
    newest = list(given_to(target, spoken))
    before = target.conversation(target.request(newest))
    grown = [*newest, SessionMessage(role=Role.ASSISTANT, content="ok"), SessionMessage(role=Role.USER, content="more")]
    assert target.conversation(target.request(repair(grown)))[: len(before)] == before
