"""Streams that are open when their loop, program or manager ends, what a thousand leave behind; agents, histories."""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables.history import RunnableWithMessageHistory

from langswarm_sessions import MessageStream, Session, SessionManager
from langswarm_sessions_langchain import SessionChatMessageHistory, SessionRunnable
from tests.agents.kit import agent_of, on_thread
from tests.langchain.chains import Scripted, on
from tests.support.watched import Step, Watched, nothing_said, wait_until

pytestmark = pytest.mark.usefixtures("silence")
LEASE_SECONDS = 0.3
THINGS = ("ChatScope", "Conversation", "Sending", "TurnLog", "TurnRun", "TurnScope", "TurnStream")


@pytest.fixture
def silence(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with nothing_said(caplog):
        yield


@pytest.fixture
def watched() -> Watched:
    return Watched()


@pytest.fixture
def manager(watched: Watched) -> Iterator[SessionManager]:
    made = SessionManager("memory", telemetry=watched.telemetry(), lease_seconds=LEASE_SECONDS)
    yield made
    made.bridge.call(made.close)
    made.bridge.close()


async def new_session(manager: SessionManager, watched: Watched) -> Session:
    session = await manager.create_session("u", "mock", "m", session_id="s")
    watched.exporter.clear()
    return session


async def opened(manager: SessionManager, watched: Watched, step: Step) -> MessageStream:
    stream = (await new_session(manager, watched)).send_message_stream("one two three")
    await anext(stream)
    step()
    return stream


async def say_hi(manager: SessionManager) -> str:
    return (await (await manager.get_session("s")).send_message("hi")).content


# A loop that is closed under a stream


@pytest.mark.parametrize("kept", [False, True])
def test_a_loop_closed_with_a_stream_open(manager: SessionManager, watched: Watched, kept: bool) -> None:
    loop = asyncio.new_event_loop()
    with watched.request() as step:
        held = [loop.run_until_complete(opened(manager, watched, step))]
        loop.close()
        if not kept:
            held.clear()
            gc.collect()
        step()
    asyncio.run(wait_until(lambda: watched.turns))
    watched.check("abandoned", under=step.span)
    assert asyncio.run(say_hi(manager)) == "Mock response to: hi"


async def test_what_was_open_on_a_closed_loop_ends_with_the_manager_at_the_latest(watched: Watched) -> None:
    def abandon() -> None:
        loop = asyncio.new_event_loop()
        with watched.request() as step:
            steps.append(step)
            streams.append(loop.run_until_complete(opened(manager, watched, step)))
        loop.close()

    steps: list[Step] = []
    streams: list[MessageStream] = []
    async with SessionManager("memory", telemetry=watched.telemetry()) as manager:
        await asyncio.to_thread(abandon)
        assert watched.open == ["chat m", "invoke_agent session"]
    watched.check("abandoned", under=steps[0].span)


def test_a_run_that_is_over_with_a_stream_open(manager: SessionManager, watched: Watched) -> None:
    with watched.request() as step:
        stream = asyncio.run(opened(manager, watched, step))
        step()
    watched.check("cancelled", under=step.span)
    del stream


def test_a_run_that_is_over_with_a_generator_open(manager: SessionManager, watched: Watched) -> None:
    async def handed_on() -> AsyncGenerator[Any]:
        await new_session(manager, watched)
        async for chunk in SessionRunnable(manager=manager).astream("hi", {"configurable": {"session_id": "s"}}):
            yield chunk

    async def main() -> AsyncGenerator[Any]:
        chunks = handed_on()
        await anext(chunks)
        step()
        return chunks

    with watched.request() as step:
        chunks = asyncio.run(main())
        step()
    watched.check("cancelled", under=step.span)
    del chunks


def test_ctrl_c_in_a_run(manager: SessionManager, watched: Watched) -> None:
    async def main() -> None:
        session = await new_session(manager, watched)
        async for _ in session.send_message_stream("hi"):
            step()
            raise KeyboardInterrupt

    with watched.request() as step:
        with suppress(KeyboardInterrupt):
            asyncio.run(main())
        step()
    [turn] = watched.turns
    outcome = str((turn.attributes or {})["error.type"])
    assert outcome in {"abandoned", "cancelled"}, "whichever comes first, the collector or the end of the loop"
    watched.check(outcome, under=step.span)


# A program that ends

PROGRAM = """
import asyncio, json, sys
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from langswarm_sessions import BlockingSessionManager, create_session_manager
from langswarm_sessions_otel import Telemetry


class ToFile(SpanExporter):
    def export(self, spans):
        with open("spans", "a") as file:
            for span in spans:
                file.write(json.dumps([span.name, span.attributes.get("error.type")]) + "\\n")
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=600_000))
telemetry = Telemetry(tracer_provider=provider)
manager = BlockingSessionManager(create_session_manager(storage="memory", telemetry=telemetry))
session = manager.create_session("u", "mock", "m", session_id="s")
stream = session.send_message_stream("one two three")
next(stream)
"""


@pytest.mark.parametrize(
    "end",
    [
        "",
        *(pytest.param(end, marks=pytest.mark.accept) for end in ("raise SystemExit", "manager.close()")),
        "del stream, session, manager",
    ],
)
def test_a_program_that_ends_with_a_stream_open(end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM + textwrap.dedent(end)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    spans = dict(map(json.loads, Path("spans").read_text(encoding="utf-8").splitlines()))
    assert spans.keys() >= {"invoke_agent session", "chat m"}
    assert spans["invoke_agent session"] in {"abandoned", "cancelled"}


# Faces whose model somebody else asks


@pytest.mark.parametrize("leaves", [False, True])
async def test_an_agents_stream(manager: SessionManager, watched: Watched, leaves: bool) -> None:
    agent = agent_of(manager, ["one two three"], tools=[])
    asked: Any = {"messages": [{"role": "user", "content": "hi"}]}
    with watched.request() as step:
        async with aclosing(agent.astream(asked, on_thread("t"), stream_mode="messages")) as chunks:
            async for _ in chunks:
                step()
                if leaves:
                    break
        step()
    await wait_until(lambda: not watched.open)
    assert step.steps > 1


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
@pytest.mark.parametrize("leaves", [False, True])
async def test_the_stream_of_a_chain_with_a_history(manager: SessionManager, watched: Watched, leaves: bool) -> None:
    def history(session_id: str) -> SessionChatMessageHistory:
        return SessionChatMessageHistory(manager=manager, session_id=session_id)

    kept = RunnableWithMessageHistory(Scripted(script=["one two three"]), history)
    with watched.request() as step:
        stream: Any = kept.astream([HumanMessage("hi")], on("s"))
        async with aclosing(stream) as chunks:
            async for _ in chunks:
                step()
                if leaves:
                    break
        step()
    await wait_until(lambda: not watched.open)
    assert watched.turns == []


# A thousand


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=pytest.mark.accept)])
async def test_left_streams_leave_nothing_behind(manager: SessionManager, watched: Watched, times: int) -> None:
    async def leave(session: Session, number: int) -> None:
        stream = session.send_message_stream("one two three")
        await anext(stream)
        match number % 4:
            case 0:
                await stream.aclose()
            case 1:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0):
                        await anext(stream)
                        await asyncio.Event().wait()
            case 2:
                left.append(stream)
            case _:
                pass

    def all_is_over() -> bool:
        gc.collect()
        return len(asyncio.all_tasks()) == 1 and things() == before

    left: list[MessageStream] = []
    sessions = [await manager.create_session("u", "mock", "m") for _ in range(100)]
    threads, before = named_threads(), things()
    for _ in range(times):
        await asyncio.gather(*(leave(session, number) for number, session in enumerate(sessions)))
        left.clear()
    await wait_until(lambda: len(watched.turns) == times * len(sessions))
    await wait_until(all_is_over)
    assert watched.open == []
    engine = manager._runtime.engine
    assert (engine._live._turns, engine._gates._lines, engine._keeper._held) == ({}, {}, {})
    await wait_until(lambda: named_threads() == threads)


def named_threads() -> Counter[str]:
    """Return how many threads of each name there are, but for those of asyncio's own pool."""
    names = (thread.name for thread in threading.enumerate())
    return Counter(name for name in names if not name.startswith("asyncio_"))


def things() -> Counter[str]:
    """Return how many of the things there are that a turn is made of."""
    ours = Counter(type(thing).__name__ for thing in gc.get_objects())
    return Counter({name: ours[name] for name in THINGS})
