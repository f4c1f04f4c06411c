"""Workers forked while sessions, streams and exporters run: they work, and each span leaves one process once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SECONDS = 60

PRELUDE = """
import asyncio, gc, json, multiprocessing, os, sys, threading, time
from opentelemetry import context, trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from langswarm_sessions import BlockingSessionManager, SessionError, create_session_manager
from langswarm_sessions_otel import Telemetry
from langswarm_sessions_otel.process import forks


class ToFile(SpanExporter):
    def export(self, spans):
        lines = [json.dumps({
            "process": os.getpid(), "name": span.name, "id": span.context.span_id,
            "parent": span.parent and span.parent.span_id, "trace": span.context.trace_id,
            "links": [link.context.span_id for link in span.links], "error": span.attributes.get("error.type"),
        }) + "\\n" for span in spans]
        with open("spans", "a") as file:
            file.write("".join(lines))
        return SpanExportResult.SUCCESS


provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(ToFile(), schedule_delay_millis=600_000))
tracer = provider.get_tracer("the program's")


def made():
    return create_session_manager(
        storage="sqlite", storage_config={"db_path": "sessions.db"}, telemetry=Telemetry(tracer_provider=provider)
    )


def in_child(work):
    \"\"\"Run something in a fork, and return what it told; it has a while, and must not end by itself alone.\"\"\"
    reads, writes = os.pipe()
    process = os.fork()
    if process == 0:
        os.close(reads)
        try:
            told = work()
        except BaseException as error:
            told = f"{type(error).__name__}: {error}"
        os.write(writes, json.dumps(told).encode())
        os.close(writes)
        provider.force_flush()
        sys.exit(0)
    os.close(writes)
    return process, reads


def told_by(child):
    process, reads = child
    with open(reads, "rb") as file:
        told = json.loads(file.read())
    assert os.waitpid(process, 0)[1] == 0
    return told


