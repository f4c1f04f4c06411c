"""Spans of turns in chains: under the caller's span, and the caller's context stays the caller's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions_langchain import SessionRunnable
from tests.langchain.chains import Scripted, on, told
from tests.support.recorded import Recorded

_OPENINFERENCE = "openinference.instrumentation.langchain"
TURN = "invoke_agent session"


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def traced(recorded: Recorded) -> AsyncIterator[SessionManager]:
    manager = create_session_manager(storage="memory", telemetry=recorded.telemetry())
    yield manager
    manager.bridge.close()
    await manager.close()


@pytest.fixture
def tracer(recorded: Recorded) -> trace.Tracer:
    return recorded.tracer_provider.get_tracer("the caller's")


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    assert [record.message for record in caplog.records] == []


def parent_of(recorded: Recorded, name: str) -> str | None:
    """Return the name of the span above one."""
    by_id: dict[int, ReadableSpan] = {span.context.span_id: span for span in recorded.spans if span.context}
    parent = recorded.span(name).parent
    return None if parent is None else by_id[parent.span_id].name


def asking(manager: SessionManager, tracer: trace.Tracer) -> SessionRunnable:
    """A Runnable that opens a span of its own where the model would be asked."""

    def answer(_: list[BaseMessage]) -> str:
        with tracer.start_as_current_span("the model"):
            return "one"

    return SessionRunnable(RunnableLambda(answer), manager=manager)


async def test_a_turn_is_under_the_callers_span(
    traced: SessionManager, recorded: Recorded, tracer: trace.Tracer
) -> None:
    chain = asking(traced, tracer) | StrOutputParser()
    with tracer.start_as_current_span("caller") as caller:
        assert await chain.ainvoke("hi", on("s")) == "one"
        assert trace.get_current_span() is caller
    assert parent_of(recorded, TURN) == "caller"
    assert parent_of(recorded, "the model") == TURN


def test_a_blocking_turn_is_under_the_callers_span(
    traced: SessionManager, recorded: Recorded, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("caller") as caller:
        assert asking(traced, tracer).invoke("hi", on("s")).text == "one"
        assert trace.get_current_span() is caller
    assert parent_of(recorded, TURN) == "caller"
    assert parent_of(recorded, "the model") == TURN


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_calls_of_a_wrapped_model_are_its_own_to_tell(
    traced: SessionManager, recorded: Recorded, streamed: bool
) -> None:
    """Whoever instruments the model counts its tokens: a chat span of ours would count them twice."""
    chain = SessionRunnable(Scripted(), manager=traced)
    if streamed:
        [_ async for _ in chain.astream("hi", on("s"))]
        assert recorded.points("langswarm.session.turn.time_to_first_chunk")
    else:
        await chain.ainvoke("hi", on("s"))
    assert [span.name for span in recorded.spans if span.kind is trace.SpanKind.CLIENT] == []
    assert not [name for name in recorded.all_points() if name.startswith("gen_ai.client.")]


async def test_each_item_of_a_batch_has_a_turn_of_its_own(
    traced: SessionManager, recorded: Recorded, tracer: trace.Tracer
) -> None:
    with tracer.start_as_current_span("caller") as caller:
        await asking(traced, tracer).abatch(["a", "b"], [on("x"), on("y")])
    turns = [span for span in recorded.spans if span.name == TURN]
    assert [span.parent.span_id for span in turns if span.parent] == [caller.get_span_context().span_id] * 2
    assert sorted(str((span.attributes or {})["session.id"]) for span in turns) == ["x", "y"]


def pieces(tracer: trace.Tracer) -> RunnableGenerator[Any, str]:
    """A Runnable with a span that is current across its chunks, as careless code has it."""

    def words(inputs: Iterator[Any]) -> Iterator[str]:
        for _ in inputs:
            with tracer.start_as_current_span("the model"):
                yield from ("one ", "two ", "three")

    async def awords(inputs: AsyncIterator[Any]) -> AsyncIterator[str]:
        async for _ in inputs:
            with tracer.start_as_current_span("the model"):
                for word in ("one ", "two ", "three"):
                    yield word

    return RunnableGenerator(words, awords)


async def test_the_consumer_of_a_stream_keeps_its_context(
    traced: SessionManager, recorded: Recorded, tracer: trace.Tracer
) -> None:
    chain = SessionRunnable(pieces(tracer), manager=traced)
    with tracer.start_as_current_span("caller") as caller:
        async for _ in chain.astream("hi", on("s")):
            assert trace.get_current_span() is caller
        for _ in chain.stream("hi", on("s")):
            assert trace.get_current_span() is caller
    turns = [span for span in recorded.spans if span.name == TURN]
    assert [span.parent.span_id for span in turns if span.parent] == [caller.get_span_context().span_id] * 2


async def test_the_consumer_of_a_stream_that_is_left_keeps_its_context(
    traced: SessionManager, recorded: Recorded, tracer: trace.Tracer
) -> None:
    chain = SessionRunnable(pieces(tracer), manager=traced)
    with tracer.start_as_current_span("caller") as caller:
        stream: Any = chain.astream("hi", on("s"))
        async for _ in stream:
            break
        await stream.aclose()
        assert trace.get_current_span() is caller
        for _ in chain.stream("hi", on("blocking")):
            break
        assert trace.get_current_span() is caller
    turns = [span for span in recorded.spans if span.name == TURN]
    assert [(span.attributes or {}).get("error.type") for span in turns] == ["abandoned", "abandoned"]
    assert (await told(traced, "s"))[-1] == ("assistant", "one ", "interrupted")


async def test_a_cancelled_call_ends_its_span(traced: SessionManager, recorded: Recorded, tracer: trace.Tracer) -> None:
    entered = asyncio.Event()

    async def never(_: Any) -> str:
        entered.set()
        await asyncio.Event().wait()
        return ""

    with tracer.start_as_current_span("caller") as caller:
        call = asyncio.create_task(SessionRunnable(RunnableLambda(never), manager=traced).ainvoke("hi", on("s")))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert trace.get_current_span() is caller
    assert (recorded.span(TURN).attributes or {})["error.type"] == "cancelled"
    assert await told(traced, "s") == [("user", "hi", "interrupted")]


async def test_a_tracer_of_runs_that_fails_costs_the_turn_nothing(traced: SessionManager, recorded: Recorded) -> None:
    def get_span(_: object, run_id: object) -> Any:
        raise RuntimeError(f"no span of {run_id}")

    # What it is told by is where its class says that it comes from.
    kind = type("Tracer", (BaseCallbackHandler,), {"get_span": get_span, "__module__": _OPENINFERENCE})
    runnable = SessionRunnable(Scripted(script=["Hello."]), manager=traced)

    answer = await runnable.ainvoke("hi", {**on("s"), "callbacks": [kind()]})
    assert answer.content == "Hello."
    assert parent_of(recorded, TURN) is None
