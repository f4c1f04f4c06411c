"""Questions no provider can answer: broken tools, media it does not take, calls from the wrong side."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from langswarm_sessions import ContextOverflowError, InvalidInputError, InvalidRequestError
from langswarm_sessions.messages import AudioPart, FilePart, ImagePart, OtherPart, Part, ToolCall
from tests.bad_input.kit import SECRET, Ask, Scene, refused
from tests.support.provider_server.faults import HttpFault

CLOCK = {"name": "clock", "parameters": {"type": "object"}}
IMAGE = ImagePart(data="iVBORw0KGgo=", media_type="image/png")

TOOLS: dict[str, tuple[list[Any], str]] = {
    "no name": ([{"description": SECRET}], "needs a 'name'"),
    "an empty name": ([{"name": "", "parameters": {}}], "name"),
    "parameters that are no schema": ([{"name": "clock", "parameters": SECRET}], "JSON schema"),
    "parameters of no object": ([{"name": "clock", "parameters": {"type": "string"}}], "type 'object'"),
    "a type there is not": (
        [{"name": "clock", "parameters": {"type": "object", "properties": {"x": {"type": "strnig"}}}}],
        "tools[0] (clock): parameters.properties.x.type",
    ),
    "a name nobody takes": ([{"name": "a b"}], "a tool's name"),
    "one name twice": ([CLOCK, CLOCK], "its own name"),
    "no list": (SECRET, "tools"),  # type: ignore[dict-item]
}
CONTENT: dict[str, tuple[Any, str]] = {
    "nothing": ("", "must not be empty"),
    "no parts": ([], "must not be empty"),
    "half a surrogate pair": (f"{SECRET}\ud83d", "surrogate"),
    "an image that is no base64": ([ImagePart(data=f"%{SECRET}%", media_type="image/png")], "base64"),
    "a file that is no base64": ([FilePart(data=f"%{SECRET}%", media_type="application/pdf")], "base64"),
    "an image that is nowhere": ([ImagePart()], "holds no image"),
    "a file that is nowhere": ([FilePart()], "holds no file"),
    "a recording that is nowhere": ([AudioPart()], "holds no audio"),
    "a file of this machine": ([FilePart(url=f"file:///{SECRET}")], "url must begin with"),
    "an image of no type": ([ImagePart(data="iVBORw0KGgo=")], "media_type is missing"),
    "an image of an odd type": ([ImagePart(data="iVBORw0KGgo=", media_type=SECRET)], "media_type is none"),
    "a call the model should make": ([ToolCall(id="call_1", name=SECRET)], "send_tool_results"),
    "a part of no kind": ([{"type": SECRET}], "type"),
}
UNTAKEN: list[Part] = [
    OtherPart(data={"type": SECRET}),
]
NOT_EVERYWHERE: list[Part] = [
    AudioPart(data="UklGRg==", media_type="audio/wav"),
    FilePart(data="TVo=", media_type="application/x-odd"),
]
CHOICES: dict[str, tuple[dict[str, Any], str]] = {
    "no tool of the turn": ({"tools": [CLOCK], "tool_choice": "watch"}, "'watch' is not among the tools: clock."),
    "of no tools": ({"tool_choice": "required"}, "there are no tools"),
}


async def _unsent(scene: Scene, asking: Awaitable[Any], remedy: str) -> None:
    before = scene.relay.count
    error = await refused(scene, asking, InvalidInputError)
    assert remedy in str(error)
    assert scene.relay.count == before, "nothing was sent"


async def test_broken_tools_are_refused_before_anything_is_stored(scene: Scene, ask: Ask) -> None:
    for tools, remedy in TOOLS.values():
        await _unsent(scene, ask(SECRET, tools=tools), remedy)
    await scene.goes_on()


async def test_choices_nothing_fulfils_are_refused_before_anything_is_stored(scene: Scene, ask: Ask) -> None:
    for options, remedy in CHOICES.values():
        await _unsent(scene, ask(SECRET, **options), remedy)
    await scene.goes_on()


async def test_broken_content_is_refused_before_anything_is_stored(scene: Scene, ask: Ask) -> None:
    for content, remedy in CONTENT.values():
        await _unsent(scene, ask(content), remedy)
    assert (await scene.said())[2:] == []
    await scene.goes_on()


async def test_parts_the_provider_has_no_place_for_are_refused_unsent(scene: Scene, ask: Ask) -> None:
    for part in UNTAKEN:
        error = await refused(scene, ask([part]), InvalidRequestError)
        assert part.type in str(error)
        assert "Send " in str(error), "what it takes instead"
    await scene.goes_on()


async def test_parts_some_providers_take_are_sent_or_refused(scene: Scene, ask: Ask) -> None:
    for part in NOT_EVERYWHERE:
        before = scene.relay.count
        try:
            await ask([part])
            refusal = None
        except InvalidRequestError as error:
            refusal = error
        assert (refusal is None) is (scene.relay.count > before)
        assert refusal is None or part.type in str(refusal)
        await scene.newest()
    await scene.goes_on()


async def test_a_schema_the_provider_refuses(scene: Scene, ask: Ask) -> None:
    body = b'{"error":{"message":"Invalid schema for function canary-7f3a"},"message":"Invalid schema canary-7f3a"}'
    scene.fault(HttpFault(400, body))
    error = await refused(scene, ask("two", tools=[CLOCK]), InvalidRequestError)
    assert "Check the tools" in str(error)
    await scene.goes_on()


async def test_an_image_the_provider_refuses(scene: Scene, ask: Ask) -> None:
    told = "image exceeds 5 MB maximum: canary-7f3a"
    scene.fault(HttpFault(400, f'{{"error":{{"message":"{told}"}},"message":"{told}"}}'.encode()))
    error = await refused(scene, ask([IMAGE]), InvalidRequestError)
    assert "size, format and media type" in str(error)
    await scene.goes_on()


async def test_a_request_that_is_too_large_whatever_is_left_out(scene: Scene, ask: Ask) -> None:
    scene.fault(HttpFault(413, b"<html>413 Request Entity Too Large canary-7f3a</html>", "text/html"), times=9)
    error = await refused(scene, ask([IMAGE]), ContextOverflowError)
    assert "Send less" in str(error)
    scene.calm()
    await scene.goes_on()
