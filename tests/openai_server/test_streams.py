"""Streams come as the SDK's own events, in the provider's order, at the test's pace."""

from __future__ import annotations

import pytest
from openai import AsyncStream
from openai.types.responses import FunctionToolParam, Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.support.openai_server import Gate, OpenAIServer, Reply, ToolCall

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)
TOOL: FunctionToolParam = {"type": "function", "name": "add", "parameters": {"type": "object"}, "strict": False}
TEXT_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
    "response.completed",
]
CALL_EVENTS = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


def stream(server: OpenAIServer, reply: Reply) -> list[ResponseStreamEvent]:
    server.script(reply)
    with server.client() as client:
        return list(client.responses.create(model="gpt-5", input="x", stream=True, tools=[TOOL]))


def final(events: list[ResponseStreamEvent]) -> Response:
    last = events[-1]
    assert last.type in {"response.completed", "response.incomplete"}
    return Response.model_validate(last.to_dict()["response"])


def test_a_text_stream_has_the_real_sequence(openai_server: OpenAIServer) -> None:
    events = stream(openai_server, Reply(chunks=("Hel", "lo")))

    assert [event.type for event in events] == TEXT_EVENTS
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == "Hello"
    assert final(events).output_text == "Hello"


@pytest.mark.parametrize(
    "reply",
    [
        Reply(text="one two"),
        Reply(refusal="I will not"),
        Reply(reasoning="hm, well", text="so"),
        Reply(tool_calls=(ToolCall("add", {"a": 1}), ToolCall("add", "{}"))),
        Reply(text="cut", incomplete="max_output_tokens"),
        Reply(text=""),
        Reply(),
    ],
)
def test_every_event_is_what_the_sdk_types_say(openai_server: OpenAIServer, reply: Reply) -> None:
    events = stream(openai_server, reply)

    for event in events:
        assert type(EVENT.validate_python(event.to_dict())) is type(event)
    [record] = openai_server.requests
    with openai_server.client() as client:
        assert client.responses.retrieve(record.response_id or "").to_dict() == final(events).to_dict()


def test_parallel_calls_and_reasoning_are_streamed_item_by_item(openai_server: OpenAIServer) -> None:
    events = stream(openai_server, Reply(reasoning="hm", tool_calls=(ToolCall("add"), ToolCall("add"))))

    kinds = [event.type for event in events]
    assert kinds[2:8] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.delta",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
    ]
    assert kinds[8:-1] == CALL_EVENTS * 2
    assert [item.type for item in final(events).output] == ["reasoning", "function_call", "function_call"]


def test_an_incomplete_stream_ends_as_incomplete(openai_server: OpenAIServer) -> None:
    events = stream(openai_server, Reply(text="half a", incomplete="max_output_tokens"))

    assert events[-1].type == "response.incomplete"


def test_streamed_and_plain_answers_are_the_same(openai_server: OpenAIServer) -> None:
    streamed = final(stream(openai_server, Reply(text="the same")))
    openai_server.script("the same")
    with openai_server.client() as client:
        plain = client.responses.create(model="gpt-5", input="x", tools=[TOOL])

    assert streamed.output_text == plain.output_text
    assert streamed.to_dict().keys() == plain.to_dict().keys()


async def test_a_gate_paces_the_chunks(openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.script(Reply(chunks=("one", "two"), gate=gate))
    async with openai_server.async_client() as client:
        events = await client.responses.create(model="gpt-5", input="x", stream=True)
        await gate.arrived(1)
        assert [record.outcome for record in openai_server.requests] == ["pending"]
        gate.permit()
        assert await next_delta(events) == "one"
        await gate.arrived(2)
        gate.open()
        assert await next_delta(events) == "two"
        rest = [event.type async for event in events]

    assert rest[-1] == "response.completed"
    assert [record.outcome for record in openai_server.requests] == ["answered"]


async def next_delta(events: AsyncStream[ResponseStreamEvent]) -> str:
    async for event in events:
        if event.type == "response.output_text.delta":
            return event.delta
    raise AssertionError("the stream ended without another delta")


async def test_a_response_in_progress_is_no_native_state_yet(openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.script(Reply(text="slow", gate=gate))
    async with openai_server.async_client() as client:
        events = await client.responses.create(model="gpt-5", input="x", stream=True)
        await gate.arrived()
        response_id = openai_server.requests[0].response_id or ""
        assert (await client.responses.retrieve(response_id)).status == "in_progress"
        gate.open()
        assert [event.type async for event in events][-1] == "response.completed"
        assert (await client.responses.retrieve(response_id)).status == "completed"


async def test_a_client_that_leaves_is_noticed(openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.script(Reply(text="never read", gate=gate))
    async with openai_server.async_client() as client:
        events = await client.responses.create(model="gpt-5", input="x", stream=True)
        await gate.arrived()
        await events.close()
    openai_server.wait_until_idle()

    [record] = openai_server.requests
    assert record.outcome == "client_gone"
    with openai_server.client() as client:
        assert client.responses.retrieve(record.response_id or "").output_text == "never read"


def test_a_gate_holds_a_plain_answer_too(openai_server: OpenAIServer) -> None:
    gate = Gate()
    gate.permit()
    openai_server.script(Reply(text="held", gate=gate))
    with openai_server.client() as client:
        assert client.responses.create(model="gpt-5", input="x").output_text == "held"

    assert gate.arrivals == 1


def test_a_gate_nobody_comes_to_times_out() -> None:
    with pytest.raises(TimeoutError, match="0 times, not 1"):
        Gate().wait_for_arrivals(timeout=0.01)
