"""Runs on one thread at once: other savers lose turns and say nothing; this one refuses, or lets them wait."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, StateUpdate, interrupt

from langswarm_sessions import InvalidInputError, SessionBusyError, SessionManager, TurnConflictError
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import Chat, Meeting, Overlapping, chat, in_a_row, say, steps, sync_chat, texts, thread


@asynccontextmanager
async def other_saver(kind: str, folder: Path) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    if kind == "memory":
        yield InMemorySaver()
    else:
        async with AsyncSqliteSaver.from_conn_string(str(folder / "other.db")) as saver:
            yield saver


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_other_savers_lose_a_turn_and_say_nothing(kind: str, tmp_path: Path) -> None:
    async with other_saver(kind, tmp_path) as saver:
        graph = Meeting(2).graph(saver)
        outcomes = await asyncio.gather(*(graph.ainvoke(say(text), thread("t")) for text in ("one", "two")))
        said = texts((await graph.aget_state(thread("t"))).values)
    assert len(outcomes) == 2, "both callers were told that all went well"
    assert len(said) == 2, "and one of the two turns is gone"


async def _stored(saver: SessionCheckpointSaver, *, checkpoints: int) -> None:
    """Wait until as many checkpoints are stored."""
    async with asyncio.timeout(60):
        while len([found async for found in saver.alist(thread("t"))]) < checkpoints:  # noqa: ASYNC110 - in its threads
            await asyncio.sleep(0.001)


async def both(graph: Any, **options: Any) -> list[BaseException | dict[str, Any]]:
    runs = [graph.ainvoke(say(text), thread("t"), **options) for text in ("one", "two")]
    outcomes: list[BaseException | dict[str, Any]] = await asyncio.gather(*runs, return_exceptions=True)
    return outcomes


@pytest.mark.parametrize("before", [[], ["zero"]], ids=["new thread", "thread"])
@pytest.mark.parametrize("durability", ["async", "sync", "exit"])
async def test_here_the_second_run_is_refused_and_nothing_of_it_is_stored(
    manager: SessionManager, durability: str, before: list[str]
) -> None:
    saver = Overlapping.of(manager, 2)
    for text in before:
        await chat(SessionCheckpointSaver(manager)).ainvoke(say(text), thread("t"))
    outcomes = await both(chat(saver), durability=durability)
    [refusal] = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    [kept] = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    assert isinstance(refusal, TurnConflictError)
    assert refusal.session_id == "t"
    assert "saver.ordered(graph)" in str(refusal)
    assert texts((await chat(saver).aget_state(thread("t"))).values) == texts(kept)
    store = manager._services.storage.checkpoints
    assert store is not None
    counts = await store.statistics()
    found = [found async for found in saver.alist(thread("t"))]
    assert counts["checkpoints"] == len(found)
    assert counts["writes"] == sum(len(checkpoint.pending_writes or []) for checkpoint in found)


async def test_a_run_that_stores_each_step_is_refused_before_any_node_ran(manager: SessionManager) -> None:
    saver, ran = Overlapping.of(manager, 2), list[str]()
    graph = steps(saver, "only", run=ran.append)
    runs = [graph.ainvoke({"entries": []}, thread("t"), durability="sync") for _ in range(2)]
    outcomes = await asyncio.gather(*runs, return_exceptions=True)
    [refusal] = [outcome for outcome in outcomes if isinstance(outcome, TurnConflictError)]
    assert refusal.retryable
    assert ran == ["only"]


async def test_a_refused_run_is_done_again_and_nothing_is_lost(manager: SessionManager) -> None:
    saver = Overlapping.of(manager, 2)
    outcomes = await both(chat(saver))
    lost = ("one", "two")[[isinstance(outcome, TurnConflictError) for outcome in outcomes].index(True)]
    await chat(saver).ainvoke(say(lost), thread("t"))
    said = texts((await chat(saver).aget_state(thread("t"))).values)
    assert sorted(said) == ["one", "re: one", "re: two", "two"]
    assert said[-2:] == [lost, f"re: {lost}"]


async def test_a_run_that_another_overtakes_is_told_so_at_its_next_step(saver: SessionCheckpointSaver) -> None:
    meeting = Meeting(2)
    slow = asyncio.create_task(meeting.graph(saver).ainvoke(say("slow"), thread("t")))
    await _stored(saver, checkpoints=2)
    await chat(saver).ainvoke(say("fast"), thread("t"))
    await meeting.barrier.wait()
    with pytest.raises(TurnConflictError, match="stored up to its last checkpoint") as refusal:
        await slow
    assert not refusal.value.retryable
    assert texts((await chat(saver).aget_state(thread("t"))).values) == ["slow", "fast", "re: fast"]


@pytest.mark.parametrize("method", ["ainvoke", "astream", "abatch", "astream_events"])
async def test_ordered_runs_wait_for_each_other(saver: SessionCheckpointSaver, method: str) -> None:
    meeting = Meeting(1)
    graph = saver.ordered(meeting.graph(saver, meets=False))
    names = [f"n{number}" for number in range(8)]

    async def run(text: str) -> None:
        if method == "ainvoke":
            await graph.ainvoke(say(text), thread("t"))
        else:
            async for _ in getattr(graph, method)(say(text), thread("t")):
                pass

    if method == "abatch":
        await graph.abatch([say(name) for name in names], thread("t"))
    else:
        await asyncio.gather(*map(run, names))
    said = texts((await graph.aget_state(thread("t"))).values)
    assert meeting.most == 1
    assert sorted(said[::2]) == names
    assert said[1::2] == [f"re: {text}" for text in said[::2]]


def test_blocking_runs_wait_for_each_other(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(sync_chat(saver))
    names = [f"n{number}" for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(graph.invoke, map(say, names), [thread("t")] * len(names)))
    said = texts(graph.get_state(thread("t")).values)
    assert sorted(said[::2]) == names
    assert said[1::2] == [f"re: {text}" for text in said[::2]]


@pytest.mark.parametrize("method", ["update_state", "bulk_update_state"])
async def test_an_update_waits_for_the_thread_as_well(saver: SessionCheckpointSaver, method: str) -> None:
    graph = saver.ordered(chat(saver), wait=0.01)
    given: Any = say("one") if method == "update_state" else [[StateUpdate(say("one"), "answer")]]

    async def update() -> None:
        await getattr(graph, f"a{method}")(thread("t"), given)

    async with saver.turn("t"):
        with pytest.raises(SessionBusyError):
            await asyncio.create_task(update())
        with pytest.raises(SessionBusyError):
            await asyncio.to_thread(getattr(graph, method), thread("t"), given)
    await update()
    assert texts((await graph.aget_state(thread("t"))).values) == ["one"]


async def test_events_that_cannot_be_ordered_are_refused(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(chat(saver))
    with pytest.raises(InvalidInputError, match=r"saver\.turn"):
        async for _ in graph.astream_events(say("one"), thread("t"), version="v3"):
            pass
    with pytest.raises(InvalidInputError, match=r"saver\.turn"):
        graph.stream_events(say("one"), thread("t"))


async def test_threads_do_not_wait_for_each_other(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(Meeting(2).graph(saver))
    await asyncio.gather(*(graph.ainvoke(say("hi"), thread(name)) for name in ("a", "b")))


async def test_who_waits_in_vain_is_told_and_the_turn_leaves_nothing_behind(saver: SessionCheckpointSaver) -> None:
    async def wait() -> None:
        async with saver.turn("t", wait=0.01):
            raise AssertionError("the thread is held")

    async with saver.turn("t"):
        with pytest.raises(SessionBusyError, match="held the thread"):
            await asyncio.create_task(wait())
        async with saver.turn("t", user_id="somebody else", wait=0.01):
            pass
    async with saver.turn("t", wait=0):
        pass
    assert await saver.manager.search_sessions() == []


async def test_who_holds_a_thread_in_a_turn_is_no_session_of_anybody(saver: SessionCheckpointSaver) -> None:
    manager = saver.manager
    async with saver.turn("t"):
        assert await manager.search_sessions() == []
        figures = await manager.get_analytics()
        assert (figures.total_sessions, figures.active_users, figures.provider_usage) == (0, 0, {})
        assert (await manager._services.storage.statistics())["sessions"] == 0
        assert await manager.cleanup_inactive_sessions(0) == 0
    async with saver.turn("t", wait=0):
        pass


async def test_who_waits_for_itself_is_told_so(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(sync_chat(saver), wait=0.01)
    async with saver.turn("t"):
        with pytest.raises(SessionBusyError, match="holds its turn already"):
            await graph.ainvoke(say("one"), thread("t"))
    with saver.turn("t"), pytest.raises(SessionBusyError, match="run the graph itself"):
        graph.invoke(say("one"), thread("t"))
    assert texts(graph.invoke(say("one"), thread("t"))) == ["one", "re: one"]


async def test_a_cancelled_run_gives_its_turn_back(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(Meeting(2).graph(saver))
    run = asyncio.create_task(graph.ainvoke(say("one"), thread("t")))
    await _stored(saver, checkpoints=1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    async with saver.turn("t", wait=5):
        pass


async def test_a_stream_that_is_left_gives_its_turn_back(saver: SessionCheckpointSaver) -> None:
    graph = saver.ordered(chat(saver))
    stream = graph.astream(say("one"), thread("t"), stream_mode="values")
    await anext(stream)
    with pytest.raises(SessionBusyError):
        await saver.ordered(chat(saver), wait=0.01).ainvoke(say("two"), thread("t"))
    await stream.aclose()
    async with saver.turn("t", wait=5):
        pass


async def test_time_travel_still_branches(saver: SessionCheckpointSaver) -> None:
    graph = chat(saver)
    for text in ("one", "two"):
        await graph.ainvoke(say(text), thread("t"))
    history = [state async for state in graph.aget_state_history(thread("t"))]
    [early] = [state for state in history if not state.next and len(state.values["messages"]) == 2]
    await graph.ainvoke(say("other"), early.config)
    assert texts((await graph.aget_state(thread("t"))).values) == ["one", "re: one", "other", "re: other"]
    await graph.aupdate_state(early.config, say("third"))
    assert texts((await graph.aget_state(thread("t"))).values) == ["one", "re: one", "third"]
    latest = (await graph.aget_state(thread("t"))).config
    await graph.aupdate_state(latest, say("fourth"))
    assert texts((await graph.aget_state(thread("t"))).values) == ["one", "re: one", "third", "fourth"]
    assert "__langswarm" not in json.dumps([found.metadata async for found in saver.alist(None)], default=str)


async def test_two_decisions_on_the_newest_checkpoint_are_no_branches(saver: SessionCheckpointSaver) -> None:
    """Whoever names the checkpoint that waits, as user interfaces do, goes on with the thread."""
    both_decided = asyncio.Barrier(2)

    async def ask(_: Any) -> dict[str, Any]:
        answer = interrupt("well?")
        await both_decided.wait()
        return say(answer)

    graph = in_a_row(Chat, saver, ask=ask)
    await graph.ainvoke(say("in"), thread("t"))
    waits = (await graph.aget_state(thread("t"))).config
    runs = [graph.ainvoke(Command(resume=text), waits) for text in ("yes", "no")]
    outcomes: list[object] = await asyncio.gather(*runs, return_exceptions=True)
    assert len([outcome for outcome in outcomes if isinstance(outcome, TurnConflictError)]) == 1


async def test_an_update_of_a_state_that_moved_on_is_refused(saver: SessionCheckpointSaver) -> None:
    graph = chat(saver)
    await graph.ainvoke(say("one"), thread("t"))
    read = await saver.aget_tuple(thread("t"))
    assert read is not None
    await graph.ainvoke(say("two"), thread("t"))
    with pytest.raises(TurnConflictError, match="nothing of this one was stored"):
        await saver.aput(read.config, {**read.checkpoint, "id": "2"}, {"source": "update", "step": 9}, {})
