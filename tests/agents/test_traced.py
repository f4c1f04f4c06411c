"""Spans of an agent's turns: under the run's, and what the model and the tools do under them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain.agents.middleware import wrap_model_call
from langgraph.checkpoint.memory import InMemorySaver
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan

from langswarm_sessions import SessionManager, create_session_manager
from tests.agents.kit import ToolScripted, agent_of, calling, on_thread
from tests.langchain.chains import Runs
from tests.support.recorded import Recorded

TURN = "invoke_agent session"
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "go"}]}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def traced(recorded: Recorded) -> AsyncIterator[SessionManager]:
    manager = create_session_manager(storage="memory", telemetry=recorded.telemetry())
    yield manager
    manager.bridge.close()
    await manager.close()


@pytest.fixture(autouse=True)
def no_complaints(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    assert [record.message for record in caplog.records] == []


@pytest.mark.parametrize("blocking", [False, True])
async def test_spans_nest(traced: SessionManager, recorded: Recorded, blocking: bool) -> None:
    tracer = recorded.tracer_provider.get_tracer("the caller's")

    class Spanned(ToolScripted):
        def _generate(self, *args: Any, **kwargs: Any) -> Any:
            with tracer.start_as_current_span("the model"):
                return super()._generate(*args, **kwargs)

    def look() -> str:
        """Look."""
        with tracer.start_as_current_span("the tool"):
            return "seen"

    agent = agent_of(traced, model=Spanned(script=[calling(("c1", "look", {})), "done"]), tools=[look])
    runs = Runs()
    config: Any = {**on_thread("t"), "callbacks": [runs]}
    with tracer.start_as_current_span("caller") as caller:
        await (asyncio.to_thread(agent.invoke, ASKED, config) if blocking else agent.ainvoke(ASKED, config))
        assert trace.get_current_span() is caller
    by_id: dict[int, ReadableSpan] = {span.context.span_id: span for span in recorded.spans if span.context}
    parents = [
        (span.name, by_id[span.parent.span_id].name if span.parent else None)
        for span in recorded.spans
        if span.name in (TURN, "the model", "the tool", "caller")
    ]
    assert sorted(parents, key=str) == sorted(
        [*[("the model", TURN)] * 2, *[(TURN, "caller")] * 2, ("the tool", "caller"), ("caller", None)], key=str
    )
    names = [name for name, _, _ in runs.started]
    ids = {run_id: name for name, run_id, _ in runs.started}
    above = {name: ids.get(parent) for name, _, parent in runs.started}
    assert names.count("Spanned") == 2
    assert above["Spanned"] == "model"
    assert runs.failed == []


async def test_events_of_the_model_reach_the_agents_readers(traced: SessionManager) -> None:
    agent = agent_of(traced, model=ToolScripted(script=["a b c"]))
    events = [event async for event in agent.astream_events(ASKED, on_thread("t"), version="v2")]
    streamed = [event for event in events if event["event"] == "on_chat_model_stream"]
    assert "".join(event["data"]["chunk"].text for event in streamed).strip() == "a b c"
    chunks = [c async for c in agent.astream(ASKED, on_thread("u"), stream_mode="updates")]
    assert [name for chunk in chunks for name in chunk if name == "model"] == ["model"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_stream_that_is_left_is_quiet(traced: SessionManager, blocking: bool) -> None:
    @wrap_model_call
    def passing(request: Any, handler: Any) -> Any:
        return handler(request)

    inner = [passing] if blocking else []
    agent = agent_of(traced, model=ToolScripted(script=["a b c d e"]), middleware=inner)
    if blocking:
        stream = agent.stream(ASKED, on_thread("t"), stream_mode="messages")
        next(stream)
        await asyncio.to_thread(stream.close)
    else:
        left = agent.astream(ASKED, on_thread("t"), stream_mode="messages")
        await anext(left)
        await left.aclose()


async def test_a_turn_reads_nothing_of_a_history_that_the_graph_owns(
    traced: SessionManager, recorded: Recorded
) -> None:
    agent = agent_of(traced, ["one", "two", "three"], checkpointer=InMemorySaver())
    for _ in range(3):
        await agent.ainvoke(ASKED, on_thread("t"))
    loads = [span for span in recorded.spans if span.name == "langswarm.storage.load"]
    assert [(span.attributes or {})["langswarm.storage.count"] for span in loads] == [0, 0, 0]
