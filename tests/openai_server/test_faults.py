"""Each fault reaches the SDK as the provider's would, and leaves the state it says it leaves."""

from __future__ import annotations

import json

import anyio
import pytest
from openai import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    InternalServerError,
    NotFoundError,
    OpenAI,
    RateLimitError,
)
from openai.types.responses import Response, ResponseErrorEvent, ResponseFailedEvent, ResponseStreamEvent

from tests.support.openai_server import Gate, OpenAIServer, Reply, faults
from tests.support.openai_server.faults import Fault, HttpFault


def ask(client: OpenAI, previous: str | None = None) -> Response:
    return client.responses.create(model="gpt-5", input="hi", previous_response_id=previous)


def drain(client: OpenAI, into: list[ResponseStreamEvent]) -> None:
    for event in client.responses.create(model="gpt-5", input="hi", stream=True):
        into.append(event)


def make(client: OpenAI, *, is_stream: bool) -> None:
    if is_stream:
        drain(client, [])
    else:
        ask(client)


HTTP_FAULTS: list[tuple[HttpFault, type[APIStatusError], str | None]] = [
    (faults.rate_limit(), RateLimitError, "rate_limit_exceeded"),
    (faults.insufficient_quota(), RateLimitError, "insufficient_quota"),
    (faults.http_error(500), InternalServerError, None),
    (faults.http_error(503, code="overloaded"), InternalServerError, "overloaded"),
    (faults.http_error(401, code="invalid_api_key"), AuthenticationError, "invalid_api_key"),
    (faults.http_error(400, code="invalid_prompt"), BadRequestError, "invalid_prompt"),
]


@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.parametrize(("fault", "error", "code"), HTTP_FAULTS)
def test_error_answers_have_the_api_shape(
    openai_server: OpenAIServer, fault: HttpFault, error: type[APIStatusError], code: str | None, is_stream: bool
) -> None:
    openai_server.fault(fault)
    with openai_server.client() as client:
        with pytest.raises(error) as raised:
            make(client, is_stream=is_stream)
        assert ask(client).output_text == "[1] You said: hi"

    assert type(raised.value) is error
    assert raised.value.code == code
    assert raised.value.request_id is not None
    assert raised.value.request_id.startswith("req_")
    assert [record.status for record in openai_server.requests] == [fault.status, 200]
    assert len(openai_server.model_views) == 1


def test_retry_after_is_sent_in_seconds(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.rate_limit(retry_after=2.5))
    with openai_server.client() as client, pytest.raises(RateLimitError) as raised:
        ask(client)

    assert raised.value.response.headers["retry-after"] == "2.5"


def test_a_proxy_page_is_an_error_without_a_code(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.html_bad_gateway())
    with openai_server.client() as client, pytest.raises(InternalServerError) as raised:
        ask(client)

    assert raised.value.status_code == 502
    assert "<h1>502 Bad Gateway</h1>" in raised.value.response.text
    assert raised.value.code is None


def test_an_empty_body_is_no_response(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.empty_body())
    openai_server.fault(faults.empty_body(status=500))
    with openai_server.client() as client:
        with pytest.raises((json.JSONDecodeError, APIResponseValidationError)):
            ask(client)
        with pytest.raises(InternalServerError):
            ask(client)


def test_faults_queue_for_later_requests_and_other_operations(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.http_error(500), after=1, times=2)
    openai_server.fault(faults.http_error(500), on="retrieve")
    openai_server.fault(faults.drop(), on="delete")
    with openai_server.client() as client:
        made = ask(client)
        for _ in range(2):
            with pytest.raises(InternalServerError):
                ask(client)
        ask(client)
        with pytest.raises(InternalServerError):
            client.responses.retrieve(made.id)
        with pytest.raises(APIConnectionError):
            client.responses.delete(made.id)
        assert client.responses.retrieve(made.id).id == made.id


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_late_answer_is_a_timeout(openai_server: OpenAIServer, is_stored: bool, is_stream: bool) -> None:
    gate = Gate()
    openai_server.fault(faults.delay(gate, stored=is_stored))
    with openai_server.client(timeout=0.2) as client, pytest.raises(APITimeoutError):
        make(client, is_stream=is_stream)
    openai_server.wait_until_idle()

    assert openai_server.requests[0].outcome == "client_gone"
    assert gate.arrivals == 1
    assert len(openai_server.model_views) == len(openai_server.stored_ids) == int(is_stored)


async def test_a_delayed_answer_still_comes_when_the_gate_opens(openai_server: OpenAIServer) -> None:
    gate = Gate()
    openai_server.fault(faults.delay(gate))
    said: list[str] = []

    async with openai_server.async_client() as client, anyio.create_task_group() as tasks:

        async def turn() -> None:
            said.append((await client.responses.create(model="gpt-5", input="hi")).output_text)

        tasks.start_soon(turn)
        await gate.arrived()
        assert openai_server.model_views == []
        gate.open()

    assert said == ["[1] You said: hi"]


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize("is_stream", [False, True])
def test_a_dropped_connection_may_leave_a_response(
    openai_server: OpenAIServer, is_stored: bool, is_stream: bool
) -> None:
    openai_server.fault(faults.drop(stored=is_stored))
    with openai_server.client() as client:
        with pytest.raises(APIConnectionError) as raised:
            make(client, is_stream=is_stream)
        assert not isinstance(raised.value, APITimeoutError)
        for response_id in openai_server.stored_ids:
            assert client.responses.retrieve(response_id).status == "completed"

    assert len(openai_server.stored_ids) == int(is_stored)
    assert (openai_server.requests[0].status, openai_server.requests[0].outcome) == (None, "cut")


