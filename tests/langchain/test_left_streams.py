"""Streams that are broken off, nested in each other: what is stored, and that no log says a word."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, suppress
from importlib import import_module
from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableGenerator,
    RunnableLambda,
    RunnableParallel,
    RunnablePick,
)

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions.records import MessageFilter
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from tests.langchain.chains import Scripted, on, told
from tests.session.kit import until
from tests.support.recorded import Recorded

SAID = "one two three four"


@pytest.fixture(scope="module", autouse=True)
def quick_collections() -> Iterator[None]:
    """Let the garbage collector look at what these tests make, and not at all that was imported."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
def traced(recorded: Recorded) -> Iterator[SessionManager]:
    made = create_session_manager(storage="memory", telemetry=recorded.telemetry())
    yield made
    made.bridge.call(made.close)
    made.bridge.close()


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No logger, no event loop and no finalizer may have said anything."""
    unraisable: list[str] = []

    def hear(unraised: Any) -> None:
        unraisable.append(repr(unraised.exc_value))

    monkeypatch.setattr(sys, "unraisablehook", hear)
    caplog.set_level(logging.WARNING)
    yield
    gc.collect()
    assert [record.getMessage() for record in caplog.records] == []
    assert unraisable == []


def streaming(inner: Runnable[Any, Any], session_id: str) -> Runnable[Any, Any]:
    """Return a step of a user's own that streams what another session says."""

    def blocking(inputs: Iterator[Any]) -> Iterator[Any]:
        for given in inputs:
            for chunk in inner.stream(given, on(session_id)):
                yield AIMessageChunk(content=chunk.text)

    async def waiting(inputs: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for given in inputs:
            async for chunk in inner.astream(given, on(session_id)):
                yield AIMessageChunk(content=chunk.text)

    return RunnableGenerator(blocking, waiting)


class State(TypedDict):
    said: str


def in_graph(inner: Runnable[Any, Any]) -> Any:
    """Return a LangGraph graph whose node streams tokens of a session."""

    def blocking(state: State, config: RunnableConfig) -> dict[str, str]:
        return {"said": "".join(chunk.text for chunk in inner.stream("hi", config))}

    async def waiting(state: State, config: RunnableConfig) -> dict[str, str]:
        pieces = [chunk.text async for chunk in inner.astream("hi", config)]
        return {"said": "".join(pieces)}

    langgraph: Any = import_module("langgraph.graph")
    graph = langgraph.StateGraph(State)
    graph.add_node("say", RunnableLambda(blocking, waiting))
    graph.add_edge(langgraph.START, "say")
    graph.add_edge("say", langgraph.END)
    return graph.compile()


SHAPES = ["session", "model", "in session", "in session twice", "behind a parser", "in a graph"]


def nested(shape: str, manager: SessionManager) -> tuple[Any, Any, list[str]]:
    """Return a Runnable, its input, and the sessions whose turns are broken off with its stream."""
    plain = SessionRunnable(Scripted(script=[SAID]), manager=manager)
    outer = SessionRunnable(streaming(plain, "inner"), manager=manager)
    match shape:
        case "session":
            return plain, "hi", ["s"]
        case "model":
            mock = SessionChatModel(manager=manager, provider="mock", model="m")
            return mock, SAID, ["s"]
        case "in session":
            return outer, "hi", ["s", "inner"]
        case "in session twice":
            model = SessionChatModel(manager=manager, provider="mock", model="m", session_id="model")
            middle = SessionRunnable(model.bind(session_id="model"), manager=manager)
            return SessionRunnable(streaming(middle, "middle"), manager=manager), SAID, ["s", "middle", "model"]
        case "behind a parser":
            return outer | StrOutputParser(), "hi", ["s", "inner"]
        case _:
            return in_graph(outer), {"said": ""}, ["s", "inner"]


def kwargs_of(shape: str) -> dict[str, Any]:
    return {"stream_mode": "messages"} if shape == "in a graph" else {}


class Stop(Exception):
    """What a consumer raises."""


async def breaks(stream: Any) -> None:
    async for _ in stream:
        break


async def closes(stream: Any) -> None:
    await anext(stream)
    await stream.aclose()


async def closes_with(stream: Any) -> None:
    async with aclosing(stream):
        await anext(stream)


async def fails(stream: Any) -> None:
    with suppress(Stop):
        async for _ in stream:
            raise Stop


async def drops(stream: Any) -> None:
    await anext(stream)
    del stream
    gc.collect()


async def is_cancelled(stream: Any) -> None:
    read = asyncio.Event()

    async def reads() -> None:
        async for _ in stream:
            read.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(reads())
    await read.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


WAYS: list[Callable[[Any], Any]] = [breaks, closes, closes_with, fails, drops, is_cancelled]


async def ended(manager: SessionManager, session_id: str) -> bool:
    """Whether the turn of a session has come to an end."""
    return all(status != "pending" for *_, status in await told(manager, session_id))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", SHAPES)
async def test_an_async_stream_that_is_left(
    traced: SessionManager, recorded: Recorded, shape: str, way: Callable[[Any], Any]
) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
    runnable, given, sessions = nested(shape, traced)
    await way(runnable.astream(given, on("s"), **kwargs_of(shape)))
    for session_id in sessions:
        await until(lambda named=session_id: ended(traced, named))
        entries = await told(traced, session_id)
        assert [status for *_, status in entries] == ["interrupted"] * len(entries), (session_id, entries)
        assert entries[0][0] == "user"
        if session_id == "s":
            assert SAID not in "".join(text for role, text, _ in entries if role == "assistant")
    assert complaints == []
    assert (await SessionRunnable(Scripted(), manager=traced).ainvoke("go on", on("after"))).text == "answer 1"


def leaves(stream: Any) -> None:
    for _ in stream:
        break


def shuts(stream: Any) -> None:
    next(stream)
    stream.close()


def raises(stream: Any) -> None:
    with suppress(Stop):
        for _ in stream:
            raise Stop


def forgets(stream: Any) -> None:
    next(stream)
    del stream
    gc.collect()


BLOCKING_WAYS: list[Callable[[Any], Any]] = [leaves, shuts, raises, forgets]


@pytest.mark.parametrize("way", BLOCKING_WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", ["session", "model", "in session", "in session twice"])
def test_a_blocking_stream_that_is_left(traced: SessionManager, shape: str, way: Callable[[Any], Any]) -> None:
    runnable, given, sessions = nested(shape, traced)
    way(runnable.stream(given, on("s")))
    gc.collect()
    for session_id in sessions:
        traced.bridge.call(until, lambda named=session_id: ended(traced, named))
        entries = traced.bridge.call(told, traced, session_id)
        assert [status for *_, status in entries] == ["interrupted"] * len(entries), (session_id, entries)


@pytest.mark.parametrize("way", BLOCKING_WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("shape", ["behind a parser", "in a graph"])
def test_a_blocking_stream_that_langchain_reads_to_its_end(
    traced: SessionManager, shape: str, way: Callable[[Any], Any]
) -> None:
    runnable, given, sessions = nested(shape, traced)
    way(runnable.stream(given, on("s"), **kwargs_of(shape)))
    gc.collect()
    for session_id in sessions:
        traced.bridge.call(until, lambda named=session_id: ended(traced, named))
        assert {status for *_, status in traced.bridge.call(told, traced, session_id)} <= {"completed", "interrupted"}


async def test_a_stream_that_is_never_begun_stores_nothing(traced: SessionManager) -> None:
    for runnable in (SessionRunnable(Scripted(), manager=traced), SessionChatModel(manager=traced)):
        stream: Any = runnable.astream("hi", on("s"))
        await stream.aclose()
        runnable.stream("hi", on("s")).close()  # type: ignore[attr-defined]
    assert await traced.get_user_sessions("user") == []


@pytest.mark.parametrize("shape", ["session", "model"])
async def test_a_stream_that_is_closed_is_stored_when_it_is(traced: SessionManager, shape: str) -> None:
    runnable, given, _ = nested(shape, traced)
    stream = runnable.astream(given, on("s"))
    await anext(stream)
    await stream.aclose()
    kept = await traced._services.storage.list_messages("s", MessageFilter())  # waits for nothing
    assert [str(message.status) for message in kept] == ["interrupted"] * 2


def gathered(inner: Runnable[Any, Any], depth: int, manager: SessionManager) -> Runnable[Any, Any]:
    """Return sessions in parallel steps in sessions, so many deep; they are called `d0` (the innermost) and so on."""
    runnable = inner
    for level in range(1, depth):
        steps: Any = RunnableParallel(said=streaming(runnable, f"d{level - 1}")) | RunnablePick("said")
        runnable = SessionRunnable(steps, manager=manager)
    return runnable


@pytest.mark.parametrize("innermost", ["session", "model"])
@pytest.mark.parametrize("depth", [2, 4])
async def test_parallel_steps_leave_no_turn_to_the_garbage_collector(
    traced: SessionManager, depth: int, innermost: str
) -> None:
    loop = asyncio.get_running_loop()
    complaints: list[str] = []
    loop.set_exception_handler(lambda _, context: complaints.append(str(context)))
    loop.set_debug(True)
    loop.slow_callback_duration = 60
    runnable, given, _ = nested(innermost, traced)
    stream: Any = gathered(runnable, depth, traced).astream(given, on(f"d{depth - 1}"))
    gc.disable()
    try:
        await anext(stream)
        await stream.aclose()
        for level in range(depth):
            kept = await traced._services.storage.list_messages(f"d{level}", MessageFilter())  # waits for nothing
            assert {str(message.status) for message in kept} == {"interrupted"}, level
    finally:
        gc.enable()
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_what_outlives_its_turn_is_left_alone(traced: SessionManager) -> None:
    inner = SessionRunnable(Scripted(script=[SAID]), manager=traced)
    background: list[asyncio.Task[str]] = []

    async def read() -> str:
        return "".join([chunk.text async for chunk in inner.astream("hi", on("inner"))])

    async def answer(_: Any) -> str:
        background.append(asyncio.create_task(read()))
        return "done"

    outer = SessionRunnable(RunnableLambda(answer), manager=traced)
    assert (await outer.ainvoke("hi", on("s"))).text == "done"
    assert (await background[0]).strip() == SAID
