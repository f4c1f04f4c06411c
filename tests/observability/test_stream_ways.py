"""Async streams, whoever offers them and however they are read and left: a whole turn, and the reader left alone."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import anyio
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableGenerator

from langswarm_sessions import Session, SessionManager
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from tests.support.watched import Step, Watched, nothing_said, wait_until

pytestmark = pytest.mark.usefixtures("silence")
SESSION = "s"
CONFIG: Any = {"configurable": {"session_id": SESSION}}


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with nothing_said(caplog):
        yield


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
async def manager(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SessionManager]:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", "on")  # so that it could leak
    async with SessionManager("memory", telemetry=watched.telemetry()) as made:
        yield made


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a stream is opened in."""

    watched: Watched
    manager: SessionManager
    session: Session
    opens: Callable[[Scene], AsyncIterator[Any]]
    starts_when_read: bool
    waits: asyncio.Event | None

    def open(self) -> Any:
        return self.opens(self)

    async def model_waits(self) -> None:
        """Wait until the model was asked for what it will never say."""
        assert self.waits is not None
        async with asyncio.timeout(10):
            await self.waits.wait()

    async def ended(self) -> None:
        """Wait until the turn, which nobody waits for, has ended."""
        gc.collect()
        await wait_until(lambda: self.watched.turns)


async def said(waits: asyncio.Event | None = None) -> AsyncGenerator[str]:
    for word in ("one ", "two ", "three "):
        yield word
    if waits is not None:
        waits.set()
        await asyncio.Event().wait()


# Who offers streams


def session_stream(scene: Scene) -> AsyncIterator[Any]:
    return scene.session.send_message_stream("hi")


def runnable(scene: Scene) -> AsyncIterator[Any]:
    return asking(scene).astream("hi", CONFIG)


async def events(scene: Scene) -> AsyncIterator[Any]:
    async for event in asking(scene).astream_events("hi", CONFIG):
        if event["event"] == "on_chain_stream":
            yield event


def chain(scene: Scene) -> AsyncIterator[Any]:
    return (asking(scene) | StrOutputParser()).astream("hi", CONFIG)


def bound(scene: Scene) -> AsyncIterator[Any]:
    async def model(inputs: AsyncIterator[Any]) -> AsyncIterator[str]:
        async for _ in inputs:
            async with aclosing(said(scene.waits)) as words:
                async for word in words:
                    yield word

    return SessionRunnable(RunnableGenerator(model), manager=scene.manager).astream(
        "hi", {"configurable": {"session_id": "of a runnable"}}
    )


def chat_model(scene: Scene) -> AsyncIterator[Any]:
    model: BaseChatModel = SessionChatModel(manager=scene.manager, session_id=SESSION)
    return model.astream("hi")


def asking(scene: Scene) -> SessionRunnable:
    return SessionRunnable(manager=scene.manager)


FACES = [session_stream, runnable, events, chain, bound, chat_model]


@pytest.fixture(params=FACES, ids=lambda face: face.__name__)
async def scene(request: pytest.FixtureRequest, watched: Watched, manager: SessionManager) -> Scene:
    return await scene_of(request.param, watched, manager)


@pytest.fixture(params=FACES, ids=lambda face: face.__name__)
async def endless(request: pytest.FixtureRequest, watched: Watched, manager: SessionManager) -> Scene:
    return await scene_of(request.param, watched, manager, waits=asyncio.Event())


async def scene_of(
    face: Callable[[Scene], AsyncIterator[Any]],
    watched: Watched,
    manager: SessionManager,
    *,
    waits: asyncio.Event | None = None,
) -> Scene:
    session = await manager.create_session("default", "mock", "mock-model", session_id=SESSION)
    session.provider_session.set_responses([said(waits)])
    watched.exporter.clear()
    return Scene(
        watched=watched,
        manager=manager,
        session=session,
        opens=face,
        starts_when_read=face is not session_stream,
        waits=waits,
    )


# Read to the end


async def test_read_fully(scene: Scene) -> None:
    with scene.watched.request() as step:
        async for _ in scene.open():
            step()
        step()
    assert step.steps > 3
    scene.watched.check(None, under=step.span)


async def test_read_in_another_task(scene: Scene) -> None:
    async def read(stream: Any) -> Step:
        with scene.watched.request("reader") as step:
            async for _ in stream:
                step()
            step()
        return step

    with scene.watched.request() as step:
        reader = await asyncio.create_task(read(scene.open()))
        step()
    scene.watched.check(None, under=reader.span if scene.starts_when_read else step.span)


async def test_each_read_in_a_task_and_a_context_of_its_own(scene: Scene) -> None:
    async def read(stream: Any, number: int) -> Step | None:
        with scene.watched.request(f"reader {number}") as step:
            try:
                await anext(stream)
            except StopAsyncIteration:
                return None
            finally:
                step()
        return step

    with scene.watched.request() as step:
        stream, readers = scene.open(), list[Step]()
        while reader := await asyncio.create_task(read(stream, len(readers)), context=contextvars.Context()):
            readers.append(reader)
            step()
    scene.watched.check(None, under=readers[0].span if scene.starts_when_read else step.span)


