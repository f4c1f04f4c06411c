"""Runs that fail, are cancelled or retried: nothing is lost and nothing is doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain.agents.middleware import ModelRetryMiddleware, ToolRetryMiddleware
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langgraph.checkpoint.memory import InMemorySaver

from langswarm_sessions import SessionArchivedError, SessionBusyError, SessionManager
from tests.agents.kit import ToolScripted, agent_of, calling, on_thread, outer_of, said, texts
from tests.langchain.chains import Unavailable

CALL = calling(("c1", "add", {"a": 1, "b": 2}))
TOLD = ["user: 1+2?", "assistant: c1", "tool: c1=3", "assistant: It is 3."]
ASKED: dict[str, Any] = {"messages": [{"role": "user", "content": "1+2?"}]}


async def test_a_failed_call_leaves_the_input_with_its_status(manager: SessionManager) -> None:
    agent = agent_of(manager, [Unavailable()])
    with pytest.raises(Unavailable):
        await agent.ainvoke(ASKED, on_thread("t"))
    assert await said(manager, "t") == ["user: 1+2? [failed]"]


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("script", [[Unavailable(), CALL, "It is 3."], [CALL, Unavailable(), "It is 3."]])
async def test_the_same_input_again_goes_on_where_it_was(
    manager: SessionManager, script: list[Any], blocking: bool
) -> None:
    model = ToolScripted(script=script)
    agent = agent_of(manager, model=model)
    with pytest.raises(Unavailable):
        await agent.ainvoke(ASKED, on_thread("t"))
    again = agent.invoke(ASKED, on_thread("t")) if blocking else await agent.ainvoke(ASKED, on_thread("t"))
    assert await said(manager, "t") == TOLD
    assert len(model.asked) == 3
    assert texts(again["messages"]) == ["human: 1+2?", "ai: c1", "tool: 3", "ai: It is 3."]
    assert texts(model.asked[-1]) == ["human: 1+2?", "ai: c1", "tool: 3"]


@pytest.mark.parametrize("script", [[Unavailable(), CALL, "It is 3."], [CALL, Unavailable(), "It is 3."]])
@pytest.mark.parametrize("checkpointed", [False, True])
async def test_with_retry_says_nothing_twice(manager: SessionManager, script: list[Any], checkpointed: bool) -> None:
    agent = agent_of(manager, script, checkpointer=InMemorySaver() if checkpointed else None)
    stubborn = agent.with_retry(wait_exponential_jitter=False, stop_after_attempt=2)
    result = await stubborn.ainvoke(ASKED, on_thread("t"))
    assert await said(manager, "t") == TOLD
    assert texts(result["messages"]) == ["human: 1+2?", "ai: c1", "tool: 3", "ai: It is 3."]


@pytest.mark.parametrize("blocking", [False, True])
async def test_retries_of_other_middleware_say_nothing_twice(manager: SessionManager, blocking: bool) -> None:
    retrying = ModelRetryMiddleware(max_retries=2, initial_delay=0, jitter=False)
    script = [Unavailable(), CALL, Unavailable(), "It is 3."]
    for name, outside in (("in", False), ("out", True)):
        agent = agent_of(manager, script, middleware=[retrying])
        if outside:
            agent = outer_of(manager, script, retrying)
        await (
            asyncio.to_thread(agent.invoke, ASKED, on_thread(name))
            if blocking
            else agent.ainvoke(ASKED, on_thread(name))
        )
        assert await said(manager, name) == TOLD


async def test_a_resumed_graph_is_given_what_was_answered(manager: SessionManager) -> None:
    model = ToolScripted(script=[CALL, Unavailable(), "It is 3."])
    agent = agent_of(manager, model=model, checkpointer=InMemorySaver())
    with pytest.raises(Unavailable):
        await agent.ainvoke(ASKED, on_thread("t"))
    await agent.ainvoke(None, on_thread("t"))
    assert await said(manager, "t") == TOLD


async def test_a_replayed_checkpoint_says_nothing_twice(manager: SessionManager) -> None:
    """A crash between the session's storing and the checkpoint's: the graph does the step again."""
    model = ToolScripted(script=[CALL, "It is 3."])
    agent = agent_of(manager, model=model, checkpointer=InMemorySaver())
    first = await agent.ainvoke(ASKED, on_thread("t"))
    history = [state async for state in agent.aget_state_history(on_thread("t"))]
    for state in history:
        if state.next and "__start__" not in state.next:
            replayed = await agent.ainvoke(None, state.config)
            assert texts(replayed["messages"]) == texts(first["messages"])
    assert await said(manager, "t") == TOLD
    assert len(model.asked) == 2


async def test_a_tool_that_was_run_is_not_run_again(manager: SessionManager) -> None:
    runs: list[int] = []

    def count() -> str:
        """Count."""
        runs.append(1)
        return "counted"

    def fail() -> str:
        """Fail once."""
        if len(runs) < 2:
            runs.append(2)
            raise Unavailable
        return "done"

    script = [calling(("c1", "count", {})), calling(("c2", "fail", {})), "Both."]
    model = ToolScripted(script=script)
    agent = agent_of(manager, model=model, tools=[count, fail])
    with pytest.raises(Unavailable):
        await agent.ainvoke(ASKED, on_thread("t"))
    await agent.ainvoke(ASKED, on_thread("t"))
    assert runs == [1, 2]
    assert len(model.asked) == 3
    assert await said(manager, "t") == [
        "user: 1+2?",
        "assistant: c1",
        "tool: c1=counted",
        "assistant: c2",
        "tool: c2=done",
        "assistant: Both.",
    ]


async def test_a_retried_tool_is_kept_once(manager: SessionManager) -> None:
    tries: list[int] = []

    def flaky() -> str:
        """Fail once."""
        tries.append(1)
        if len(tries) == 1:
            raise Unavailable
        return "done"

    retrying = ToolRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    for name in ("in", "out"):
        tries.clear()
        script = [calling(("c1", "flaky", {})), "ok"]
        agent = agent_of(manager, script, tools=[flaky], middleware=[retrying])
        if name == "out":
            agent = outer_of(manager, script, retrying, tools=[flaky])
        await agent.ainvoke(ASKED, on_thread(name))
        assert await said(manager, name) == ["user: 1+2?", "assistant: c1", "tool: c1=done", "assistant: ok"]


async def test_a_cancelled_run_keeps_what_was_said(manager: SessionManager) -> None:
    asked = asyncio.Event()

    class Slow(ToolScripted):
        async def _astream(
            self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any
        ) -> AsyncIterator[ChatGenerationChunk]:
            for word in ("It ", "is "):
                yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            asked.set()
            await asyncio.Event().wait()

    agent = agent_of(manager, model=Slow())

    async def read() -> None:
        async for _ in agent.astream(ASKED, on_thread("t"), stream_mode="messages"):
            pass

    task = asyncio.create_task(read())
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await said(manager, "t") == ["user: 1+2? [interrupted]", "assistant: It is  [interrupted]"]
    finished = agent_of(manager, ["Fine."])
    await finished.ainvoke({"messages": [HumanMessage("go on")]}, on_thread("t"))
    assert (await said(manager, "t"))[2:] == ["user: go on", "assistant: Fine."]


async def test_the_same_words_after_a_finished_run_are_new(manager: SessionManager) -> None:
    model = ToolScripted(script=["one", "two"])
    agent = agent_of(manager, model=model)
    await agent.ainvoke(ASKED, on_thread("t"))
    await agent.ainvoke(ASKED, on_thread("t"))
    assert await said(manager, "t") == ["user: 1+2?", "assistant: one", "user: 1+2?", "assistant: two"]


async def test_runs_of_one_session_take_turns(manager: SessionManager) -> None:
    model = ToolScripted(script=[CALL, "first", CALL, "second", CALL, "third"])
    agent = agent_of(manager, model=model)
    await asyncio.gather(*(agent.ainvoke(ASKED, on_thread("t")) for _ in range(3)))
    kept = await said(manager, "t")
    assert kept == [line for last in ("first", "second", "third") for line in (*TOLD[:3], f"assistant: {last}")]
    assert [len(asked) for asked in model.asked] == [1, 3, 5, 7, 9, 11]


async def test_other_words_after_a_failure_leave_the_failed_ones_where_they_are(manager: SessionManager) -> None:
    model = ToolScripted(script=[Unavailable(), Unavailable(), "Fine."])
    agent = agent_of(manager, model=model, checkpointer=InMemorySaver())
    for text in ("one", "two"):
        with pytest.raises(Unavailable):
            await agent.ainvoke({"messages": [HumanMessage(text)]}, on_thread("t"))
    await agent.ainvoke({"messages": [HumanMessage("two")]}, on_thread("t"))
    assert await said(manager, "t") == ["user: one [failed]", "user: two", "assistant: Fine."]


async def test_a_message_with_an_id_is_answered_once(manager: SessionManager) -> None:
    """The answer was stored, and lost on its way to the caller."""
    model = ToolScripted(script=[CALL, "It is 3."])
    agent = agent_of(manager, model=model)
    asked = {"messages": [HumanMessage("1+2?", id="mine")]}
    first, second = [await agent.ainvoke(asked, on_thread("t")) for _ in range(2)]
    assert texts(first["messages"]) == texts(second["messages"])
    assert await said(manager, "t") == TOLD
    assert len(model.asked) == 2


async def test_a_result_that_cannot_be_stored_is_an_error(manager: SessionManager) -> None:
    async def archive() -> str:
        """Archive the session."""
        await manager.archive_session("t")
        return "archived"

    agent = agent_of(manager, [calling(("c1", "archive", {})), "never"], tools=[archive])
    with pytest.raises(SessionArchivedError):
        await agent.ainvoke(ASKED, on_thread("t"))
    assert await said(manager, "t") == ["user: 1+2?", "assistant: c1"]


@pytest.mark.parametrize("blocking", [False, True])
async def test_a_run_that_waits_too_long_is_told_so(manager: SessionManager, blocking: bool) -> None:
    holds, go_on = asyncio.Event(), asyncio.Event()

    async def hold() -> str:
        """Hold the session."""
        holds.set()
        await go_on.wait()
        return "held"

    holder = agent_of(manager, [calling(("c1", "hold", {})), "done"], tools=[hold])
    waiter = agent_of(manager, ["never"], memory={"turn_wait": 0.05})
    config = on_thread("t")
    holding = asyncio.create_task(holder.ainvoke(ASKED, config))
    await holds.wait()
    with pytest.raises(SessionBusyError):
        await (asyncio.to_thread(waiter.invoke, ASKED, config) if blocking else waiter.ainvoke(ASKED, config))
    go_on.set()
    await holding
    assert (await said(manager, "t"))[-1] == "assistant: done"
