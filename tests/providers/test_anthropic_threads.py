"""Message threads by option: what is sent, what is kept with a thread's id, and what makes it be rebuilt."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from langswarm_sessions.errors import IncompleteStreamError, NativeStateLostError, ProviderUnavailableError
from langswarm_sessions.ids import use_clock
from langswarm_sessions.interfaces.provider import Completed, ProviderRequest, Started
from langswarm_sessions.messages import Role, SessionMessage, ToolCall, ToolResult, text_of
from langswarm_sessions.providers.anthropic import AnthropicConnection, AnthropicProviderSession
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from langswarm_sessions.providers.base import answer_message, collect
from langswarm_sessions.records import NativeKind, NativeState, TurnOptions
from tests.support.anthropic_server import AnthropicServer, Gate, Reply, faults
from tests.support.anthropic_server import ToolCall as Wanted

pytest_plugins = ["tests.support.anthropic_server.plugin"]

MODEL = "claude-haiku-5-5"
CLOCK: dict[str, Any] = {"name": "clock", "parameters": {"type": "object"}}
TOOLS = TurnOptions(tools=(CLOCK,))
BETA = "message-threads-2026-08-12"


@pytest.fixture
async def connection(anthropic_server: AnthropicServer) -> AsyncIterator[AnthropicConnection]:
    made = connect_anthropic({"api_key": anthropic_server.api_key, "base_url": anthropic_server.base_url})
    yield made
    await made.aclose()


Open = Callable[..., AnthropicProviderSession]


@pytest.fixture
def opened(connection: AnthropicConnection) -> Open:
    def open_session(**config: Any) -> AnthropicProviderSession:
        return connection.open("session", MODEL, {"native": "ephemeral", **config})

    return open_session


def user(text: str = "hi") -> SessionMessage:
    return SessionMessage(role=Role.USER, content=text)


async def ask(session: AnthropicProviderSession, *messages: SessionMessage, **fields: Any) -> Completed:
    request = ProviderRequest(messages=messages, keep_native=True, **fields)
    return await collect(session.stream_turn(request), provider="anthropic")


def kept(completed: Completed) -> NativeState:
    assert completed.native_id is not None
    return NativeState(
        provider="anthropic",
        kind=NativeKind.EPHEMERAL,
        id=completed.native_id,
        cursor=1,
        turn_id="turn",
        memo=completed.native_memo,
    )


def sent(server: AnthropicServer, at: int = -1) -> dict[str, Any]:
    return dict(server.requests[at].body or {})


async def test_a_thread_is_told_instructions_and_tools_once(opened: Open, anthropic_server: AnthropicServer) -> None:
    session = opened()
    first = await ask(session, user("one"), instructions="Be brief.", options=TOOLS)
    await ask(session, user("two"), native=kept(first), instructions="Be brief.", options=TOOLS)
    create, going_on = sent(anthropic_server, 0), sent(anthropic_server)
    assert create["thread"] == {"type": "create"}
    assert (create["system"], len(create["tools"])) == ("Be brief.", 1)
    assert going_on["thread"] == {"type": "continue", "previous_message_id": first.native_id}
    assert going_on["messages"] == [{"role": "user", "content": [{"type": "text", "text": "two"}]}]
    assert not {"system", "tools"} & set(going_on)
    assert [request.headers["anthropic-beta"] for request in anthropic_server.requests] == [BETA, BETA]
    assert create["cache_control"] == going_on["cache_control"]
    view = anthropic_server.model_views[-1]
    assert (view.user_texts, view.system, view.tool_names) == (["one", "two"], "Be brief.", ("clock",))


async def test_what_a_request_may_change_does_not_end_the_thread(
    opened: Open, anthropic_server: AnthropicServer
) -> None:
    first = await ask(opened(max_tokens=100), user("one"))
    await ask(opened(max_tokens=200, stop="END", user="u-1"), user("two"), native=kept(first))
    assert anthropic_server.model_views[-1].user_texts == ["one", "two"]


@pytest.mark.parametrize(
    ("config", "fields"),
    [
        ({}, {"instructions": "Be kind."}),
        ({}, {"instructions": "Be brief.", "options": TOOLS}),
        ({"tool_choice": "any"}, {"instructions": "Be brief."}),
        ({"reasoning_effort": "high"}, {"instructions": "Be brief."}),
        ({"temperature": 1}, {"instructions": "Be brief."}),
    ],
)
async def test_what_changed_is_seen_before_anything_is_sent(
    config: dict[str, Any], fields: dict[str, Any], opened: Open, anthropic_server: AnthropicServer
) -> None:
    before = {"tool_choice": "any"} if config == {"tool_choice": "any"} else {}
    tools = {"options": TOOLS} if before else {}
    first = await ask(opened(), user("one"), instructions="Be brief.", **tools)
    with pytest.raises(NativeStateLostError, match="rebuilt from the transcript"):
        await ask(opened(**config), user("two"), native=kept(first), **{**tools, **fields})
    assert len(anthropic_server.requests) == 1


async def test_a_thread_nobody_used_for_five_minutes_is_not_asked_for(
    opened: Open, anthropic_server: AnthropicServer
) -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with use_clock(lambda: noon):
        first = await ask(opened(), user("one"))
    with use_clock(lambda: noon + timedelta(minutes=4)):
        second = await ask(opened(), user("two"), native=kept(first))
    with use_clock(lambda: noon + timedelta(minutes=8)):
        third = await ask(opened(), user("three"), native=kept(second))
    with use_clock(lambda: noon + timedelta(minutes=14)), pytest.raises(NativeStateLostError):
        await ask(opened(), user("four"), native=kept(third))
    assert len(anthropic_server.requests) == 3


@pytest.mark.parametrize(
    "code",
    [
        "thread_already_continued",
        "thread_continue_in_flight",
        "thread_fingerprint_mismatch",
        "thread_not_found",
        "thread_unsupported_request",
    ],
)
async def test_every_way_to_lose_a_thread(code: str, opened: Open, anthropic_server: AnthropicServer) -> None:
    first = await ask(opened(), user("one"))
    anthropic_server.fault(faults.http_error(404 if code == "thread_not_found" else 400, code=code))
    with pytest.raises(NativeStateLostError, match=code):
        await ask(opened(), user("two"), native=kept(first))


async def test_a_thread_goes_on_from_its_newest_message_only(opened: Open, anthropic_server: AnthropicServer) -> None:
    first = kept(await ask(opened(), user("one")))
    anthropic_server.fault(faults.cut_stream(stored=True))
    with pytest.raises(IncompleteStreamError) as cut:
        await ask(opened(), user("two"), native=first)
    assert cut.value.retryable
    with pytest.raises(NativeStateLostError, match="thread_already_continued"):
        await ask(opened(), user("two"), native=first)


async def test_a_failed_request_leaves_the_thread_as_it_was(opened: Open, anthropic_server: AnthropicServer) -> None:
    first = kept(await ask(opened(), user("one")))
    for fault in (faults.http_error(529), faults.error_event()):
        anthropic_server.fault(fault)
        with pytest.raises(ProviderUnavailableError):
            await ask(opened(), user("two"), native=first)
    assert text_of((await ask(opened(), user("two"), native=first)).parts) == "[2] You said: two"


async def test_a_request_that_cannot_be_threaded_goes_without(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.refuse_threads()
    for _ in range(2):
        completed = await ask(opened(), user("one"))
        assert (text_of(completed.parts), completed.native_id) == ("[1] You said: one", None)
    assert ["thread" in sent(anthropic_server, at) for at in range(3)] == [True, False, False], "asked once"
    await ask(opened(temperature=0), user("one"))
    assert "thread" in sent(anthropic_server, -2), "other settings may do"


async def test_a_thread_that_is_refused_later_is_lost(opened: Open, anthropic_server: AnthropicServer) -> None:
    first = kept(await ask(opened(), user("one")))
    anthropic_server.refuse_threads()
    with pytest.raises(NativeStateLostError):
        await ask(opened(), user("two"), native=first)
    assert (await ask(opened(), user("one"), user("two"))).native_id is None
    assert len(anthropic_server.requests) == 3


async def test_calls_are_answered_in_the_thread(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply(thinking="Two times.", tool_calls=(Wanted("clock"), Wanted("clock"))))
    asked = await ask(opened(), user("time?"), options=TOOLS)
    calls = [part for part in asked.parts if isinstance(part, ToolCall)]
    results = [
        SessionMessage(role=Role.TOOL, parts=[ToolResult(tool_call_id=call.id, content=str(hour))])
        for hour, call in enumerate(calls, start=12)
    ]
    told = await ask(opened(), *results, user("quick!"), native=kept(asked), options=TOOLS)
    assert text_of(told.parts) == "[2] You said: quick!"
    (message,) = sent(anthropic_server)["messages"]
    assert [block["type"] for block in message["content"]] == ["tool_result", "tool_result", "text"]


async def test_system_messages_join_the_thread_or_end_it(opened: Open, anthropic_server: AnthropicServer) -> None:
    first = await ask(opened(), user("one"))
    aside = SessionMessage(role=Role.SYSTEM, content="Speak French.")
    second = await ask(opened(), aside, user("two"), native=kept(first))
    assert [message["role"] for message in sent(anthropic_server)["messages"]] == ["user", "system"]
    anthropic_server.refuse_system_messages(MODEL)
    with pytest.raises(NativeStateLostError):
        await ask(opened(), aside, user("three"), native=kept(second))
    rebuilt = await ask(opened(), user("one"), answer_message(first), aside, user("two"))
    assert sent(anthropic_server)["system"] == "Speak French."
    assert rebuilt.native_id


async def test_what_was_refused_is_not_built_upon(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply(refusal="No."))
    assert (await ask(opened(), user("one"))).native_id is None


async def test_an_answer_without_a_word_is_not_built_upon(opened: Open, anthropic_server: AnthropicServer) -> None:
    anthropic_server.script(Reply())
    assert (await ask(opened(), user("one"))).native_id is None


async def test_a_paused_turn_goes_on_in_its_thread(opened: Open, anthropic_server: AnthropicServer) -> None:
    search: dict[str, Any] = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    anthropic_server.script(Reply(text="Hm, ", blocks=(search,), stop_reason="pause_turn"), Reply(text="nothing."))
    completed = await ask(opened(), user("look"))
    assert text_of(completed.parts) == "Hm, nothing."
    assert sent(anthropic_server)["messages"] == []
    assert sent(anthropic_server)["thread"]["type"] == "continue"
    assert completed.native_id == anthropic_server.requests[-1].response_id
    assert len(anthropic_server.kept_ids) == 1


async def test_the_id_is_told_as_soon_as_the_answer_begins(opened: Open, anthropic_server: AnthropicServer) -> None:
    gate = Gate()
    anthropic_server.script(Reply(text="x", gate=gate))
    events = opened().stream_turn(ProviderRequest(messages=(user(),), keep_native=True))
    started = await anext(events)
    assert isinstance(started, Started)
    gate.open()
    completed = [event async for event in events][-1]
    assert isinstance(completed, Completed)
    assert (started.native_id, started.request_id) == (completed.native_id, completed.request_id)


async def test_without_the_option_there_are_no_threads(opened: Open, anthropic_server: AnthropicServer) -> None:
    completed = await ask(opened(native=None), user())
    assert completed.native_id is None
    assert "thread" not in sent(anthropic_server)