async def test_read_on_the_loop_of_another_thread(scene: Scene) -> None:
    async def read(stream: Any) -> None:
        async for _ in stream:
            step()

    with scene.watched.request() as step:
        stream = scene.open()
        await asyncio.to_thread(lambda: asyncio.run(read(stream)))
        step()
    scene.watched.check(None, under=step.span)


async def test_two_streams_read_by_turns(scene: Scene) -> None:
    other = await scene.manager.create_session("default", "mock", "mock-model", session_id="other")
    scene.watched.exporter.clear()
    with scene.watched.request() as step:
        one, two = scene.open(), other.send_message_stream("one two three four five")
        ended = 0
        while ended < 2:
            ended = 0
            for stream in (one, two):
                ended += await anext(stream, None) is None
                step()
    scene.watched.check(None, under=step.span, turns=2)


async def test_handed_on_by_a_generator_that_has_a_span_of_its_own(scene: Scene) -> None:
    async def handed_on() -> AsyncGenerator[Any]:
        async for chunk in scene.open():
            with scene.watched.request("handing on") as inner:
                inner()
            yield chunk

    with scene.watched.request() as step:
        async for _ in handed_on():
            step()
        step()
    scene.watched.check(None, under=step.span)


# Left


async def is_closed(scene: Scene, step: Step) -> None:
    stream = scene.open()
    async for _ in stream:
        step()
        break
    step()
    await stream.aclose()


async def is_collected(scene: Scene, step: Step) -> None:
    async for _ in scene.open():
        step()
        break
    await scene.ended()


async def is_closed_by_another_task(scene: Scene, step: Step) -> None:
    async def close() -> None:
        with scene.watched.request("closing") as closing:
            await stream.aclose()
            closing()

    stream = scene.open()
    await anext(stream)
    step()
    await asyncio.create_task(close(), context=contextvars.Context())


async def is_closed_from_a_block_that_fails(scene: Scene, step: Step) -> None:
    with suppress(LookupError):
        async with aclosing(scene.open()) as stream:
            async for _ in stream:
                step()
                raise LookupError


async def is_thrown_into(scene: Scene, step: Step) -> None:
    stream = scene.open()
    await anext(stream)
    step()
    with suppress(LookupError):
        await getattr(stream, "athrow", raising)(LookupError())
    del stream
    await scene.ended()


async def is_handed_on_and_collected(scene: Scene, step: Step) -> None:
    async def handed_on() -> AsyncGenerator[Any]:
        async for chunk in scene.open():
            yield chunk

    chunks = handed_on()
    await anext(chunks)
    step()
    del chunks
    await scene.ended()


async def is_left_between_reads(scene: Scene, step: Step) -> None:
    async def read() -> None:
        async for _ in scene.open():
            began.set()
            step()
            await asyncio.Event().wait()

    began = asyncio.Event()
    task = asyncio.create_task(read())
    await began.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    del task
    await scene.ended()


async def raising(error: Exception) -> None:
    raise error


LEFT: list[Callable[[Scene, Step], Awaitable[None]]] = [
    is_closed,
    is_collected,
    is_closed_by_another_task,
    is_closed_from_a_block_that_fails,
    is_thrown_into,
    is_handed_on_and_collected,
    is_left_between_reads,
]


@pytest.mark.parametrize("leave", LEFT, ids=lambda way: way.__name__)
async def test_left(scene: Scene, leave: Callable[[Scene, Step], Awaitable[None]]) -> None:
    with scene.watched.request() as step:
        await leave(scene, step)
        step()
    await scene.ended()
    outcome = "abandoned"
    if scene.opens is events:  # LangChain reads ahead in a task of its own, and cancels that
        outcome = str((scene.watched.turns[0].attributes or {})["error.type"])
        assert outcome in {"abandoned", "cancelled"}
    scene.watched.check(outcome, under=step.span)


# Cancelled while a reader waits


async def read_on(scene: Scene, step: Step) -> None:
    async for _ in scene.open():
        step()


async def by_its_task(scene: Scene, step: Step) -> None:
    task = asyncio.create_task(read_on(scene, step))
    await scene.model_waits()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def by_a_scope(scene: Scene, step: Step) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(read_on, scene, step)
        await scene.model_waits()
        group.cancel_scope.cancel()


async def by_a_timeout(scene: Scene, step: Step) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            late = asyncio.create_task(scene.model_waits())
            late.add_done_callback(lambda _: limit.reschedule(0))
            await read_on(scene, step)


@pytest.mark.parametrize("cancel", [by_its_task, by_a_scope, by_a_timeout], ids=lambda way: way.__name__)
async def test_cancelled(endless: Scene, cancel: Callable[[Scene, Step], Awaitable[None]]) -> None:
    with endless.watched.request() as step:
        await cancel(endless, step)
        step()
    await endless.ended()
    endless.watched.check("cancelled", under=step.span)


async def test_never_read(scene: Scene) -> None:
    with scene.watched.request() as step:
        stream = scene.open()
        step()
        del stream
        gc.collect()
    scene.watched.check(None, under=step.span, turns=0)


async def test_closed_before_it_is_read(scene: Scene) -> None:
    with scene.watched.request() as step:
        await scene.open().aclose()
        step()
    scene.watched.check(None, under=step.span, turns=0)
