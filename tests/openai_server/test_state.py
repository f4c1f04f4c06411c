"""The server keeps and refuses native state as the provider does, and its replies prove what the model saw."""

from __future__ import annotations

import pytest
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response

from tests.support.openai_server import ModelView, OpenAIServer, Reply, default_reply


def ask(client: OpenAI, text: str, previous: str | None = None) -> Response:
    return client.responses.create(model="gpt-5", input=text, previous_response_id=previous)


def test_a_chain_gives_the_model_the_whole_history(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        first = ask(client, "one")
        second = ask(client, "two", first.id)
        third = ask(client, "three", second.id)

    assert [first.output_text, second.output_text, third.output_text] == [
        "[1] You said: one",
        "[2] You said: two",
        "[3] You said: three",
    ]
    assert openai_server.model_views[-1].texts == [
        ("user", "one"),
        ("assistant", "[1] You said: one"),
        ("user", "two"),
        ("assistant", "[2] You said: two"),
        ("user", "three"),
    ]
    assert openai_server.model_views[-1].previous_response_id == second.id


async def test_the_async_client_sees_the_same_server(openai_server: OpenAIServer) -> None:
    async with openai_server.async_client() as client:
        first = await client.responses.create(model="gpt-5", input="one")
        second = await client.responses.create(model="gpt-5", input="two", previous_response_id=first.id)

    assert second.output_text == "[2] You said: two"


def test_nodes_fork(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        root = ask(client, "root")
        ask(client, "left", root.id)
        right = ask(client, "right", root.id)

    assert right.output_text == "[2] You said: right"
    assert ("user", "left") not in openai_server.model_views[-1].texts


def test_usage_counts_the_whole_context_and_what_the_cache_had(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        first = ask(client, "a question of some length")
        second = ask(client, "next", first.id)
        replayed = client.responses.create(
            model="gpt-5",
            store=False,
            input=[
                {"role": "user", "content": "a question of some length"},
                {"role": "assistant", "content": first.output_text},
                {"role": "user", "content": "next"},
            ],
        )

    assert first.usage is not None
    assert second.usage is not None
    assert replayed.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens + first.usage.output_tokens
    assert first.usage.input_tokens_details.cached_tokens == 0
    assert second.usage.input_tokens_details.cached_tokens == first.usage.input_tokens
    assert replayed.usage.input_tokens == replayed.usage.input_tokens_details.cached_tokens
    assert second.usage.total_tokens == second.usage.input_tokens + second.usage.output_tokens


def test_instructions_do_not_carry_over(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        first = client.responses.create(model="gpt-5", input="one", instructions="be brief")
        ask(client, "two", first.id)

    assert [view.instructions for view in openai_server.model_views] == ["be brief", None]


@pytest.mark.parametrize("way", ["invented", "unstored", "deleted", "forgotten", "all forgotten", "other server"])
def test_unknown_native_state_is_refused(openai_server: OpenAIServer, way: str) -> None:
    with openai_server.client() as client, OpenAIServer() as other:
        given = client.responses.create(model="gpt-5", input="one", store=way != "unstored").id
        if way == "invented":
            given = "resp_0123456789abcdef"
        elif way == "deleted":
            client.responses.delete(given)
        elif way == "forgotten":
            openai_server.forget(given)
        elif way == "all forgotten":
            openai_server.forget()
        elif way == "other server":
            with other.client() as stranger:
                given = ask(stranger, "one").id
        with pytest.raises(BadRequestError) as refused:
            ask(client, "two", given)

    assert refused.value.code == "previous_response_not_found"
    assert refused.value.param == "previous_response_id"
    assert given in refused.value.message


def test_a_child_survives_its_forgotten_parent(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        parent = ask(client, "one")
        child = ask(client, "two", parent.id)
        openai_server.forget(parent.id)
        assert ask(client, "three", child.id).output_text == "[3] You said: three"


def test_retrieve_and_delete(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        made = ask(client, "one")
        assert client.responses.retrieve(made.id) == made
        client.responses.delete(made.id)
        with pytest.raises(NotFoundError, match=made.id):
            client.responses.retrieve(made.id)
        with pytest.raises(NotFoundError):
            client.responses.delete(made.id)
        unstored = client.responses.create(model="gpt-5", input="x", store=False)
        with pytest.raises(NotFoundError):
            client.responses.retrieve(unstored.id)


def test_the_context_window_is_limited(openai_server: OpenAIServer) -> None:
    openai_server.api.context_length = 40
    with openai_server.client() as client:
        first = ask(client, "x" * 80)
        with pytest.raises(BadRequestError) as refused:
            ask(client, "y" * 60, first.id)
        truncated = client.responses.create(
            model="gpt-5", input="y" * 60, previous_response_id=first.id, truncation="auto"
        )

    assert refused.value.code == "context_length_exceeded"
    assert truncated.usage is not None
    assert truncated.usage.input_tokens <= 40
    assert openai_server.model_views[-1].user_texts == ["y" * 60]


def test_key_and_model_must_be_known() -> None:
    with OpenAIServer(models=["gpt-5"]) as server, server.client() as client:
        with pytest.raises(AuthenticationError) as locked:
            client.with_options(api_key="sk-wrong").responses.create(model="gpt-5", input="x")
        with pytest.raises(NotFoundError) as unknown:
            client.responses.create(model="gpt-2", input="x")

    assert locked.value.code == "invalid_api_key"
    assert unknown.value.code == "model_not_found"


def test_scripted_replies_come_first_and_the_rule_can_be_replaced(openai_server: OpenAIServer) -> None:
    def shout(view: ModelView) -> Reply:
        return Reply(text=(default_reply(view).text or "").upper())

    openai_server.script("first", Reply(text="second"))
    openai_server.answer_with(shout)
    with openai_server.client() as client:
        said = [ask(client, "x").output_text for _ in range(3)]

    assert said == ["first", "second", "[1] YOU SAID: X"]


def test_refusal_and_incomplete(openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(refusal="I cannot"), Reply(text="half a", incomplete="max_output_tokens"))
    with openai_server.client() as client:
        refused, cut = ask(client, "x"), ask(client, "y")

    assert refused.output[0].to_dict()["content"] == [{"type": "refusal", "refusal": "I cannot"}]
    assert (cut.status, cut.output_text) == ("incomplete", "half a")
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"


def test_a_restart_keeps_port_and_state(openai_server: OpenAIServer) -> None:
    before = openai_server.base_url
    with openai_server.client() as client:
        first = ask(client, "one")
    openai_server.restart()
    with openai_server.client() as client:
        assert ask(client, "two", first.id).output_text == "[2] You said: two"

    assert openai_server.base_url == before


def test_environment_variables_lead_here(openai_environment: OpenAIServer) -> None:
    with OpenAI(max_retries=0) as client:
        assert ask(client, "hi").output_text == "[1] You said: hi"
