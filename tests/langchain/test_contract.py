"""SessionRunnable keeps the contract of a Runnable."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import (
    ConfigurableField,
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
)

from langswarm_sessions import (
    InvalidInputError,
    MockProviderSession,
    SessionManager,
    SessionNotFoundError,
    ToolCall,
)
from langswarm_sessions_langchain import SessionRunnable
from tests.langchain.chains import Runs, Scripted, Unavailable, on, stored, summed, told


@pytest.fixture
def runnable(manager: SessionManager) -> SessionRunnable:
    return SessionRunnable(manager=manager, provider="mock", model="mock-model")


# ---------------------------------------------------------------- calls


INPUTS: list[Any] = [
    "hi",
    HumanMessage("hi"),
    [HumanMessage("hi")],
    [("human", "hi")],
    [{"role": "user", "content": "hi"}],
    {"role": "user", "content": "hi"},
    {"question": "hi"},
    {"input": "hi", "other": 1},
    {"messages": [("human", "hi")]},
    ChatPromptTemplate.from_messages([("human", "{q}")]).invoke({"q": "hi"}),
]


@pytest.mark.parametrize("given", INPUTS)
async def test_every_form_of_input(runnable: SessionRunnable, manager: SessionManager, given: Any) -> None:
    answer = await runnable.ainvoke(given, on("s"))
    assert (type(answer), answer.text) == (AIMessage, "Mock response to: hi")
    assert await told(manager, "s") == [
        ("user", "hi", "completed"),
        ("assistant", "Mock response to: hi", "completed"),
    ]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "input must be a str, a message"),
        (None, "input must be a str, a message"),
        ([], "nothing to answer"),
        ([SystemMessage("rules")], "nothing to answer"),
        ({}, "input_messages_key"),
        ({"a": 1, "b": 2}, "no entry 'input'; set input_messages_key="),
        ([{"role": "nobody", "content": "canary"}], "an entry of the list is no message"),
        ([object()], "an entry of the list is no message"),
    ],
)
async def test_input_that_is_none(runnable: SessionRunnable, manager: SessionManager, given: Any, says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        await runnable.ainvoke(given, on("s"))
    assert "canary" not in str(caught.value)
    with pytest.raises(SessionNotFoundError):
        await manager.get_session("s")


async def test_what_an_answer_says(runnable: SessionRunnable, manager: SessionManager) -> None:
    answer = await runnable.ainvoke("hi", on("s"))
    kept = (await stored(manager, "s"))[-1]
    assert answer.id == kept.provider_message_id
    assert answer.usage_metadata is not None
    assert answer.usage_metadata["total_tokens"] == kept.provider_metadata["usage"]["total_tokens"] > 0
    assert answer.response_metadata == {
        "model_name": "mock-model",
        "model_provider": "mock",
        "finish_reason": "stop",
        "id": answer.id,
        "session_id": "s",
        "turn_id": kept.turn_id,
    }


def test_blocking_calls(runnable: SessionRunnable) -> None:
    assert runnable.invoke("hi", on("s")).text == "Mock response to: hi"
    assert summed(list(runnable.stream("you", on("s")))).text == "Mock response to: you"
    answers = runnable.batch(["a", "b", "c"], [on("x"), on("y"), on("z")])
    assert [answer.text[-1] for answer in answers] == ["a", "b", "c"]
    assert [answer.response_metadata["session_id"] for answer in answers] == ["x", "y", "z"]


async def test_a_blocking_call_inside_a_running_loop(runnable: SessionRunnable) -> None:
    assert runnable.invoke("hi", on("s")).text == "Mock response to: hi"
    assert summed(list(runnable.stream("you", on("s")))).text == "Mock response to: you"


def test_calls_from_several_loops(runnable: SessionRunnable) -> None:
    for _ in range(2):
        assert asyncio.run(runnable.ainvoke("hi", on("s"))).text == "Mock response to: hi"
    assert runnable.invoke("hi", on("s")).text == "Mock response to: hi"


async def test_the_chunks_of_a_stream_sum_up_to_the_answer(runnable: SessionRunnable) -> None:
    whole = await runnable.ainvoke("hi there", on("a"))
    chunks = [chunk async for chunk in runnable.astream("hi there", on("b"))]
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert [getattr(chunk, "chunk_position", None) for chunk in chunks][-2:] == [None, "last"]
    total = summed(chunks)
    same: dict[str, Any] = {"id": None, "response_metadata": {}}
    assert total.model_copy(update=same) == whole.model_copy(update=same)
    assert total.response_metadata.keys() == whole.response_metadata.keys()
    assert total.id == total.response_metadata["id"]


async def test_batches(runnable: SessionRunnable) -> None:
    answers = await runnable.abatch(["a", "b"], [on("x"), on("y")])
    assert [answer.response_metadata["session_id"] for answer in answers] == ["x", "y"]
    got: list[Any] = await runnable.abatch(["a", "b"], [on("x"), {}], return_exceptions=True)
    assert isinstance(got[0], AIMessage)
    assert isinstance(got[1], InvalidInputError)
    with pytest.raises(InvalidInputError):
        await runnable.abatch(["a", "b"], [on("x"), {}])
    seen = {at: answer async for at, answer in runnable.abatch_as_completed(["a", "b"], [on("x"), on("y")])}
    assert sorted(seen) == [0, 1]


def test_blocking_batches_return_exceptions(runnable: SessionRunnable) -> None:
    got: list[Any] = runnable.batch(["a", "b"], [on("x"), {}], return_exceptions=True)
    assert isinstance(got[0], AIMessage)
    assert isinstance(got[1], InvalidInputError)


async def test_transform_takes_input_in_pieces(runnable: SessionRunnable) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("h", "i"):
            yield piece

    chunks = [chunk async for chunk in runnable.atransform(pieces(), on("s"))]
    assert summed(chunks).text == "Mock response to: hi"
    assert summed(list(runnable.transform(iter(["y", "o"]), on("s")))).text == "Mock response to: yo"


# ---------------------------------------------------------------- chains and configuration


def test_a_chain_streams_through(runnable: SessionRunnable) -> None:
    chain = ChatPromptTemplate.from_messages([("system", "be nice"), ("human", "{q}")]) | runnable | StrOutputParser()
    pieces = list(chain.stream({"q": "hi"}, on("s")))
    assert "".join(pieces) == "Mock response to: hi"
    assert len(pieces) > 1


async def test_the_config_specs_bubble_up(runnable: SessionRunnable) -> None:
    chain: Runnable[Any, str] = cast("Runnable[Any, Any]", RunnablePassthrough()) | runnable | StrOutputParser()
    assert [spec.id for spec in chain.config_specs] == ["session_id", "user_id"]
    fields = chain.config_schema().model_json_schema()["$defs"]["Configurable"]["properties"]
    assert fields.keys() == {"session_id", "user_id"}
    nested = SessionRunnable(runnable, manager=runnable.manager)
    assert [spec.id for spec in nested.config_specs] == ["session_id", "user_id"]
    assert await chain.with_config(configurable={"session_id": "s"}).ainvoke("hi") == "Mock response to: hi"


async def test_with_config_bind_and_parallel(runnable: SessionRunnable, manager: SessionManager) -> None:
    fixed = runnable.with_config(configurable={"session_id": "s", "user_id": "alice"}, run_name="assistant")
    assert (await fixed.ainvoke("hi")).text == "Mock response to: hi"
    assert (await manager.get_session("s")).user_id == "alice"
    both = RunnableParallel(
        one=runnable.with_config(configurable={"session_id": "1"}),
        two=runnable.with_config(configurable={"session_id": "2"}),
    )
    assert {key: answer.text for key, answer in (await both.ainvoke("hi")).items()} == {
        "one": "Mock response to: hi",
        "two": "Mock response to: hi",
    }
    bound = runnable.bind(idempotency_key="once")
    first, again = await bound.ainvoke("hi", on("s", user_id="alice")), await bound.ainvoke("hi", on("s"))
    assert first.id == again.id
    assert len(await stored(manager, "s")) == 4


async def test_unknown_arguments_are_named(runnable: SessionRunnable) -> None:
    with pytest.raises(InvalidInputError, match="unknown argument 'temperature'"):
        await runnable.bind(temperature=1).ainvoke("hi", on("s"))
    with pytest.raises(InvalidInputError, match="timeout must be a positive number"):
        await runnable.ainvoke("hi", on("s"), timeout=-1)
    with pytest.raises(InvalidInputError, match="tools must be a list"):
        await runnable.ainvoke("hi", on("s"), tools="clock")


async def test_configurable_fields(manager: SessionManager) -> None:
    runnable = SessionRunnable(manager=manager, provider="mock", model="mock-model").configurable_fields(
        model=ConfigurableField(id="model")
    )
    answer = await runnable.ainvoke("hi", on("s", model="other"))
    assert answer.response_metadata["model_name"] == "other"


async def test_retries_resume_the_failed_turn(manager: SessionManager) -> None:
    model = Scripted(script=[Unavailable(), Unavailable(), "at last"])
    chain = SessionRunnable(model, manager=manager).with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    assert (await chain.ainvoke("hi", on("s"))).text == "at last"
    assert await told(manager, "s") == [("user", "hi", "completed"), ("assistant", "at last", "completed")]


def test_blocking_retries_resume_the_failed_turn(manager: SessionManager) -> None:
    model = Scripted(script=[Unavailable(), "at last"])
    chain = SessionRunnable(model, manager=manager).with_retry(stop_after_attempt=2, wait_exponential_jitter=False)
    assert chain.invoke("hi", on("s")).text == "at last"
    assert len(manager.bridge.call(told, manager, "s")) == 2


async def test_fallbacks_resume_the_failed_turn(manager: SessionManager) -> None:
    fallback = SessionRunnable(Scripted(script=["instead"]), manager=manager)
    chain = SessionRunnable(Scripted(script=[Unavailable()]), manager=manager).with_fallbacks([fallback])
    assert (await chain.ainvoke("hi", on("s"))).text == "instead"
    chunks = [chunk async for chunk in chain.astream("more", on("s"))]
    assert summed(chunks).text.strip() == "instead"
    assert [status for _, _, status in await told(manager, "s")] == ["completed"] * 4


def test_schemas(runnable: SessionRunnable, manager: SessionManager) -> None:
    assert runnable.get_output_schema() is AIMessage
    assert runnable.OutputType is AIMessage
    runnable.get_input_schema().model_validate("hi")
    json.dumps(runnable.get_input_jsonschema())
    keyed = SessionRunnable(Scripted(), manager=manager, input_messages_key="q", history_messages_key="h")
    schema = keyed.get_input_jsonschema()
    assert (list(schema["properties"]), schema["required"]) == (["q"], ["q"])
    assert runnable.get_name() == "SessionRunnable"
    assert "SessionRunnable" in (ChatPromptTemplate.from_template("{q}") | runnable).get_graph().draw_mermaid()


async def test_it_can_be_a_tool(runnable: SessionRunnable) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tool = SessionRunnable(
            manager=runnable.manager, provider="mock", model="mock-model", input_messages_key="question"
        ).as_tool(name="ask", description="Ask.", arg_types={"question": str})
    assert await tool.ainvoke({"question": "hi"}, on("s")) == "Mock response to: hi"


# ---------------------------------------------------------------- what tracers see


async def test_tracers_see_runs(manager: SessionManager) -> None:
    runs = Runs()
    chain = SessionRunnable(Scripted(), manager=manager, name="memory")
    await chain.ainvoke("hi", {**on("s"), "callbacks": [runs], "metadata": {"mine": 1}})
    (_, outer, no_parent), (_, _, parent) = runs.started
    assert [name for name, _, _ in runs.started] == ["memory", "Scripted"]
    assert (no_parent, parent) == (None, outer)
    assert runs.metadata["Scripted"].items() >= {"session_id": "s", "thread_id": "s", "mine": 1}.items()
    assert runs.ended[-1].text == "answer 1"


def test_tracers_see_blocking_runs(manager: SessionManager) -> None:
    runs = Runs()
    chain = SessionRunnable(Scripted(), manager=manager, name="memory")
    chain.invoke("hi", {**on("s"), "callbacks": [runs]})
    list(chain.stream("hi", {**on("s"), "callbacks": [runs]}))
    assert [name for name, _, _ in runs.started] == ["memory", "Scripted"] * 2
    assert runs.started[1][2] == runs.started[0][1]
    assert runs.started[3][2] == runs.started[2][1]
    assert runs.metadata["Scripted"]["thread_id"] == "s"


@pytest.mark.parametrize("bound", [None, Scripted(script=["one", "two"])], ids=["provider", "bound"])
@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
async def test_tracers_can_group_every_run_by_session(
    manager: SessionManager, bound: Scripted | None, how: str
) -> None:
    runs = Runs()
    provider = "mock" if bound is None else None
    chain = SessionRunnable(bound, manager=manager, name="memory", provider=provider, model="mock-model")
    config: Any = {**on("s"), "callbacks": [runs], "metadata": {"mine": 1}}
    match how:
        case "invoke":
            await asyncio.to_thread(chain.invoke, "hi", config)
        case "stream":
            await asyncio.to_thread(lambda: list(chain.stream("hi", config)))
        case "ainvoke":
            await chain.ainvoke("hi", config)
        case _:
            [_ async for _ in chain.astream("hi", config)]
    words = {"session_id": "s", "thread_id": "s", "conversation_id": "s", "mine": 1}
    assert set(runs.metadata) == ({"memory"} if bound is None else {"memory", "Scripted"})
    for metadata in runs.metadata.values():
        assert metadata.items() >= words.items()


async def test_what_is_wrapped_is_told_the_thread(manager: SessionManager) -> None:
    def thread(_: Any, config: RunnableConfig) -> str:
        return str((config.get("configurable") or {}).get("thread_id"))

    chain = SessionRunnable(RunnableLambda(thread), manager=manager)
    assert (await chain.ainvoke("hi", on("s"))).text == "s"
    mine: Any = {"configurable": {"session_id": "s", "thread_id": "mine"}}
    assert (await chain.ainvoke("hi", mine)).text == "mine"


async def test_tracers_see_failures(manager: SessionManager) -> None:
    runs = Runs()
    chain = SessionRunnable(Scripted(script=[Unavailable()]), manager=manager)
    with pytest.raises(Unavailable):
        await chain.ainvoke("hi", {**on("s"), "callbacks": [runs]})
    assert [type(error) for error in runs.failed] == [Unavailable]
    with pytest.raises(InvalidInputError):
        await chain.ainvoke("hi", {"callbacks": [runs]})
    assert [type(error) for error in runs.failed] == [Unavailable, InvalidInputError]


async def test_events_of_a_stream(manager: SessionManager) -> None:
    chain = SessionRunnable(GenericFakeChatModel(messages=iter([AIMessage("one two")])), manager=manager)
    events: list[Any] = [event async for event in chain.astream_events("hi", on("s"), version="v2")]
    kinds = [(event["event"], event["name"]) for event in events]
    assert kinds[0] == ("on_chain_start", "SessionRunnable")
    assert ("on_chat_model_start", "GenericFakeChatModel") in kinds
    assert ("on_chat_model_stream", "GenericFakeChatModel") in kinds
    assert kinds[-1] == ("on_chain_end", "SessionRunnable")
    streamed = [event["data"]["chunk"] for event in events if event["event"] == "on_chain_stream"]
    assert summed(streamed).text == "one two"
    assert events[-1]["data"]["output"].text == "one two"


# ---------------------------------------------------------------- tools


async def test_tools_reach_the_provider(runnable: SessionRunnable, manager: SessionManager) -> None:
    def clock(zone: str) -> str:
        """Tell the time."""
        return zone

    session = await manager.create_session("user", "mock", "mock-model", session_id="s")
    provider: MockProviderSession = session.provider_session
    provider.set_responses([_tool_call()])
    bound = runnable.bind(tools=[clock], tool_choice="auto")
    asked = await bound.ainvoke("what time is it?", on("s"))
    assert [(call["name"], call["args"]) for call in asked.tool_calls] == [("clock", {"zone": "UTC"})]
    answer = await bound.ainvoke([ToolMessage("noon", tool_call_id=asked.tool_calls[0]["id"])], on("s"))
    assert answer.text
    roles = [str(message.role) for message in await stored(manager, "s")]
    assert roles == ["user", "assistant", "tool", "assistant"]


def _tool_call() -> list[ToolCall]:
    return [ToolCall(id="call-1", name="clock", arguments={"zone": "UTC"})]


async def test_streamed_tool_calls_sum_up(runnable: SessionRunnable, manager: SessionManager) -> None:
    session = await manager.create_session("user", "mock", "mock-model", session_id="s")
    session.provider_session.set_responses([_tool_call()])
    total = summed([chunk async for chunk in runnable.astream("time?", on("s"))])
    assert isinstance(total, AIMessage)
    assert [(call["name"], call["args"], call["id"]) for call in total.tool_calls] == [
        ("clock", {"zone": "UTC"}, "call-1")
    ]
