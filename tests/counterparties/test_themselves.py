"""What the tests here trust: both servers answer the real OpenAI SDK as scripted, and say what they were sent."""

from __future__ import annotations

import openai
import pytest
from llmock.pytest_plugin import LLMock
from openai.types.responses import EasyInputMessageParam

from tests.support.aimock import Aimock


def client_of(aimock: Aimock) -> openai.OpenAI:
    return openai.OpenAI(api_key="test", base_url=aimock.base_url, max_retries=0)


def test_aimock_answers_as_scripted_and_keeps_a_journal(aimock: Aimock) -> None:
    aimock.reply("Hello Zed.", to="my name is Zed", turn=0)
    with client_of(aimock) as client:
        response = client.responses.create(model="gpt-5.4", input="my name is Zed")
    assert response.output_text == "Hello Zed."
    assert [entry["path"] for entry in aimock.journal()] == ["/v1/responses"]
    [body] = aimock.requests()
    assert "my name is Zed" in str(body)


def test_aimock_tells_whether_history_was_sent(aimock: Aimock) -> None:
    aimock.reply("It is Zed.", to="what is my name", turn=1)
    question: EasyInputMessageParam = {"role": "user", "content": "what is my name"}
    told: EasyInputMessageParam = {"role": "user", "content": "my name is Zed"}
    answered: EasyInputMessageParam = {"role": "assistant", "content": "Hello Zed."}
    with client_of(aimock) as client:
        with pytest.raises(openai.NotFoundError):
            client.responses.create(model="gpt-5.4", input=[question])
        response = client.responses.create(model="gpt-5.4", input=[told, answered, question])
    assert response.output_text == "It is Zed."


def test_aimock_calls_tools_and_fails_on_demand(aimock: Aimock) -> None:
    aimock.call_tools([("weather", {"city": "Oslo"}), ("clock", {})], to="weather")
    aimock.fail_next(429, message="slow down")
    with client_of(aimock) as client:
        with pytest.raises(openai.RateLimitError, match="slow down"):
            client.responses.create(model="gpt-5.4", input="weather?")
        response = client.responses.create(model="gpt-5.4", input="weather?")
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [("weather", '{"city": "Oslo"}'), ("clock", "{}")]


def test_aimock_injects_chaos_until_it_is_reset(aimock: Aimock) -> None:
    aimock.chaos(dropRate=1)
    with client_of(aimock) as client:
        with pytest.raises(openai.InternalServerError):
            client.responses.create(model="gpt-5.4", input="hi")
        aimock.reset()
        aimock.reply("back")
        assert client.responses.create(model="gpt-5.4", input="hi").output_text == "back"


def test_llmock_answers_the_sdk_from_its_environment(llmock: LLMock) -> None:
    llmock.reply("Hello.").rate_limit(times=1, retry_after=0.01)
    with openai.OpenAI(max_retries=1) as client:
        response = client.responses.create(model="gpt-5.4", input="hi")
    assert response.output_text == "Hello."
    assert [record.status for record in llmock.requests] == [429, 200]
    llmock.assert_resilient()
