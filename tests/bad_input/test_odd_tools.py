"""Tool calls no model should make: of unknown tools, with arguments that are no JSON, two of one id, a hundred."""

from __future__ import annotations

import json

from langswarm_sessions import SessionMessage
from tests.bad_input.kit import Ask, Scene, wires

CLOCK = {"name": "clock", "parameters": {"type": "object", "properties": {"zone": {"type": "string"}}}}
NO_JSON = ["{'zone': 'UTC'}", '{"zone": "UT', "UTC", "[1, 2]", "null and void", "7", '"UTC"']
DEEP = 60
MANY = 100


async def _answered(scene: Scene, answer: SessionMessage) -> None:
    """Answer the calls, and go on."""
    results = [{"tool_call_id": call.id, "content": f"of {place}"} for place, call in enumerate(answer.tool_calls)]
    said = await scene.session.send_tool_results(results, tools=[CLOCK])
    assert said.content.endswith(", ".join(result["content"] for result in results))
    await scene.goes_on()


async def test_a_tool_nobody_offered_is_left_to_the_caller(scene: Scene, ask: Ask) -> None:
    scene.script(tool_calls=(scene.call("clock"),))
    scene.spoil(b'"clock"', b'"telepathy"')
    answer = await ask("two", tools=[CLOCK])
    assert [call.name for call in answer.tool_calls] == ["telepathy"]
    assert (await scene.newest())[0] == ("two", "completed")
    await scene.goes_on()


@wires("gemini client")  # there, arguments are an object by themselves
async def test_arguments_that_are_no_object_are_kept_as_they_came(scene: Scene, ask: Ask) -> None:
    for text in NO_JSON:
        scene.script(tool_calls=(scene.call("clock", text),))
        answer = await ask("two", tools=[CLOCK])
        [call] = answer.tool_calls
        assert (call.arguments, call.raw_arguments) == ({}, text)
        await _answered(scene, answer)


async def test_arguments_may_be_deep(scene: Scene, ask: Ask) -> None:
    deep: object = "bottom"
    for _ in range(DEEP):
        deep = {"zone": deep}
    scene.script(tool_calls=(scene.call("clock", json.dumps(deep)),))
    answer = await ask("two", tools=[CLOCK])
    assert [call.arguments for call in answer.tool_calls] == [deep]
    assert (await scene.session.get_messages())[-1].tool_calls == answer.tool_calls
    await _answered(scene, answer)


async def test_a_hundred_calls_at_once(scene: Scene, ask: Ask) -> None:
    zones = [{"zone": str(number)} for number in range(MANY)]
    scene.script(tool_calls=tuple(scene.call("clock", json.dumps(zone)) for zone in zones))
    answer = await ask("two", tools=[CLOCK])
    assert [call.arguments for call in answer.tool_calls] == zones
    assert len({call.id for call in answer.tool_calls}) == MANY
    await _answered(scene, answer)


@wires("gemini node", "gemini client")  # there, the provider gives them their ids
async def test_two_calls_of_one_id_are_told_apart(scene: Scene, ask: Ask) -> None:
    zones = ("here", "there")
    calls = tuple(scene.call("clock", json.dumps({"zone": zone}), f"call_odd{zone}") for zone in zones)
    scene.script(tool_calls=calls)
    scene.spoil(b"call_oddthere", b"call_oddhere")
    answer = await ask("two", tools=[CLOCK])
    assert [call.arguments for call in answer.tool_calls] == [{"zone": zone} for zone in zones]
    assert len({call.id for call in answer.tool_calls}) == len(zones)
    await _answered(scene, answer)


async def test_a_call_of_nothing_is_no_answer(scene: Scene, ask: Ask) -> None:
    """Nobody could answer it, and providers refuse a history that holds it."""
    scene.script(tool_calls=(scene.call("clock"),))
    scene.spoil(b'"clock"', b'""')
    answer = await ask("two", tools=[CLOCK])
    assert answer.content.endswith("You said: two"), "it was asked for again"
    assert answer.tool_calls == []
    await scene.goes_on()
