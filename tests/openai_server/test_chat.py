"""The server's Chat Completions: judged requests, streamed answers, and the manners of compatible servers."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import BadRequestError, OpenAI
from openai.types.chat import ChatCompletionChunk

from tests.support.openai_server import ChatManners, OpenAIServer, Reply, ToolCall, faults

CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {}}}
CALL: Any = {"id": "c1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}
ASKED: Any = {"role": "assistant", "tool_calls": [CALL]}


def ask(client: OpenAI, *messages: Any, **fields: Any) -> list[ChatCompletionChunk]:
    given: Any = messages or ({"role": "user", "content": "hi"},)
    return list(client.chat.completions.create(model="m", messages=given, stream=True, **fields))


def text_of(chunks: list[ChatCompletionChunk]) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_an_answer_proves_what_the_model_saw(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        chunks = ask(
            client,
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [{"type": "text", "text": "two"}]},
            stream_options={"include_usage": True},
        )

    assert text_of(chunks) == "[2] You said: two"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert openai_server.model_views[-1].instructions == "be brief"


def test_usage_is_told_when_asked_for(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        assert all(chunk.usage is None for chunk in ask(client))
        openai_server.chat.manners = ChatManners(reports_usage=False)
        assert all(chunk.usage is None for chunk in ask(client, stream_options={"include_usage": True}))


@pytest.mark.parametrize("numbers_calls", [True, False])
def test_calls_come_in_pieces(openai_server: OpenAIServer, numbers_calls: bool) -> None:
    openai_server.chat.manners = ChatManners(numbers_calls=numbers_calls)
    openai_server.script(Reply(tool_calls=(ToolCall("clock", {"zone": "x" * 20}), ToolCall("clock"))))
    with openai_server.client() as client:
        chunks = ask(client, tools=[CLOCK])

    deltas = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert len([delta for delta in deltas if delta.id]) == 2
    assert {delta.index for delta in deltas} == ({0, 1} if numbers_calls else {0})
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("messages", "fields", "why"),
    [
        ([], {"tempo": 1}, "tempo"),
        ([{"role": "user", "content": "x"}, ASKED, {"role": "user", "content": "y"}], {}, "must be followed"),
        ([{"role": "tool", "tool_call_id": "c1", "content": "y"}], {}, "preceeding message"),
        ([{"role": "assistant", "content": None}], {}, "content"),
        ([ASKED], {}, "must be followed"),
        ([], {"tool_choice": "auto"}, "tools"),
        ([], {"max_tokens": 5, "max_completion_tokens": 5}, "not both"),
        ([], {"metadata": {"a": "1"}}, "store"),
        ([], {"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ([{"role": "assistant", "content": "x", "reasoning_content": "y"}], {}, "reasoning_content"),
        ([{"role": "user", "content": [{"type": "input_text", "text": "x"}]}], {}, "messages"),
    ],
)
def test_illegal_bodies_are_refused(
    openai_server: OpenAIServer, messages: list[Any], fields: dict[str, Any], why: str
) -> None:
    body = {name: fields.pop(name) for name in list(fields) if name == "tempo"}
    with openai_server.client() as client, pytest.raises(BadRequestError, match=why):
        ask(client, *messages, extra_body=body, **fields)

    assert len(openai_server.take_violations()) == 1


def test_a_compatible_server_refuses_and_adds_what_it_likes(openai_server: OpenAIServer) -> None:
    openai_server.chat.manners = ChatManners(refuses=frozenset({"stream_options"}), reasoning_field="reasoning_content")
    openai_server.script(Reply(reasoning="I think", text="so"))
    with openai_server.client() as client:
        with pytest.raises(BadRequestError) as refused:
            ask(client, stream_options={"include_usage": True})
        chunks = ask(client, {"role": "assistant", "content": "x", "reasoning_content": "y"})

    assert refused.value.code == "unsupported_parameter"
    told = "".join((chunk.choices[0].delta.model_extra or {}).get("reasoning_content", "") for chunk in chunks)
    assert (told, text_of(chunks)) == ("I think", "so")


@pytest.mark.parametrize(
    ("fault", "breaks"),
    [
        (faults.drop(), True),
        (faults.cut_stream(after_events=2), True),
        (faults.end_stream(after_events=2), False),
        (faults.error_event(), True),
        (faults.failed_response(), True),
        (faults.http_error(429), True),
    ],
)
def test_faults_befall_chat_alone(openai_server: OpenAIServer, fault: faults.Fault, breaks: bool) -> None:
    openai_server.fault(fault, on="chat")
    with openai_server.client() as client:
        assert client.responses.create(model="m", input="x").output_text == "[1] You said: x"
        if breaks:
            with pytest.raises(openai.APIError):
                ask(client)
        else:
            assert len(ask(client)) == 2
        assert text_of(ask(client)) == "[1] You said: hi"
