"""The server keeps conversations as the provider does: whole turns, one at a time, listed in pages."""

from __future__ import annotations

import threading
from contextlib import suppress

import openai
import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response

from tests.support.openai_server import Gate, OpenAIServer, Reply, ToolCall, faults
from tests.support.openai_server.answers import as_json
from tests.support.openai_server.context import kind_of


def ask(client: OpenAI, text: str, conversation: str) -> Response:
    return client.responses.create(model="gpt-5", input=text, conversation=conversation)


def test_a_conversation_gives_the_model_what_was_said(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        made = client.conversations.create(metadata={"a": "1"}, items=[{"role": "system", "content": "be brief"}])
        first = ask(client, "one", made.id)
        second = ask(client, "two", made.id)
        items = client.conversations.items.list(made.id, order="asc").data
        assert client.conversations.retrieve(made.id) == made

    assert [first.output_text, second.output_text] == ["[1] You said: one", "[2] You said: two"]
    assert [kind_of(as_json(item)) for item in items] == ["system", "user", "assistant", "user", "assistant"]
    assert items[2].id == first.output[0].id
    assert second.conversation is not None
    assert second.conversation.id == made.id


def test_items_come_in_pages(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        made = client.conversations.create()
        for text in ("one", "two", "three"):
            ask(client, text, made.id)
        listed = client.conversations.items.list
        every = [str(item.id) for item in listed(made.id, limit=2, order="asc")]
        assert len(every) == 6
        assert [item.id for item in listed(made.id)] == every[::-1]
        assert [item.id for item in listed(made.id, after=every[3], order="asc")] == every[4:]
        with pytest.raises(NotFoundError):
            listed(made.id, after="msg_unknown")
        with pytest.raises(BadRequestError):
            listed(made.id, limit=101)


@pytest.mark.parametrize("way", ["deleted", "forgotten", "invented"])
def test_an_unknown_conversation_is_refused(openai_server: OpenAIServer, way: str) -> None:
    with openai_server.client() as client:
        given = client.conversations.create().id
        if way == "deleted":
            assert client.conversations.delete(given).deleted
        elif way == "forgotten":
            openai_server.forget()
        else:
            given = "conv_unknown"
        for use in (
            lambda: ask(client, "one", given),
            lambda: client.conversations.items.list(given),
            lambda: client.conversations.delete(given),
        ):
            with pytest.raises(NotFoundError, match="Conversation with id") as refused:
                use()
            assert refused.value.code is None


def test_a_second_turn_finds_it_locked(openai_server: OpenAIServer) -> None:
    gate = Gate()
    with openai_server.client() as client:
        made = client.conversations.create()
        openai_server.script(Reply(text="slow", gate=gate))
        first = threading.Thread(target=ask, args=(client, "one", made.id))
        first.start()
        gate.wait_for_arrivals()
        with pytest.raises(BadRequestError) as refused:
            ask(client, "two", made.id)
        assert openai_server.held(made.id) == [], "a turn is entered when it ends"
        gate.open()
        first.join()
        ask(client, "three", made.id)

    assert refused.value.code == "conversation_locked"
    assert openai_server.held_texts(made.id) == ["one", "three"]


def test_a_conversation_and_a_node_exclude_each_other(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client, pytest.raises(BadRequestError) as refused:
        client.responses.create(model="gpt-5", input="x", conversation="conv_1", previous_response_id="resp_1")

    assert refused.value.code == "mutually_exclusive_parameters"
    openai_server.take_violations()


def test_an_unanswered_call_blocks_the_conversation(openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(tool_calls=(ToolCall("clock", call_id="call_1"),)))
    with openai_server.client() as client:
        made = client.conversations.create()
        client.responses.create(
            model="gpt-5",
            input="time?",
            conversation=made.id,
            tools=[{"type": "function", "name": "clock", "parameters": {}, "strict": False}],
        )
        with pytest.raises(BadRequestError, match="No tool output found for function call"):
            ask(client, "never mind", made.id)
        output = client.responses.create(
            model="gpt-5",
            conversation=made.id,
            input=[{"type": "function_call_output", "call_id": "call_1", "output": "noon"}],
        )

    assert output.output_text == "[1] Tools said: noon"


@pytest.mark.parametrize(
    ("fault", "held"),
    [
        (faults.drop(), []),
        (faults.drop(stored=True), ["one"]),
        (faults.cut_stream(stored=False), []),
        (faults.cut_stream(), ["one"]),
        (faults.cut_stream(entered=False), []),
        (faults.failed_response(), []),
        (faults.error_event(), []),
    ],
)
def test_what_a_broken_turn_leaves(openai_server: OpenAIServer, fault: faults.Fault, held: list[str]) -> None:
    with openai_server.client() as client:
        made = client.conversations.create()
        openai_server.fault(fault)
        with suppress(openai.APIError):
            list(client.responses.create(model="gpt-5", input="one", conversation=made.id, stream=True))
        openai_server.wait_until_idle()
        assert openai_server.held_texts(made.id) == held
        ask(client, "two", made.id)

    assert openai_server.held_texts(made.id) == [*held, "two"]


def test_the_model_may_go_on_after_the_connection_broke(openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.fault(faults.run_on(gate, after_events=2))
    with openai_server.client() as client:
        made = client.conversations.create()
        with pytest.raises(openai.APIError):
            list(client.responses.create(model="gpt-5", input="one", conversation=made.id, stream=True))
        gate.wait_for_arrivals()
        response_id = openai_server.model_views[-1].response_id
        assert client.responses.retrieve(response_id).status == "in_progress"
        with pytest.raises(BadRequestError):
            ask(client, "two", made.id)
        gate.open()
        openai_server.wait_until_idle()
        assert client.responses.retrieve(response_id).status == "completed"

    assert openai_server.held_texts(made.id) == ["one"]


def test_bodies_and_places_are_judged(openai_server: OpenAIServer) -> None:
    with openai_server.client() as client:
        with pytest.raises(BadRequestError):
            client.conversations.create(extra_body={"tempo": 1})
        with pytest.raises(BadRequestError):
            client.conversations.create(metadata={str(number): "x" for number in range(17)})
        with pytest.raises(NotFoundError, match="Invalid URL"):
            client.conversations.update("conv_1", metadata={})

    assert len(openai_server.take_violations()) == 2