@pytest.mark.parametrize("count", [0, 1, 4, 6])
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_stream_breaks_after_so_many_events(openai_server: OpenAIServer, count: int, is_stored: bool) -> None:
    openai_server.fault(faults.cut_stream(after_events=count, stored=is_stored))
    seen: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        with pytest.raises(APIConnectionError):
            drain(client, seen)
        assert len(seen) == count
        record = openai_server.requests[0]
        assert (record.status, record.outcome) == (200, "cut")
        if is_stored:
            assert client.responses.retrieve(record.response_id or "").status == "completed"
        else:
            with pytest.raises(NotFoundError):
                client.responses.retrieve(record.response_id or "")


def test_a_stream_ends_silently_without_its_terminal_event(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.end_stream(after_events=5))
    seen: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        drain(client, seen)
        assert ask(client).output_text == "[1] You said: hi"

    assert len(seen) == 5
    assert seen[-1].type == "response.output_text.delta"


@pytest.mark.parametrize(
    "fault",
    [faults.end_stream(after_events=99), faults.failed_response(after_events=99), faults.error_event(after_events=99)],
)
def test_a_late_fault_takes_the_place_of_the_terminal_event(openai_server: OpenAIServer, fault: Fault) -> None:
    openai_server.fault(fault)
    seen: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        drain(client, seen)

    assert "response.output_item.done" in [event.type for event in seen]
    assert "response.completed" not in [event.type for event in seen]
    assert [event.sequence_number for event in seen] == list(range(len(seen)))


def test_a_plain_answer_can_be_cut(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.cut_stream())
    openai_server.fault(faults.end_stream())
    with openai_server.client() as client:
        with pytest.raises(APIConnectionError):
            ask(client)
        with pytest.raises(json.JSONDecodeError):
            ask(client)


def test_a_failed_response_is_an_event_and_no_native_state(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.failed_response(after_events=5, message="it broke"), times=2)
    seen: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        drain(client, seen)
        plain = ask(client)
        with pytest.raises(BadRequestError) as refused:
            ask(client, plain.id)

    last = seen[-1]
    assert isinstance(last, ResponseFailedEvent)
    assert (len(seen), last.sequence_number) == (6, 5)
    assert last.response.error is not None
    assert (last.response.error.code, last.response.error.message) == ("server_error", "it broke")
    assert plain.status == "failed"
    assert refused.value.code == "previous_response_not_found"


def test_an_error_event_is_yielded_flat_and_raised_nested(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.error_event(after_events=2, code="rate_limit_exceeded", message="slow down"))
    openai_server.fault(faults.error_event(after_events=2, code="rate_limit_exceeded", nested=True))
    openai_server.fault(faults.error_event())
    flat: list[ResponseStreamEvent] = []
    nested: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        drain(client, flat)
        with pytest.raises(APIError) as raised:
            drain(client, nested)
        with pytest.raises(InternalServerError):
            ask(client)

    last = flat[-1]
    assert isinstance(last, ResponseErrorEvent)
    assert (last.code, last.message, last.sequence_number) == ("rate_limit_exceeded", "slow down", 2)
    assert len(nested) == 2
    assert (type(raised.value), raised.value.code) == (APIError, "rate_limit_exceeded")


def test_a_corrupt_event_is_no_json(openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.corrupt_event(after_events=3), times=2)
    seen: list[ResponseStreamEvent] = []
    with openai_server.client() as client:
        with pytest.raises(json.JSONDecodeError):
            drain(client, seen)
        with pytest.raises(json.JSONDecodeError):
            ask(client)

    assert len(seen) == 3


@pytest.mark.parametrize(
    "fault",
    [
        faults.rate_limit(),
        faults.drop(),
        faults.cut_stream(),
        faults.end_stream(),
        faults.failed_response(),
        faults.error_event(),
    ],
)
async def test_the_async_client_suffers_alike_and_recovers(openai_server: OpenAIServer, fault: Fault) -> None:
    openai_server.fault(fault)
    async with openai_server.async_client() as client:
        kinds: list[str] = []
        try:
            async for event in await client.responses.create(model="gpt-5", input="hi", stream=True):
                kinds.append(event.type)
        except APIError as error:
            kinds.append(type(error).__name__)
        assert "response.completed" not in kinds
        assert (await client.responses.create(model="gpt-5", input="hi")).output_text == "[1] You said: hi"


def test_a_script_waits_for_the_request_that_is_answered(openai_server: OpenAIServer) -> None:
    openai_server.script(Reply(text="scripted"))
    openai_server.fault(faults.rate_limit())
    with openai_server.client() as client:
        with pytest.raises(RateLimitError):
            ask(client)
        assert ask(client).output_text == "scripted"


def test_stopping_ends_every_wait() -> None:
    gate = Gate()
    server = OpenAIServer()
    server.start()
    server.fault(faults.delay(gate))
    with server.client(timeout=0.2) as client, pytest.raises(APITimeoutError):
        ask(client)
    server.stop()

    server.wait_until_idle()
    with server.client() as client, pytest.raises(APIConnectionError):
        ask(client)
