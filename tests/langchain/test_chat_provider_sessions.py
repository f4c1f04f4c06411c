"""Sessions that a chat model answers: turns, tools, windows, runs, spans, and how they end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackManager
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.messages.tool import tool_call
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from langswarm_sessions import (
    ContextOverflowError,
    ImagePart,
    ProviderTimeoutError,
    RateLimitError,
    RetryPolicy,
    Role,
    SessionManager,
    SessionMessage,
    TextPart,
    create_session_manager,
)
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderRequest, TextDelta
from langswarm_sessions.records import TurnOptions
from langswarm_sessions_langchain import LangChainProvider, SessionRunnable
from langswarm_sessions_langchain.provider.request import run_config
from tests.langchain.chains import Runs, on, summed, told
from tests.support.chat_model import JudgedChat, api_error
from tests.support.recorded import Recorded

CLOCK: dict[str, Any] = {
    "name": "clock",
    "description": "Tells the time.",
    "parameters": {"type": "object", "properties": {}},
}
AT_ONCE = RetryPolicy(max_attempts=3, initial_delay=0, jitter=0, retry_after_cap=0.001)


@pytest.fixture
def chat() -> JudgedChat:
    return JudgedChat()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def manager(chat: JudgedChat, recorded: Recorded) -> AsyncIterator[SessionManager]:
    made = create_session_manager(
        storage="memory", providers={"mychat": chat}, retry=AT_ONCE, telemetry=recorded.telemetry()
    )
    yield made
    made.bridge.close()
    await made.close()


async def test_a_conversation_its_prefix_stays_the_same(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1", provider_config={"instructions": "Be brief."})
    chat.party.say("One.", AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, "Two."]))
    reply = await session.send_message("first")
    assert reply.content == "One."
    assert reply.provider_metadata["provider"] == "mychat"
    assert reply.provider_metadata["model"] == "judged-1-0613"
    assert reply.provider_metadata["usage"]["total_tokens"] > 0
    stream = session.send_message_stream("second")
    assert "".join([piece async for piece in stream]) == stream.message.content == "Two."
    await session.send_message("third")
    windows = [call.messages for call in chat.party.calls]
    assert [len(window) for window in windows] == [2, 4, 6]
    assert windows[2][:4] == windows[1]
    assert windows[1][:2] == windows[0]
    assert windows[2][4].content == [{"type": "thinking", "thinking": "hm", "signature": "s", "index": 0}, "Two."]
    assert session.provider_session_id is None
    assert (await session.get_provider_metadata())["native"] == "none"


async def test_tools_images_and_a_stored_loop(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    calls = [{"name": "clock", "args": {"zone": zone}, "id": f"call_{zone}", "type": "tool_call"} for zone in "AB"]
    chat.party.say(AIMessage("Let me look.", tool_calls=calls), "It is noon.")
    asked = await session.send_message(
        [TextPart("time?"), ImagePart(data="aGk=", media_type="image/png")], tools=[CLOCK]
    )
    assert asked.provider_metadata["finish_reason"] == "tool_calls"
    outputs = [{"tool_call_id": call.id, "content": "noon"} for call in reversed(asked.tool_calls)]
    assert (await session.send_tool_results(outputs)).content == "It is noon."
    assert chat.party.last.messages[0].content[1]["type"] == "image"  # type: ignore[index]
    results = [message for message in chat.party.last.messages if isinstance(message, ToolMessage)]
    assert [result.tool_call_id for result in results] == ["call_A", "call_B"]


async def test_native_is_refused_and_settings_change(manager: SessionManager, chat: JudgedChat) -> None:
    with pytest.raises(ConfigurationError, match="native"):
        await manager.create_session("ada", "mychat", "judged-1", strategy="native")
    session = await manager.create_session("ada", "mychat", "judged-1", provider_config={"temperature": 0.1})
    live: Any = session.provider_session
    await live.update_provider_config({"temperature": 0.9})
    await session.send_message("hi")
    assert chat.party.last.settings["temperature"] == 0.9
    assert (await live.send_message("directly")).content
    assert chat.party.last.user_texts == ["hi", "directly"]


async def test_the_session_alone_retries(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    chat.party.fail(api_error(429))
    chat.party.fail(api_error(503))
    assert (await session.send_message("hi")).content
    assert len(chat.party.calls) == 3
    assert chat.party.last.settings["max_retries"] == 0
    chat.party.fail(api_error(429))
    chat.party.fail(api_error(429))
    chat.party.fail(api_error(429))
    with pytest.raises(RateLimitError):
        await session.send_message("lost")
    assert [status for *_, status in await told(manager, session.session_id)] == ["completed", "completed", "failed"]


async def test_an_overflow_is_tried_once_with_less(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    for number in range(4):
        await session.send_message(f"question {number} " + "word " * 50)
    chat.party.fail(api_error(400, code="context_length_exceeded"))
    await session.send_message("and now?")
    whole, smaller = chat.party.calls[-2:]
    assert len(smaller.messages) < len(whole.messages)
    chat.party.fail(api_error(400, code="context_length_exceeded"))
    chat.party.fail(api_error(400, code="context_length_exceeded"))
    with pytest.raises(ContextOverflowError):
        await session.send_message("too much")


async def test_leaving_a_stream_ends_the_models(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    before = asyncio.all_tasks()
    async with aclosing(session.send_message_stream("hi")) as stream:
        async for _ in stream:
            break
    assert chat.party.closed == 1
    assert {task for task in asyncio.all_tasks() - before if not task.done()} == set()
    assert [status for *_, status in await told(manager, session.session_id)] == ["interrupted", "interrupted"]
    assert (await session.send_message("again")).content


@pytest.mark.parametrize("tools", [(), (CLOCK,)], ids=["plain", "with-tools"])
async def test_the_models_stream_is_closed_even_if_somebody_holds_it(tools: tuple[Any, ...]) -> None:
    held: list[Any] = []

    class Holding(JudgedChat):
        def astream(self, *args: Any, **kwargs: Any) -> Any:
            held.append(super().astream(*args, **kwargs))
            return held[-1]

    chat = Holding()
    session = LangChainProvider(chat).open("s", "judged-1", {})
    message = SessionMessage(role=Role.USER, content="hi")
    request = ProviderRequest(messages=(message,), options=TurnOptions(tools=tools))
    async with aclosing(session.stream_turn(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                break
    assert held[0].ag_frame is None
    assert chat.party.closed == 1


async def test_a_cancelled_turn_ends_a_model_that_hangs(manager: SessionManager, chat: JudgedChat) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    hanging = asyncio.Event()

    async def hang() -> None:
        hanging.set()
        await asyncio.Event().wait()

    chat.party.before_chunk = hang
    turn = asyncio.ensure_future(session.send_message("hi"))
    await hanging.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    chat.party.before_chunk = None
    assert (await session.send_message("again")).content
    assert chat.party.closed == 2


async def test_a_model_that_falls_silent(chat: JudgedChat) -> None:
    async with create_session_manager(
        storage="memory", providers={"mychat": chat}, retry=RetryPolicy(max_attempts=1)
    ) as manager:
        session = await manager.create_session("ada", "mychat", "judged-1", provider_config={"timeout": 0.02})

        async def never() -> None:
            await asyncio.Event().wait()

        chat.party.before_chunk = never
        with pytest.raises(ProviderTimeoutError, match="raise timeout"):
            await session.send_message("hi")
        assert chat.party.closed == 1


async def test_two_models_side_by_side_and_across_processes(tmp_path: Path) -> None:
    here, there = JudgedChat(), JudgedChat(model="other")
    here.party.say(AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, "Mine."]))
    config = {"db_path": str(tmp_path / "chat.db")}
    async with create_session_manager("sqlite", storage_config=config, providers={"mychat": here}) as manager:
        session = await manager.create_session("ada", "mychat", "judged-1", session_id="s")
        await session.send_message("hi")
    async with create_session_manager("sqlite", storage_config=config, providers={"mychat": here}) as manager:
        await (await manager.get_session("s")).send_message("same model")
        assert isinstance(here.party.last.answers[0].content, list)
    explicit = LangChainProvider(there, name="mychat")
    async with create_session_manager("sqlite", storage_config=config, providers={"mychat": explicit}) as manager:
        await (await manager.get_session("s")).send_message("another model")
        assert there.party.last.answers[0].content == "Mine."


def test_the_blocking_face_and_a_model_that_is_not_async() -> None:
    chat = FakeListChatModel(responses=["One.", "Two."])
    manager = create_session_manager(storage="memory", providers={"mychat": chat}, blocking=True)
    session = manager.create_session("ada", "mychat", "fake")
    assert session.send_message("hi").content == "One."
    assert "".join(session.send_message_stream("hi")) == "Two."
    manager.close()


# Runs


async def test_a_runnable_over_it_streams_the_models_own_chunks(manager: SessionManager, chat: JudgedChat) -> None:
    call = {"name": "clock", "args": {"zone": "UTC"}, "id": "c1", "type": "tool_call"}
    said = AIMessage([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "Look."}])
    chat.party.say(said.model_copy(update={"tool_calls": [call]}))
    runnable = SessionRunnable(manager=manager, provider="mychat", model="judged-1")
    chunks: list[Any] = [chunk async for chunk in runnable.astream("hi", on("s"))]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    total: Any = summed(chunks)
    assert [block["type"] for block in total.content] == ["thinking", "text"]
    assert total.tool_calls == [call]
    assert total.usage_metadata["total_tokens"] > 0
    assert total.response_metadata["session_id"] == "s"


async def test_its_runs_stand_under_the_callers(manager: SessionManager) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1", provider_config={"metadata": {"team": "red"}})

    async def node(text: str) -> str:
        return (await session.send_message(text)).content

    runs = Runs()
    await RunnableLambda(node).ainvoke("hi", {"callbacks": [runs], "metadata": {"thread_id": "outer", "mine": 1}})
    (_, outer, above), (name, _, parent) = runs.started
    assert (name, above, parent) == ("JudgedChat", None, outer)
    about = runs.metadata["JudgedChat"]
    grouped_by = ("session_id", "thread_id", "conversation_id")
    assert [about[key] for key in grouped_by] == [session.session_id] * 3
    assert (about["mine"], about["team"]) == (1, "red")
    await session.send_message("by itself")
    assert len(runs.started) == 2


async def test_the_config_around_it_is_kept() -> None:
    def inner(_: str) -> Any:
        return run_config("s", metadata={"team": "red"})

    around: Any = {"metadata": {"mine": 1, "team": "blue", "thread_id": "outer"}, "tags": ["t"], "run_name": "outer"}
    config = await RunnableLambda(inner).ainvoke("hi", around)
    assert (config["metadata"]["mine"], config["metadata"]["team"], config["metadata"]["thread_id"]) == (1, "red", "s")
    assert config["tags"] == ["t"]
    assert config["configurable"]["thread_id"] == "s"
    assert "run_name" not in config


async def test_in_a_blocking_chain_too(manager: SessionManager) -> None:
    runnable = SessionRunnable(manager=manager, provider="mychat", model="judged-1")
    runs = Runs()
    await asyncio.to_thread(runnable.invoke, "hi", {**on("s"), "callbacks": [runs]})
    assert [name for name, *_ in runs.started] == ["SessionRunnable", "JudgedChat"]
    assert runs.started[1][2] == runs.started[0][1]


# Spans


async def test_the_call_is_a_span_of_ours(manager: SessionManager, recorded: Recorded) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    await session.send_message("hi")
    attributes = recorded.span("chat judged-1").attributes or {}
    assert attributes["gen_ai.provider.name"] == "langchain"
    assert attributes["gen_ai.response.model"] == "judged-1-0613"
    assert attributes["gen_ai.usage.output_tokens"] == 6
    assert len(recorded.points("gen_ai.client.token.usage")) == 2


async def test_who_traces_langchain_traces_it_alone(
    manager: SessionManager, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await manager.create_session("ada", "mychat", "judged-1")
    wrapped = BaseCallbackManager.__init__

    @functools.wraps(wrapped)
    def instrumented(self: BaseCallbackManager, *args: Any, **kwargs: Any) -> None:
        wrapped(self, *args, **kwargs)

    monkeypatch.setattr(BaseCallbackManager, "__init__", instrumented)
    await session.send_message("hi")
    assert [span.name for span in recorded.spans if span.name.startswith("chat")] == []
    assert recorded.points("gen_ai.client.token.usage") == []
    monkeypatch.undo()
    await session.send_message("hi")
    assert recorded.span("chat judged-1").parent is not None


def test_a_blocking_session_runs_tools_with_a_chat_model(chat: JudgedChat) -> None:
    @tool
    def clock(zone: str) -> str:
        """Tell the time."""
        return f"noon in {zone}"

    def place() -> str:
        """Tell where this is."""
        return "here"

    def calls(*names: str) -> AIMessage:
        made = [tool_call(name=name, args={"zone": "UTC"} if name == "clock" else {}, id="call_0") for name in names]
        return AIMessage("", tool_calls=made)

    wanted = {"name": "told", "schema": {"type": "object"}}
    chat.party.say(calls("clock", "place"), calls("clock"), '{"time": "noon"}', '{"time": "still noon"}')
    with create_session_manager(storage="memory", providers={"mychat": chat}, blocking=True) as manager:
        session = manager.create_session("ada", "mychat", "judged-1")
        options: dict[str, Any] = {"tools": [clock, place], "run_tools": True, "response_format": wanted}
        asked = session.send_message("When and where?", **options, max_tool_rounds=1)
        assert [call.id for call in asked.tool_calls] == ["call_0"]
        assert session.resume_tools([clock, place]).content == '{"time": "noon"}'
        results = [message for message in chat.party.last.messages if isinstance(message, ToolMessage)]
        assert [message.content for message in results] == ["noon in UTC", "here", "noon in UTC"]
        first, second = (message.tool_call_id for message in results[:2])
        assert first != second, "the model gave both calls one id"
        assert all(call.kwargs["response_format"]["json_schema"] == wanted for call in chat.party.calls)
        assert "".join(session.send_message_stream("Now?", **options)) == '{"time": "still noon"}'
