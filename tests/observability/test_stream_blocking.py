"""Blocking streams in threads, and batches: one whole turn each, and the context of whoever reads is its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda

from langswarm_sessions import BlockingSession, BlockingSessionManager, create_session_manager
from langswarm_sessions_langchain import SessionChatModel, SessionRunnable
from tests.support.watched import Step, Watched, nothing_said

pytestmark = pytest.mark.usefixtures("silence")
T = TypeVar("T")
SESSION = "s"
CONFIG: Any = {"configurable": {"session_id": SESSION}}
SAID = "one two three"


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with nothing_said(caplog):
        yield


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def manager(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlockingSessionManager]:
    monkeypatch.setenv("LANGSWARM_SESSIONS_BAGGAGE", "on")  # so that it could leak
    made = create_session_manager(storage="memory", telemetry=watched.telemetry())
    with BlockingSessionManager(made) as blocking:
        yield blocking


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a stream is opened in."""

    watched: Watched
    manager: BlockingSessionManager
    session: BlockingSession
    opens: Callable[[Scene], Iterator[Any]]
    starts_when_read: bool

    def open(self) -> Any:
        return self.opens(self)

    def ended(self) -> None:
        """Wait until the turn, which nobody waits for, has ended."""
        gc.collect()
        until(lambda: self.watched.turns)


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.001)


