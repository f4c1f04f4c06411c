"""What fits together in a context: calls with their outputs, reasoning with what follows, ids with their responses."""

from __future__ import annotations

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import (
    FunctionToolParam,
    Response,
    ResponseFunctionToolCall,
    ResponseInputItemParam,
    ResponseInputParam,
    ResponseReasoningItem,
)

from tests.support.openai_server import OpenAIServer, Reply, ToolCall

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {}, "additionalProperties": False, "required": []},
    "strict": True,
}


def call_weather(server: OpenAIServer, client: OpenAI, *, count: int = 1) -> Response:
    server.script(Reply(tool_calls=tuple(ToolCall("weather", {"day": day}) for day in range(count))))
    return client.responses.create(model="gpt-5", input="weather?", tools=[WEATHER])


def calls_of(response: Response) -> list[ResponseFunctionToolCall]:
    return [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]


def test_parallel_tool_calls_are_answered_in_the_chain(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        asked = call_weather(openai_server, client, count=2)
        calls = calls_of(asked)
        outputs: ResponseInputParam = [
            {"type": "function_call_output", "call_id": call.call_id, "output": f"sun {number}"}
            for number, call in enumerate(calls)
        ]
        done = client.responses.create(model="gpt-5", input=outputs, previous_response_id=asked.id, tools=[WEATHER])

    assert [call.arguments for call in calls] == ['{"day": 0}', '{"day": 1}']
    assert len({call.call_id for call in calls}) == 2
    assert done.output_text == "[1] Tools said: sun 0, sun 1"


def test_an_unanswered_call_is_refused_in_chain_and_replay(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        asked = call_weather(openai_server, client, count=2)
        first, second = calls_of(asked)
        with pytest.raises(BadRequestError, match=f"No tool output found for function call {first.call_id}"):
            client.responses.create(model="gpt-5", input="never mind", previous_response_id=asked.id)
        half: ResponseInputParam = [{"type": "function_call_output", "call_id": first.call_id, "output": "sun"}]
        with pytest.raises(BadRequestError, match=f"No tool output found for function call {second.call_id}"):
            client.responses.create(model="gpt-5", input=half, previous_response_id=asked.id)
        with pytest.raises(BadRequestError, match="No tool output found for function call abc"):
            client.responses.create(
                model="gpt-5",
                store=False,
                input=[{"type": "function_call", "call_id": "abc", "name": "weather", "arguments": "{}"}],
            )


def test_an_orphan_tool_output_is_refused(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError) as refused:
        client.responses.create(
            model="gpt-5", input=[{"type": "function_call_output", "call_id": "call_9", "output": "4"}]
        )

    assert "No tool call found for function call output with call_id call_9." in refused.value.message
    assert refused.value.param == "input"


def test_a_scripted_tool_that_was_not_offered_is_a_violation(openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(tool_calls=(ToolCall("weather"),)))
    with openai_server.client() as client:
        client.responses.create(model="gpt-5", input="weather?")

    assert [violation.problem for violation in openai_server.take_violations()] == [
        "the scripted tool 'weather' was not offered"
    ]


def think(server: OpenAIServer, client: OpenAI, *, store: bool) -> tuple[ResponseReasoningItem, Response]:
    server.script(Reply(reasoning="let me see", text="42"))
    response = client.responses.create(model="o3", input="think", store=store, include=["reasoning.encrypted_content"])
    [reasoning] = [item for item in response.output if isinstance(item, ResponseReasoningItem)]
    return reasoning, response


def replay(reasoning: ResponseReasoningItem, *, sealed: str | None) -> ResponseInputItemParam:
    return {"type": "reasoning", "id": reasoning.id, "summary": [], "encrypted_content": sealed}


def test_encrypted_reasoning_can_be_replayed_without_state(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        reasoning, _ = think(openai_server, client, store=False)
        assert reasoning.encrypted_content
        history: ResponseInputParam = [
            {"role": "user", "content": "think"},
            replay(reasoning, sealed=reasoning.encrypted_content),
            {"role": "assistant", "content": "42"},
            {"role": "user", "content": "sure?"},
        ]
        again = client.responses.create(model="o3", input=history, store=False)

    assert again.output_text == "[2] You said: sure?"


def test_reasoning_needs_its_successor_and_its_seal(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        reasoning, _ = think(openai_server, client, store=False)
        sealed = replay(reasoning, sealed=reasoning.encrypted_content)
        with pytest.raises(BadRequestError, match="provided without its required following item"):
            client.responses.create(model="o3", input=[sealed, {"role": "user", "content": "x"}])
        with pytest.raises(BadRequestError) as forged:
            client.responses.create(model="o3", input=[replay(reasoning, sealed="forged")])
        with pytest.raises(NotFoundError, match=f"Item with id '{reasoning.id}' not found"):
            client.responses.create(model="o3", input=[replay(reasoning, sealed=None)])

    assert forged.value.code == "invalid_encrypted_content"


def test_item_ids_live_and_die_with_their_response(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        reasoning, stored = think(openai_server, client, store=True)
        message: ResponseInputItemParam = {"type": "item_reference", "id": stored.output[1].id or ""}
        thought: ResponseInputItemParam = {"type": "item_reference", "id": reasoning.id}
        kept = client.responses.create(model="o3", input=[thought, message, {"role": "user", "content": "x"}])
        with pytest.raises(BadRequestError, match="without its required 'reasoning' item"):
            client.responses.create(model="o3", input=[message, {"role": "user", "content": "x"}])
        with pytest.raises(BadRequestError, match="Duplicate item found"):
            client.responses.create(model="o3", input=[thought, message], previous_response_id=stored.id)
        openai_server.forget(stored.id)
        with pytest.raises(NotFoundError, match=f"Item with id '{reasoning.id}' not found"):
            client.responses.create(model="o3", input=[thought, message])

    assert kept.output_text == "[1] You said: x"


def test_replayed_messages_of_unstored_responses_are_not_found(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        unstored = client.responses.create(model="gpt-5", input="x", store=False)
        item_id = unstored.output[0].id or ""
        with pytest.raises(NotFoundError, match=f"Item with id '{item_id}' not found"):
            client.responses.create(
                model="gpt-5",
                input=[
                    {
                        "type": "message",
                        "id": item_id,
                        "role": "assistant",
                        "status": "completed",
                        "content": [{"type": "output_text", "text": "[1] You said: x", "annotations": []}],
                    }
                ],
            )


def test_assistant_messages_hold_no_user_content(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError) as refused:
        client.responses.create(
            model="gpt-5", input=[{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]
        )

    assert refused.value.code == "invalid_value"
