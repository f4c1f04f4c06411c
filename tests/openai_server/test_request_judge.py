"""The SDK's own request types refuse what no real server would take."""

from __future__ import annotations

import json

import pytest
from openai import BadRequestError

from tests.support.openai_server import OpenAIServer
from tests.support.openai_server.body_rules import check_body
from tests.support.openai_server.request_judge import find_type_errors
from tests.support.provider_server.json_types import JsonObject

LEGAL: list[JsonObject] = [
    {"input": "hi"},
    {"input": [{"role": "user", "content": "hi"}]},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]},
    {"input": [{"role": "assistant", "content": "earlier answer"}, {"role": "user", "content": "hi"}]},
    {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]},
    {"input": [{"type": "function_call_output", "call_id": "c", "output": "4"}]},
    {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}]},
    {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}]},
    {"input": "hi", "stream": True, "store": False, "include": ["reasoning.encrypted_content"], "temperature": 1},
]
USER: JsonObject = {"role": "user", "content": "hi"}
ILLEGAL: list[tuple[JsonObject, str]] = [
    ({"input": "hi", "tempo": 1}, "tempo"),
    ({"input": "hi", "temperature": "hot"}, "temperature"),
    ({"input": "hi", "temperature": "0.5"}, "temperature"),
    ({"input": "hi", "store": "true"}, "store"),
    ({"input": "hi", "metadata": {"turn": 1}}, "metadata.turn"),
    ({"input": [{**USER, "mood": "good"}]}, "input[0].mood"),
    ({"input": [USER, {"role": "wizard", "content": "hi"}]}, "input[1].role"),
    ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a", "b": 1}]}]}, "input[0].content[0].b"),
    ({"input": [{"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]}, "input[0]"),
    ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
    (
        {"input": [{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "a", "b": 1}]}]},
        "input",
    ),
    ({"input": [{"type": "nonsense", "x": 1}]}, "input[0]"),
    (
        {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": True, "z": 1}]},
        "tools[0]",
    ),
    ({"input": "hi", "tools": [{"type": "function", "name": "f"}]}, "tools[0]"),
    ({"input": "hi", "text": {"format": {"type": "text", "q": 1}}}, "text.format.q"),
    ({"input": "hi", "stream": True, "stream_options": {"z": 1}}, "stream_options.z"),
    ({"input": "hi", "stream": "yes"}, "stream"),
]


@pytest.mark.parametrize("body", LEGAL)
def test_legal_bodies_pass(body: JsonObject) -> None:
    whole: JsonObject = {"model": "gpt-5", **body}

    assert find_type_errors(json.dumps(whole).encode(), whole) == []
    check_body(whole)


@pytest.mark.parametrize(("body", "place"), ILLEGAL)
def test_illegal_bodies_are_found_and_located(body: JsonObject, place: str) -> None:
    whole: JsonObject = {"model": "gpt-5", **body}

    problems = find_type_errors(json.dumps(whole).encode(), whole)

    assert problems
    assert problems[0].startswith(place)
    assert len(problems) < 12


STRICT_OBJECT: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
BROKEN_RULES: list[tuple[JsonObject, str]] = [
    ({}, "missing_required_parameter"),
    ({"input": "hi", "temperature": 3}, "decimal_above_max_value"),
    ({"input": "hi", "max_output_tokens": 5}, "integer_below_min_value"),
    ({"input": "hi", "previous_response_id": "resp_1", "conversation": "conv_1"}, "mutually_exclusive_parameters"),
    ({"input": "hi", "background": True}, "unsupported_parameter"),
    ({"input": "hi", "metadata": {str(number): "x" for number in range(17)}}, "object_above_max_properties"),
    ({"input": "hi", "metadata": {"k": "x" * 513}}, "string_above_max_length"),
    (
        {"input": "hi", "tools": [{"type": "function", "name": "a b", "parameters": None, "strict": False}]},
        "invalid_value",
    ),
    (
        {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": STRICT_OBJECT, "strict": True}]},
        "invalid_function_parameters",
    ),
    (
        {"input": "hi", "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]},
        "invalid_function_parameters",
    ),
]


@pytest.mark.parametrize(("extra", "code"), BROKEN_RULES)
def test_well_typed_bodies_still_keep_the_rules(openai_server: OpenAIServer, extra: JsonObject, code: str) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-5", extra_body=extra)

    assert refused.value.code == code
    assert len(openai_server.take_violations()) == 1
    assert openai_server.model_views == []


def test_a_missing_model_is_refused(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError, match="'model'"):
        client.responses.create(input="hi")

    assert len(openai_server.take_violations()) == 1


def test_a_violation_is_a_400_and_is_written_down(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-5", input="hi", extra_body={"tempo": 1})

    assert (refused.value.code, refused.value.param) == ("unknown_parameter", "tempo")
    assert refused.value.type == "invalid_request_error"
    [violation] = openai_server.take_violations()
    assert violation.problem.startswith("tempo: ")
    assert violation.body == {"model": "gpt-5", "input": "hi", "tempo": 1}
    assert openai_server.violations == []


def test_a_body_that_is_no_json_object_is_refused(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError):
        client.post("/responses", cast_to=object, content=b"[1,")

    assert [violation.problem for violation in openai_server.take_violations()] == ["the body is no JSON object"]
