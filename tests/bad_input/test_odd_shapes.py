"""Answers in which one thing is of the wrong kind: an answer, or an error of ours, and nothing else."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from langswarm_sessions import NativeStateLostError, ProviderError, SessionMessage
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, TextDelta
from langswarm_sessions.messages import Role, content_bytes
from langswarm_sessions.records import TurnOptions
from tests.bad_input.kit import Ask, Scene, discreet, wires
from tests.bad_input.spoiled import spoiled_places
from tests.support.relay import Change

CLOCK = {"name": "clock", "parameters": {"type": "object"}}
SOME, SOME_TURNS = 20, 2

Places = Sequence[tuple[str, Change]]


def _script(scene: Scene) -> None:
    scene.script(text="canary-7f3a said", tool_calls=(scene.call("clock", '{"zone": "UTC"}'),))


async def _asked(scene: Scene) -> Completed:
    """Ask the provider itself."""
    request = ProviderRequest(
        messages=(SessionMessage(role=Role.USER, content="two"),), keep_native=True, options=TurnOptions(tools=(CLOCK,))
    )
    provider: Any = scene.session.provider_session
    *events, completed = [event async for event in provider.stream_turn(request)]
    assert isinstance(completed, Completed)
    assert all(isinstance(event.text, str) for event in events if isinstance(event, TextDelta))
    return completed


async def _places(scene: Scene) -> Places:
    """Return every way to spoil an answer with text and a call."""
    _script(scene)
    await scene.session.send_message("two", tools=[CLOCK])
    answer = scene.relay.answers[-1]
    assert answer is not None
    await scene.goes_on()
    return list(spoiled_places(answer))


async def _outcome(scene: Scene, change: Change) -> str:
    _script(scene)
    scene.relay.change(change)
    try:
        completed = await _asked(scene)
    except (ProviderError, NativeStateLostError) as error:
        discreet(error)
        return type(error).__name__
    content_bytes([SessionMessage(role=Role.ASSISTANT, parts=list(completed.parts))])
    return "answered"


async def _check(scene: Scene, places: Places) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for name, change in places:
        try:
            outcomes[await _outcome(scene, change)] += 1
        except Exception as error:
            error.add_note(f"{scene.kind}: {name}")
            raise
    return outcomes


@wires("openai log")  # read as a node's answer is, and each takes two requests
async def test_some_places_spoiled(scene: Scene) -> None:
    places = await _places(scene)
    await _check(scene, random.Random(scene.kind.name).sample(places, min(SOME, len(places))))


async def test_turns_whose_answer_is_spoiled(scene: Scene, ask: Ask) -> None:
    places = await _places(scene)
    for _, change in random.Random(scene.kind.name).sample(places, SOME_TURNS):
        _script(scene)
        scene.relay.change(change)
        try:
            answer = await ask("two", tools=[CLOCK])
        except (ProviderError, NativeStateLostError) as error:
            discreet(error)
            assert await scene.newest() == [("two", "failed")]
        else:
            assert await scene.newest() == [("two", "completed"), (answer.content, "completed")]
        await scene.goes_on()


@pytest.mark.accept
@wires("openai log")
async def test_every_place_spoiled(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    places = await _places(scene)
    outcomes = await _check(scene, places)
    with capsys.disabled():
        print(f"\n{scene.kind}: {len(places)} places spoiled: {dict(outcomes)}")