def in_thread(work: Callable[[], T]) -> T:
    """Do something in a bare thread, with a context that knows of nothing."""
    done = Future[T]()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the thread is waited for
            done.set_exception(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return done.result()


# Who offers streams


def session_stream(scene: Scene) -> Any:
    return scene.session.send_message_stream(SAID)


def runnable(scene: Scene) -> Any:
    return SessionRunnable(manager=scene.manager).stream(SAID, CONFIG)


def chain(scene: Scene) -> Any:
    return (SessionRunnable(manager=scene.manager) | StrOutputParser()).stream(SAID, CONFIG)


def bound(scene: Scene) -> Any:
    def model(inputs: Iterator[Any]) -> Iterator[str]:
        for _ in inputs:
            yield from ("one ", "two ", "three ", "four ")

    config: RunnableConfig = {"configurable": {"session_id": "of a runnable"}}
    return SessionRunnable(RunnableGenerator(model), manager=scene.manager).stream("hi", config)


def chat_model(scene: Scene) -> Any:
    model: BaseChatModel = SessionChatModel(manager=scene.manager, session_id=SESSION)
    return model.stream(SAID)


@pytest.fixture(params=[session_stream, runnable, chain, bound, chat_model], ids=lambda face: face.__name__)
def scene(request: pytest.FixtureRequest, watched: Watched, manager: BlockingSessionManager) -> Scene:
    session = manager.create_session("default", "mock", "mock-model", session_id=SESSION)
    watched.exporter.clear()
    opens = request.param
    return Scene(
        watched=watched, manager=manager, session=session, opens=opens, starts_when_read=opens is not session_stream
    )


# Read to the end


def test_read_fully(scene: Scene) -> None:
    with scene.watched.request() as step:
        for chunk in scene.open():
            step(chunk)
        step()
    assert step.steps > 3
    scene.watched.check(None, under=step.span)


def test_read_in_another_thread(scene: Scene) -> None:
    def read() -> Step:
        with scene.watched.request("reader") as reader:
            for chunk in stream:
                reader(chunk)
            reader()
        return reader

    with scene.watched.request() as step:
        stream = scene.open()
        reader = in_thread(read)
        step()
    scene.watched.check(None, under=reader.span if scene.starts_when_read else step.span)


@pytest.mark.parametrize("copied", [False, True])
def test_each_read_in_a_thread_of_a_pool(scene: Scene, copied: bool) -> None:
    def read() -> bool:
        if copied:
            step()
            return next(stream, None) is not None
        with scene.watched.request("reader") as reader:
            found = next(stream, None) is not None
            reader()
        readers.append(reader)
        return found

    readers: list[Step] = []
    with scene.watched.request() as step, ThreadPoolExecutor(3) as pool:
        stream = scene.open()
        while (pool.submit(contextvars.copy_context().run, read) if copied else pool.submit(in_thread, read)).result():
            step()
    is_readers = scene.starts_when_read and not copied
    scene.watched.check(None, under=readers[0].span if is_readers else step.span)


async def test_read_by_to_thread(scene: Scene) -> None:
    def read() -> None:
        for chunk in scene.open():
            step(chunk)

    with scene.watched.request() as step:
        await asyncio.to_thread(read)
        step()
    scene.watched.check(None, under=step.span)


def test_two_streams_read_by_turns(scene: Scene) -> None:
    other = scene.manager.create_session("default", "mock", "mock-model", session_id="other")
    scene.watched.exporter.clear()
    with scene.watched.request() as step:
        streams = [scene.open(), other.send_message_stream("one two three four five")]
        while streams:
            streams = [stream for stream in streams if next(stream, None) is not None]
            step()
    scene.watched.check(None, under=step.span, turns=2)


# Left


def is_closed(scene: Scene, step: Step) -> None:
    with closing(scene.open()) as stream:
        for chunk in stream:
            step(chunk)
            break


def is_collected(scene: Scene, step: Step) -> None:
    for chunk in scene.open():
        step(chunk)
        break


def is_closed_in_another_thread(scene: Scene, step: Step) -> None:
    stream = scene.open()
    next(stream)
    step()
    in_thread(stream.close)


def is_collected_in_another_thread(scene: Scene, step: Step) -> None:
    held = [scene.open()]
    next(held[0])
    step()
    in_thread(held.clear)
    in_thread(gc.collect)


def is_left_by_ctrl_c(scene: Scene, step: Step) -> None:
    with suppress(KeyboardInterrupt), closing(scene.open()) as stream:
        for chunk in stream:
            step(chunk)
            raise KeyboardInterrupt


def is_thrown_into(scene: Scene, step: Step) -> None:
    stream = scene.open()
    next(stream)
    step()
    if hasattr(stream, "throw"):
        with suppress(LookupError):
            stream.throw(LookupError())


def is_handed_on_and_collected(scene: Scene, step: Step) -> None:
    def handed_on() -> Iterator[Any]:
        yield from scene.open()

    chunks = handed_on()
    next(chunks)
    step()


LEFT: list[Callable[[Scene, Step], None]] = [
    is_closed,
    is_collected,
    is_closed_in_another_thread,
    is_collected_in_another_thread,
    is_left_by_ctrl_c,
    is_thrown_into,
    is_handed_on_and_collected,
]


@pytest.mark.parametrize("leave", LEFT, ids=lambda way: way.__name__)
def test_left(scene: Scene, leave: Callable[[Scene, Step], None]) -> None:
    with scene.watched.request() as step:
        leave(scene, step)
        scene.ended()
        step()
    is_read_out = scene.opens is chain  # a blocking chain of LangChain's reads on to the end when it is left
    scene.watched.check(None if is_read_out else "abandoned", under=step.span)


def test_open_when_its_manager_closes(scene: Scene) -> None:
    with scene.watched.request() as step:
        stream = scene.open()
        next(stream)
        scene.manager.close()
        step()
    scene.watched.check("cancelled", under=step.span)
    with suppress(Exception):
        stream.close()


def test_never_read(scene: Scene) -> None:
    with scene.watched.request() as step:
        stream = scene.open()
        stream.close()
        step()
    scene.watched.check(None, under=step.span, turns=0)


# Batches


def configs(number: int) -> list[RunnableConfig]:
    return [{"configurable": {"session_id": f"of item {each}"}} for each in range(number)]


def answering(manager: BlockingSessionManager) -> SessionRunnable:
    def answer(messages: Any) -> str:
        if messages[-1].content == "fail":
            raise LookupError
        return "answered"

    return SessionRunnable(RunnableLambda(answer), manager=manager)


INPUTS = ["one", "two", "three", "four"]


def batch(asked: Runnable[Any, Any]) -> Any:
    return asked.batch(INPUTS, configs(4))


def batch_as_completed(asked: Runnable[Any, Any]) -> Any:
    return list(asked.batch_as_completed(INPUTS, configs(4)))


def abatch(asked: Runnable[Any, Any]) -> Any:
    async def run() -> Any:
        return await asked.abatch(INPUTS, configs(4))

    return asyncio.run(run())


def abatch_as_completed(asked: Runnable[Any, Any]) -> Any:
    async def run() -> Any:
        return [item async for item in asked.abatch_as_completed(INPUTS, configs(4))]

    return asyncio.run(run())


@pytest.mark.parametrize("ask", [batch, batch_as_completed, abatch, abatch_as_completed], ids=lambda ask: ask.__name__)
def test_each_item_of_a_batch_is_a_turn(manager: BlockingSessionManager, watched: Watched, ask: Any) -> None:
    with watched.request() as step:
        assert len(ask(answering(manager))) == 4
        step()
    watched.check(None, under=step.span, turns=4)


def test_the_items_of_a_batch_fail_each_for_itself(manager: BlockingSessionManager, watched: Watched) -> None:
    with watched.request() as step:
        results = answering(manager).batch(["one", "fail", "three", "fail"], configs(4), return_exceptions=True)
        step()
    assert [type(result).__name__ for result in results] == ["AIMessage", "LookupError", "AIMessage", "LookupError"]
    assert watched.open == []
    outcomes = [(turn.attributes or {}).get("error.type") for turn in watched.turns]
    assert sorted(map(str, outcomes)) == ["LookupError", "LookupError", "None", "None"]


def test_streams_of_many_threads_at_once(manager: BlockingSessionManager, watched: Watched) -> None:
    def talk(number: int) -> None:
        session = manager.create_session("default", "mock", "mock-model")
        with watched.request(f"request {number}") as step:
            for _ in range(5):
                stream = session.send_message_stream(SAID)
                for count, chunk in enumerate(stream):
                    step(chunk)
                    if number % 2 and count == 1:
                        break
                stream.close()
                step()
        steps.append(step)

    steps: list[Step] = []
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(talk, range(8)))
    assert watched.open == []
    assert len(watched.turns) == 40
    parents = {turn.parent.span_id for turn in watched.turns if turn.parent}
    assert parents == {step.span.get_span_context().span_id for step in steps}
    outcomes = [(turn.attributes or {}).get("error.type") for turn in watched.turns]
    assert (outcomes.count(None), outcomes.count("abandoned")) == (20, 20)
