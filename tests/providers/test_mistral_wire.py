"""What the Mistral provider really sends, and what it makes of the answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langswarm_sessions.errors import ConfigurationError, InvalidInputError, InvalidRequestError, NativeStateLostError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started, TextDelta
from langswarm_sessions.messages import (
    AudioPart,
    FilePart,
    ImagePart,
    OtherPart,
    Part,
    ReasoningPart,
    Role,
    SessionMessage,
    TextPart,
    ToolResult,
    text_of,
)
from langswarm_sessions.messages import ToolCall as Call
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.providers.media import told_instead
from langswarm_sessions.providers.mistral import MistralConnection, MistralProviderSession
from langswarm_sessions.providers.mistral.client import connect_mistral
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from tests.support.mistral_server import MistralServer, Reply, ToolCall
from tests.support.mistral_server.plugin import mistral_server

__all__ = ["mistral_server"]

MODEL = "mistral-medium-latest"
CLOCK = {"type": "function", "function": {"name": "clock", "description": "Tells the time.", "strict": True}}
CLOCK_ON_THE_WIRE: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "clock",
        "description": "Tells the time.",
        "parameters": {"type": "object", "properties": {}, "required": [], "additionalProperties": False},
        "strict": True,
    },
}
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}}
SAMPLING: dict[str, Any] = {
    "frequency_penalty": 0.1,
    "max_tokens": 20,
    "presence_penalty": 0.2,
    "reasoning_effort": "high",
    "stop": ["END"],
    "temperature": 0.3,
    "top_p": 0.9,
}
SETTINGS: dict[str, Any] = {
    **SAMPLING,
    "conversation_metadata": {"b": 2},
    "instructions": "unused: the request has its own",
    "metadata": {"c": 3},
    "parallel_tool_calls": False,
    "response_format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True},
    "seed": 7,
    "service_tier": "auto",
    "thread_metadata": {"a": 1},
    "tool_choice": "required",
    "top_k": 5,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}
Open = Callable[..., MistralProviderSession]


@pytest.fixture
async def connection(mistral_server: MistralServer) -> AsyncIterator[MistralConnection]:
    made = connect_mistral(mistral_server.credential)
    yield made
    await made.aclose()


@pytest.fixture
def opened(connection: MistralConnection) -> Open:
    def open_session(**config: Any) -> MistralProviderSession:
        connection.check(MODEL, config)
        return connection.open("session", MODEL, config)

    return open_session


def user(*parts: Part | str) -> SessionMessage:
    return SessionMessage(role=Role.USER, parts=[TextPart(part) if isinstance(part, str) else part for part in parts])


async def ask(session: MistralProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    return await collect(session.stream_turn(ProviderRequest(messages=messages, **fields)), provider="mistral")


def state(completed: Completed) -> NativeState:
    assert completed.native_id is not None
    return NativeState(
        provider="mistral",
        kind=NativeKind.LOG,
        id=completed.native_id,
        cursor=1,
        turn_id="turn",
        memo=completed.native_memo,
        open_calls=tuple(part.id for part in completed.parts if isinstance(part, Call)),
    )


def sent(server: MistralServer, at: int = -1) -> dict[str, Any]:
    return dict(server.posts[at].body or {})


async def test_every_setting_reaches_a_chat_completion(opened: Open, mistral_server: MistralServer) -> None:
    await ask(opened(**SETTINGS), user("hi"), instructions="Be brief.", options=TurnOptions(tools=(CLOCK,)))
    body = sent(mistral_server)
    messages = body.pop("messages")
    assert [(message["role"], message["content"]) for message in messages] == [("system", "Be brief."), ("user", "hi")]
    assert len(body.pop("prompt_cache_key")) == 32
    assert body == {
        **SAMPLING,
        "metadata": {"a": 1, "b": 2, "c": 3},
        "model": MODEL,
        "parallel_tool_calls": False,
        "random_seed": 7,
        "response_format": FORMAT,
        "service_tier": "auto",
        "stream": True,
        "tool_choice": "required",
        "tools": [CLOCK_ON_THE_WIRE],
        "top_k": 5,
    }


async def test_every_setting_that_it_takes_reaches_a_conversation(opened: Open, mistral_server: MistralServer) -> None:
    session = opened(**SETTINGS)
    fields: dict[str, Any] = {"instructions": "Be brief.", "options": TurnOptions(tools=(CLOCK,)), "keep_native": True}
    first = await ask(session, user("hi"), **fields)
    await ask(session, user("two"), native=state(first), **fields)
    started, appended = sent(mistral_server, 0), sent(mistral_server, 1)
    args = {**SAMPLING, "random_seed": 7, "response_format": FORMAT, "tool_choice": "required"}
    assert [entry["content"] for entry in started.pop("inputs")] == ["hi"]
    assert started == {
        "completion_args": args,
        "instructions": "Be brief.",
        "metadata": {"a": 1, "b": 2, "c": 3},
        "model": MODEL,
        "store": True,
        "stream": True,
        "tools": [CLOCK_ON_THE_WIRE],
    }
    assert [entry["content"] for entry in appended.pop("inputs")] == ["two"]
    assert appended == {"completion_args": args, "handoff_execution": "server", "store": True, "stream": True}


@pytest.mark.parametrize(
    "change",
    [{"instructions": "Be kind."}, {"options": TurnOptions(tools=(CLOCK,))}, {"model": "another"}, {"agent": "ag_1"}],
    ids=["instructions", "tools", "model", "agent"],
)
async def test_what_a_conversation_keeps_cannot_change(
    change: dict[str, Any], connection: MistralConnection, mistral_server: MistralServer
) -> None:
    first = await ask(connection.open("s", MODEL, {}), user("hi"), keep_native=True, instructions="Be brief.")
    fields: dict[str, Any] = {"instructions": "Be brief.", **change}
    config = {"agent_id": fields.pop("agent")} if "agent" in fields else {}
    session = connection.open("s", fields.pop("model", MODEL), config)
    with pytest.raises(NativeStateLostError):
        await ask(session, user("two"), native=state(first), keep_native=True, **fields)
    assert len(mistral_server.requests) == 1, "it is known before anything is sent"


async def test_settings_of_a_single_answer_may_change(connection: MistralConnection) -> None:
    first = await ask(connection.open("s", MODEL, {"temperature": 0.1}), user("hi"), keep_native=True)
    second = await ask(
        connection.open("s", MODEL, {"temperature": 0.9}), user("two"), native=state(first), keep_native=True
    )
    assert second.native_id == first.native_id


async def test_one_tool_can_be_asked_for_in_chat_alone(opened: Open, mistral_server: MistralServer) -> None:
    options = TurnOptions(tools=(CLOCK,), tool_choice="clock")
    await ask(opened(), user("hi"), options=options)
    assert sent(mistral_server)["tool_choice"] == {"type": "function", "function": {"name": "clock"}}
    with pytest.raises(InvalidInputError, match="required"):
        await ask(opened(), user("hi"), options=options, keep_native=True)
    assert len(mistral_server.requests) == 1


async def test_an_incomplete_schema_is_refused(opened: Open) -> None:
    with pytest.raises(ConfigurationError, match="schema"):
        await ask(opened(response_format={"type": "json_schema", "name": "n"}), user("hi"))


IMAGE = ImagePart(url="https://x/y.png", detail="low")
PIXELS = ImagePart(data="aGk=", media_type="image/jpeg")
PAPER = FilePart(data="aGk=", media_type="application/pdf", name="p.pdf")
LINK = FilePart(url="https://x/p.pdf")


@pytest.mark.parametrize("native", [False, True], ids=["chat", "conversation"])
async def test_images_and_documents_are_sent(native: bool, opened: Open, mistral_server: MistralServer) -> None:
    await ask(opened(), user("look", IMAGE, PIXELS, PAPER, LINK), keep_native=native)
    body = sent(mistral_server)
    assert (body["inputs"] if native else body["messages"])[0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/jpeg;base64,aGk="},
        {"type": "document_url", "document_url": "data:application/pdf;base64,aGk=", "document_name": "p.pdf"},
        {"type": "document_url", "document_url": "https://x/p.pdf"},
    ]


@pytest.mark.parametrize("part", [AudioPart(data="aGk="), FilePart(file_id="f1")])
async def test_sound_and_file_ids_go_to_chat_alone(part: Part, opened: Open, mistral_server: MistralServer) -> None:
    await ask(opened(), user("hear", part))
    assert sent(mistral_server)["messages"][0]["content"][1] in (
        {"type": "input_audio", "input_audio": "aGk="},
        {"type": "file", "file_id": "f1"},
    )
    with pytest.raises(InvalidRequestError, match="conversations"):
        await ask(opened(), user("hear", part), keep_native=True)
    answered = SessionMessage(role=Role.ASSISTANT, content="ok")
    await ask(opened(), user("hear", part), answered, user("x"), keep_native=True)
    noted = [{"type": "text", "text": "hear"}, {"type": "text", "text": told_instead(part)}]
    assert sent(mistral_server)["inputs"][0]["content"] == noted, "a note is left when it is old"


async def test_an_image_beside_a_tools_result_goes_to_chat_alone(opened: Open, mistral_server: MistralServer) -> None:
    call = SessionMessage(role=Role.ASSISTANT, parts=[Call(id="call_1", name="clock")])
    result = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="call_1", content="12:00"), PIXELS])
    await ask(opened(), user("time?"), call, result)
    content = sent(mistral_server)["messages"][-1]["content"]
    assert [chunk["type"] for chunk in content] == ["text", "image_url"]
    with pytest.raises(InvalidRequestError, match="beside a tool's result"):
        await ask(opened(), user("time?"), call, result, keep_native=True)


@pytest.mark.parametrize("native", [False, True], ids=["chat", "conversation"])
async def test_an_answer_with_everything(native: bool, opened: Open, mistral_server: MistralServer) -> None:
    calls = (ToolCall("clock", {"zone": "UTC"}), ToolCall("clock", "no json"))
    mistral_server.script(Reply(thinking="Let me see. Well.", text="Two words.", tool_calls=calls))
    session = opened()
    request = ProviderRequest(
        messages=(user("hi"),), keep_native=native, options=TurnOptions(tools=(CLOCK,)), instructions="Be brief."
    )
    events = [event async for event in session.stream_turn(request)]
    assert isinstance(events[0], Started)
    assert events[0].request_id
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["Two ", "words."]
    done = events[-1]
    assert isinstance(done, Completed)
    assert [type(part) for part in done.parts] == [ReasoningPart, TextPart, Call, Call]
    thought, text, first, second = done.parts
    assert isinstance(thought, ReasoningPart)
    assert (thought.text, text_of([text])) == ("Let me see. Well.", "Two words.")
    assert isinstance(first, Call)
    assert isinstance(second, Call)
    assert (first.arguments, second.raw_arguments) == ({"zone": "UTC"}, "no json")
    assert first.id != second.id
    assert done.finish_reason == "tool_calls"
    assert done.model == MODEL
    assert done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens > 0
    assert done.provider_message_id
    assert done.payload is not None
    assert done.payload["items"][0]["content"][0]["signature"] == "sig-Let me see. Well."
    assert (done.native_id is not None) is native
    results: list[Part] = [ToolResult(tool_call_id=call.id, content="x") for call in (first, second)]
    answered = SessionMessage(role=Role.TOOL, parts=results)
    told = await ask(session, user("hi"), answer_message(done), answered, options=request.options)
    assert text_of(told.parts) == "[1] Tools said: x, x"
    replayed = sent(mistral_server)["messages"][1]
    assert [chunk["type"] for chunk in replayed["content"]] == ["thinking", "text"]
    assert [call["function"]["arguments"] for call in replayed["tool_calls"]] == ['{"zone": "UTC"}', "no json"]


async def test_a_built_in_tool_is_passed_on_and_told_of(opened: Open, mistral_server: MistralServer) -> None:
    mistral_server.script(Reply(step="web_search", text="Found."))
    answer = await ask(opened(), user("hi"), keep_native=True, options=TurnOptions(tools=({"type": "web_search"},)))
    assert sent(mistral_server)["tools"] == [{"type": "web_search"}]
    step, text = answer.parts
    assert isinstance(step, OtherPart)
    assert (step.data["type"], step.data["name"], step.data["info"]) == ("tool.execution", "web_search", {"n": 2})
    assert text_of([text]) == "Found."
    again = await ask(opened(), user("hi"), answer_message(answer), user("two"), keep_native=True)
    assert [entry["type"] for entry in sent(mistral_server)["inputs"]] == [
        "message.input",
        "message.output",
        "message.input",
    ]
    assert again.native_id != answer.native_id


@pytest.mark.parametrize(("said", "told"), [("length", "length"), ("model_length", "length"), ("odd", "odd")])
async def test_finish_reasons(said: str, told: str, opened: Open, mistral_server: MistralServer) -> None:
    mistral_server.script(Reply(text="cut", finish=said))
    assert (await ask(opened(), user("hi"))).finish_reason == told


async def test_ids_the_provider_issued_go_back_as_they_came(opened: Open, mistral_server: MistralServer) -> None:
    mistral_server.script(Reply(tool_calls=(ToolCall("clock", call_id="chatcmpl-tool-1"),)))
    options = TurnOptions(tools=(CLOCK,))
    asked = await ask(opened(), user("time?"), keep_native=True, options=options)
    result = SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id="chatcmpl-tool-1", content="noon")])
    with pytest.raises(InvalidRequestError):
        await ask(opened(), result, native=state(asked), keep_native=True, options=options)
    assert sent(mistral_server)["inputs"][0]["tool_call_id"] == "chatcmpl-tool-1"
    assert [violation.problem for violation in mistral_server.take_violations()] != []
