"""Turns on a conversation as the adapter runs them: what is looked up, adopted, sent again, given up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from langswarm_sessions.errors import ConfigurationError, NativeStateLostError, ProviderError, ProviderUnavailableError
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started
from langswarm_sessions.messages import ReasoningPart, Role, SessionMessage, ToolCall, text_of
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.openai import OpenAIConnection, OpenAIProviderSession
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.providers.openai.turn_fate import Fate, fate_of
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from tests.support.openai_server import OpenAIServer, Reply, faults
from tests.support.openai_server import ToolCall as Wanted

MODEL = "gpt-6-astra"
Item = dict[str, Any]


def message(role: str, text: str, **fields: Any) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **fields}


def said(text: str) -> Item:
    return {"type": "message", "role": "user", "content": text}


CALL: Item = {"type": "function_call", "id": "fc", "call_id": "c1", "name": "clock", "arguments": "{}"}
OUTPUT: Item = {"type": "function_call_output", "call_id": "c1", "output": "12"}
STORED_OUTPUT: Item = {**OUTPUT, "id": "fco", "status": "completed"}
THOUGHT: Item = {"type": "reasoning", "id": "rs", "summary": []}
PICTURE: Item = {"type": "input_image", "image_url": "https://example.org/a.png"}

FATES: list[tuple[list[Item], list[Item], str | None, Fate]] = [
    ([said("hi")], [], None, Fate.ABSENT),
    ([said("hi")], [], "failed", Fate.ABSENT),
    ([said("hi")], [], "cancelled", Fate.ABSENT),
    ([said("hi")], [], "completed", Fate.TORN),
    ([said("hi")], [], "incomplete", Fate.TORN),
    ([said("hi")], [message("user", "hi"), message("assistant", "yes")], None, Fate.WHOLE),
    ([said("hi")], [message("user", "hi"), message("assistant", "yes")], "completed", Fate.WHOLE),
    ([said("hi")], [message("user", "hi"), message("assistant", "yes")], "failed", Fate.TORN),
    ([said("hi")], [message("user", "hi"), THOUGHT, CALL], None, Fate.WHOLE),
    ([said("hi")], [message("user", "hi"), THOUGHT], None, Fate.TORN),
    ([said("hi")], [message("user", "hi")], None, Fate.TORN),
    ([said("hi")], [CALL], None, Fate.TORN),
    ([said("hi")], [message("assistant", "yes")], None, Fate.TORN),
    ([said("hi")], [message("user", "ho"), message("assistant", "yes")], None, Fate.TORN),
    ([said("hi")], [message("user", "hi"), message("assistant", "y", status="in_progress")], None, Fate.TORN),
    ([said("hi")], [message("user", "hi"), message("assistant", "yes"), message("user", "hi")], None, Fate.TORN),
    ([said("hi")], [message("system", "hi"), message("assistant", "yes")], None, Fate.TORN),
    ([OUTPUT], [STORED_OUTPUT, message("assistant", "noon")], None, Fate.WHOLE),
    ([OUTPUT], [{**STORED_OUTPUT, "call_id": "c2"}, message("assistant", "noon")], None, Fate.TORN),
    ([OUTPUT], [{**STORED_OUTPUT, "output": "13"}, message("assistant", "noon")], None, Fate.TORN),
    (
        [{"type": "message", "role": "system", "content": "s"}, said("hi")],
        [message("developer", "s"), message("user", "hi"), message("assistant", "yes")],
        None,
        Fate.WHOLE,
    ),
    (
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "look"}, PICTURE]}],
        [message("user", "look"), message("assistant", "yes")],
        None,
        Fate.TORN,
    ),
]


@pytest.mark.parametrize(("sent", "found", "status", "fate"), FATES, ids=[str(at) for at in range(len(FATES))])
def test_the_items_tell_what_became_of_a_turn(
    sent: list[Item], found: list[Item], status: str | None, fate: Fate
) -> None:
    assert fate_of(sent, found, status=status) is fate


Open = Callable[..., OpenAIProviderSession]


@pytest.fixture
async def connection(openai_server: OpenAIServer) -> AsyncIterator[OpenAIConnection]:
    made = connect_openai({"api_key": openai_server.api_key, "base_url": openai_server.base_url})
    yield made
    await made.aclose()


@pytest.fixture
def session(connection: OpenAIConnection) -> OpenAIProviderSession:
    return connection.open("session", MODEL, {"native": "log"})


def asked(text: str, native: NativeState | None = None, **fields: Any) -> ProviderRequest:
    message = SessionMessage(role=Role.USER, content=text)
    return ProviderRequest(messages=(message,), native=native, keep_native=True, **fields)


async def answered(session: OpenAIProviderSession, request: ProviderRequest) -> Completed:
    return await collect(session.stream_turn(request), provider="openai")


async def begun(session: OpenAIProviderSession) -> NativeState:
    return state(await answered(session, asked("one")))


def state(completed: Completed) -> NativeState:
    assert completed.native_id is not None
    return NativeState(
        provider="openai",
        kind=NativeKind.LOG,
        id=completed.native_id,
        cursor=1,
        turn_id="turn",
        memo=completed.native_memo,
    )


async def failed(session: OpenAIProviderSession, request: ProviderRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await answered(session, request)
    return caught.value


async def test_the_memo_is_the_newest_item(session: OpenAIProviderSession, openai_server: OpenAIServer) -> None:
    native = await begun(session)
    assert native.memo == {"newest_item": openai_server.held(native.id)[-1]["id"]}
    events = [event async for event in session.stream_turn(asked("two", native))]
    assert isinstance(events[0], Started)
    assert events[0].native_id == native.id
    assert isinstance(events[-1], Completed)
    assert events[-1].native_memo == {"newest_item": openai_server.held(native.id)[-1]["id"]}


async def test_a_turn_found_without_its_response_is_adopted_whole(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    openai_server.script(Reply(reasoning="Hm.", text="so", tool_calls=(Wanted("clock", {"zone": "UTC"}),)))
    openai_server.fault(faults.drop(stored=True))
    request = asked("two", native, options=TurnOptions(tools=({"name": "clock"},)))
    await failed(session, request)
    arrived = await session.reconcile(request)
    assert arrived is not None
    assert [type(part) for part in arrived.parts][::2] == [ReasoningPart, ToolCall]
    assert text_of(arrived.parts) == "so"
    assert (arrived.finish_reason, arrived.native_id) == ("tool_calls", native.id)
    assert arrived.native_memo == {"newest_item": openai_server.held(native.id)[-1]["id"]}
    assert arrived.payload is not None
    assert arrived.payload["items"][0]["encrypted_content"], "asked for with the items too"
    assert arrived.usage.total_tokens == 0, "not told by the items"


async def test_the_adapter_looks_by_itself_before_it_sends_again(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    openai_server.fault(faults.drop(stored=True))
    await failed(session, asked("two", native))
    assert text_of((await answered(session, asked("two", native))).parts) == "[2] You said: two"
    assert len(openai_server.creates) == 2
    assert openai_server.held_texts(native.id) == ["one", "two"]


async def test_another_message_is_not_answered_with_what_was_adopted(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    openai_server.fault(faults.drop(stored=True))
    await failed(session, asked("two", native))
    with pytest.raises(NativeStateLostError):
        await answered(session, asked("three", native))


async def test_a_definite_refusal_is_not_looked_up(session: OpenAIProviderSession, openai_server: OpenAIServer) -> None:
    native = await begun(session)
    openai_server.fault(faults.rate_limit())
    await failed(session, asked("two", native))
    await answered(session, asked("two", native))
    assert not [record for record in openai_server.requests if "/items" in record.path]


async def test_a_locked_conversation_is_looked_up_before_the_next_attempt(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    openai_server.fault(faults.http_error(400, code="conversation_locked"))
    error = await failed(session, asked("two", native))
    assert isinstance(error, ProviderUnavailableError)
    assert error.retryable
    openai_server.enter(native.id, message("user", "two"), message("assistant", "by the one who locked it"))
    arrived = await answered(session, asked("two", native))
    assert text_of(arrived.parts) == "by the one who locked it"


async def test_an_attempt_that_arrives_late_ends_the_conversation(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    openai_server.fault(faults.drop())
    await failed(session, asked("two", native))
    assert await session.reconcile(asked("two", native)) is None
    openai_server.enter(native.id, message("user", "two"), message("assistant", "late"))
    doubled = await answered(session, asked("two", native))
    assert "newest_item" not in doubled.native_memo
    with pytest.raises(NativeStateLostError):
        await answered(session, asked("three", state(doubled)))
    assert len(openai_server.creates) == 3, "given up before anything was sent"


async def test_what_is_found_may_take_pages(session: OpenAIProviderSession, openai_server: OpenAIServer) -> None:
    native = await begun(session)
    many = [message("user", str(number)) for number in range(150)]
    request = ProviderRequest(
        messages=tuple(SessionMessage(role=Role.USER, content=str(number)) for number in range(150)),
        native=native,
        keep_native=True,
    )
    for item in (*many, message("assistant", "all of them")):
        openai_server.enter(native.id, item)
    arrived = await session.reconcile(request)
    assert arrived is not None
    assert text_of(arrived.parts) == "all of them"


async def test_without_a_note_nothing_is_guessed(session: OpenAIProviderSession) -> None:
    native = await begun(session)
    forgetful = NativeState(provider="openai", kind=NativeKind.LOG, id=native.id, cursor=1, turn_id="turn")
    with pytest.raises(NativeStateLostError):
        await session.reconcile(asked("two", forgetful))


async def test_a_state_of_another_kind_is_not_continued(
    session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    native = await begun(session)
    await session.update_provider_config({"native": "node"})
    with pytest.raises(NativeStateLostError):
        await answered(session, asked("two", native))
    assert len(openai_server.creates) == 1


HTML = faults.HttpFault(200, b"<html>sign in</html>", content_type="text/html")
NO_LIST = faults.HttpFault(200, b'{"object":"list","data":[5],"has_more":false}')


@pytest.mark.parametrize("garbage", [HTML, NO_LIST, faults.HttpFault(200, b"[]"), faults.empty_body()])
@pytest.mark.parametrize("operation", ["conversations", "items", "retrieve"])
async def test_garbage_is_a_typed_error(
    garbage: faults.Fault, operation: str, session: OpenAIProviderSession, openai_server: OpenAIServer
) -> None:
    if operation == "conversations":
        openai_server.fault(garbage, on=operation)
        assert (await failed(session, asked("one"))).retryable
        return
    native = await begun(session)
    openai_server.fault(faults.cut_stream() if operation == "retrieve" else faults.drop())
    await failed(session, asked("two", native))
    openai_server.fault(garbage, on=operation)
    with pytest.raises(ProviderUnavailableError) as caught:
        await session.reconcile(asked("two", native))
    assert caught.value.retryable


async def test_deleting_deletes_the_conversation(session: OpenAIProviderSession, openai_server: OpenAIServer) -> None:
    native = await begun(session)
    await session.delete_native(native)
    await session.delete_native(native)
    assert openai_server.conversation_ids == []


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"native": "ephemeral"}, "'node' or 'log' or 'none'"),
        ({"native": "node", "api": "chat"}, "'none'"),
        ({"native": "log", "api": "chat"}, "'none'"),
        ({"native": "log", "store": False}, "store"),
        ({"native": "thread"}, "native"),
        ({"api": "completions"}, "'responses' or 'chat'"),
    ],
)
def test_kinds_there_are_not_are_refused(config: dict[str, Any], named: str, connection: OpenAIConnection) -> None:
    with pytest.raises(ConfigurationError, match=named):
        connection.check(MODEL, config)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ({}, NativeKind.NODE),
        ({"native": None, "api": None}, NativeKind.NODE),
        ({"native": "node"}, NativeKind.NODE),
        ({"native": "log"}, NativeKind.LOG),
        ({"native": "none"}, NativeKind.NONE),
        ({"native": "none", "store": True}, NativeKind.NONE),
        ({"native": "none", "api": "chat"}, NativeKind.NONE),
        ({"native": "node", "store": False}, NativeKind.NONE),
        ({"api": "chat"}, NativeKind.NONE),
        ({"api": "responses", "native": "log"}, NativeKind.LOG),
    ],
)
def test_the_settings_choose_the_kind(config: dict[str, Any], kind: NativeKind, connection: OpenAIConnection) -> None:
    connection.check(MODEL, config)
    assert connection.open("session", MODEL, config).profile.native is kind