def timed(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def tell(**what):
    provider.force_flush()
    print(json.dumps({"parent": os.getpid(), **what}), flush=True)
"""


@dataclass(frozen=True)
class Ran:
    """What a program told, and the spans that left its processes."""

    told: dict[str, Any]
    spans: list[dict[str, Any]]

    def __post_init__(self) -> None:
        assert max(Counter(span["id"] for span in self.spans).values()) == 1, "a span was exported twice"

    def turns(self, *, in_parent: bool) -> list[dict[str, Any]]:
        return [
            span
            for span in self.spans
            if span["name"].startswith("invoke_agent") and (span["process"] == self.told["parent"]) is in_parent
        ]

    @property
    def processes(self) -> set[int]:
        return {span["process"] for span in self.spans}


def run(program: str) -> Ran:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", PRELUDE + textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        printed, complaints = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert complaints == ""
    assert process.returncode == 0, printed
    assert Path("spans").exists(), printed
    told = json.loads(printed)
    spans = [json.loads(line) for line in Path("spans").read_text(encoding="utf-8").splitlines()]
    return Ran(told, spans)


def test_a_worker_forked_amid_streams() -> None:
    ran = run(
        """
        manager = BlockingSessionManager(made())
        asked, left, unread = (manager.create_session("u", "mock", "m", session_id=name) for name in "abc")
        asked.send_message("before")
        stream = left.send_message_stream("one two")
        next(stream)
        unread = unread.send_message_stream("three four")
        asked.send_message("in the parent")
        started = []
        starting = threading.Thread(target=lambda: started.append(left.start_turn("after the stream")))
        starting.start()
        starting.join()
        [waiting] = started

        def work():
            told = [asked.send_message("in the child").content, "".join(unread)]
            for read in (lambda: next(stream), waiting.result, waiting.cancel, lambda: next(waiting.read())):
                try:
                    read()
                except SessionError as error:
                    told.append(str(error))
            stream.close()
            gc.collect()
            return told, timed(manager.close)

        request = tracer.start_span("request")
        token = context.attach(trace.set_span_in_context(request))
        child = in_child(work)
        context.detach(token)
        request.end()
        told, closing = told_by(child)
        rest = "".join(stream)
        waited = waiting.result().content
        after = asked.send_message("after").message_id
        manager.close()
        tell(told=told, closing=closing, rest=rest, waited=waited, request=request.get_span_context().span_id)
        """
    )
    assert ran.told["told"][:2] == ["Mock response to: in the child", "Mock response to: three four"]
    refused = ran.told["told"][2:]
    assert len(refused) == 4
    assert all(text.startswith("The turn was begun before this process was forked") for text in refused)
    assert ran.told["waited"] == "Mock response to: after the stream"
    assert ran.told["closing"] < 5, "the child waits for no turn of its parent's"
    assert ran.told["rest"] == "response to: one two", "the parent's stream goes on"
    in_parent, in_child = ran.turns(in_parent=True), ran.turns(in_parent=False)
    assert (len(in_parent), len(in_child)) == (5, 2)
    assert {span["error"] for span in ran.spans if span["name"].startswith("invoke")} == {None}
    assert in_child[0]["parent"] == ran.told["request"], "a fork goes on where it was made"
    assert in_child[0]["links"] == [in_parent[1]["id"]]
    assert in_parent[-1]["links"] == [in_child[0]["id"]]
    assert [span["process"] for span in ran.spans if span["name"] == "request"] == [ran.told["parent"]]


def test_workers_of_a_manager_that_was_made_before_they_were_forked() -> None:
    ran = run(
        """
        manager = made()

        async def talk(number):
            own = await manager.open_session(f"of {number}", user_id="u", provider="mock", model="m")
            shared = await manager.open_session("shared", user_id="u", provider="mock", model="m")
            for session in (own, shared):
                async for _ in session.send_message_stream("hi"):
                    pass
                await session.send_message("hi again")
            await manager.close()
            return "done"

        children = [in_child(lambda: asyncio.run(talk(number))) for number in range(3)]
        told = [told_by(child) for child in children]
        manager.bridge.call(manager.close)
        manager.bridge.close()
        tell(told=told)
        """
    )
    assert ran.told["told"] == ["done"] * 3
    assert len(ran.processes) == 3
    turns = ran.turns(in_parent=False)
    assert len(turns) == 12
    assert {turn["error"] for turn in turns} == {None}
    linked = [link for turn in turns for link in turn["links"]]
    assert len(linked) == len(set(linked)) == 8, "three chains and the shared one, each from its second turn on"


@pytest.mark.accept
def test_a_process_started_within_a_running_loop() -> None:
    ran = run(
        """
        manager = made()
        SAID = "one two three"

        def work():
            async def talk():
                session = await manager.get_session("other")
                stream = session.send_message_stream(SAID)
                async for _ in stream:
                    gc.collect()
                await manager.close()

            asyncio.run(talk())
            provider.force_flush()

        async def main():
            session = await manager.create_session("u", "mock", "m", session_id="s")
            await manager.create_session("u", "mock", "m", session_id="other")
            stream = session.send_message_stream(SAID)
            await anext(stream)
            process = multiprocessing.get_context("fork").Process(target=work)
            process.start()
            await asyncio.to_thread(process.join)
            rest = [chunk async for chunk in stream]
            await manager.close()
            return process.exitcode, rest

        code, rest = asyncio.run(main())
        tell(code=code, rest=rest)
        """
    )
    assert ran.told["code"] == 0
    assert ran.told["rest"] == ["response ", "to: ", "one ", "two ", "three"]
    assert len(ran.turns(in_parent=True)) == len(ran.turns(in_parent=False)) == 1
    assert {span["error"] for span in ran.spans} == {None}


@pytest.mark.accept
def test_locks_that_a_thread_held_and_a_run_that_goes_on() -> None:
    ran = run(
        """
        from langswarm_sessions.turns import orphans

        manager = made()
        blocking, idle = BlockingSessionManager(manager), BlockingSessionManager(made())
        session = blocking.create_session("u", "mock", "m", session_id="s")
        other = blocking.create_session("u", "mock", "m", session_id="other")
        engine = manager._runtime.engine

        async def take():
            held = engine.hold(other.wrapped.record)
            await held.take()
            return held

        held = blocking.bridge.call(take)
        taken, forked = threading.Event(), threading.Event()

        def hold_them():
            assert {orphans._lock, idle.bridge._lock} <= {*forks._locks}
            locks = [*forks._locks, engine._live._lock, engine._gates._lock, engine._keeper._lock, engine.running._lock]
            for lock in locks:
                lock.acquire()
            taken.set()
            forked.wait()
            for lock in locks:
                lock.release()

        holder = threading.Thread(target=hold_them)
        holder.start()
        taken.wait()

        def work():
            told = session.send_message("in the child").content
            new = idle.create_session("u", "mock", "m").send_message("new").content
            gc.collect()
            blocking.close()
            idle.close()
            return told, new

        child = in_child(work)
        forked.set()
        holder.join()
        told = told_by(child)

        async def let_go():
            held.release()
            await held.end()

        blocking.bridge.call(let_go)
        blocking.close()
        tell(told=told)
        """
    )
    assert ran.told["told"] == ["Mock response to: in the child", "Mock response to: new"]
    [run_in_parent] = ran.turns(in_parent=True)
    assert run_in_parent["error"] is None, "its end is the parent's"
    assert len(ran.turns(in_parent=False)) == 2
