"""What a turn stores, and what is left after removing: bytes and rows."""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict, cast

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.channels.delta import DeltaChannel  # pyright: ignore[reportMissingTypeStubs]
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from sqlalchemy import LargeBinary

from langswarm_sessions import SessionManager
from langswarm_sessions.storage.sql.checkpoints.tables import metadata
from langswarm_sessions.storage.sql.types import Payload
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import chat, in_a_row, say, texts, thread


async def statistics(saver: SessionCheckpointSaver) -> dict[str, Any]:
    store = saver.manager._services.storage.checkpoints
    assert store is not None
    return await store.statistics()


async def grown(saver: SessionCheckpointSaver, graph: Any, number: int) -> int:
    before = await statistics(saver)
    await graph.ainvoke(say(f"question {number:04d}"), thread("t"))
    after = await statistics(saver)
    return sum(after[name] - before[name] for name in ("value_bytes", "write_bytes", "checkpoint_bytes"))


@pytest.mark.parametrize("reopened", [False, True])
async def test_a_turn_stores_what_it_adds_however_long_the_thread_is(tmp_path: Path, reopened: bool) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": tmp_path / "s.db"}) as manager:
        saver = SessionCheckpointSaver(manager)
        sizes: list[int] = []
        for number in range(20):
            if reopened:
                saver = SessionCheckpointSaver(manager)
            sizes.append(await grown(saver, chat(saver, size=1000), number))
        said = texts((await chat(saver).aget_state(thread("t"))).values)
    assert len(said) == 40
    assert max(sizes[5:]) <= min(sizes[5:]) + 64
    assert max(sizes[5:]) < 12_000, "less than what the twelve messages before it hold"


async def test_what_another_version_lacks_is_read_back_whole(saver: SessionCheckpointSaver) -> None:
    reference, graph = chat(InMemorySaver(), size=300), chat(saver, size=300)
    for one in (reference, graph):
        for number in range(6):
            await one.ainvoke(say(f"n{number}"), thread("t"))
        messages = (await one.aget_state(thread("t"))).values["messages"]
        await one.aupdate_state(thread("t"), {"messages": [RemoveMessage(id=messages[4].id)]})
        await one.aupdate_state(
            thread("t"), {"messages": [AIMessage("changed" * 100, id=messages[7].id), HumanMessage("x" * 400)]}
        )
        for number in range(3):
            await one.ainvoke(say(f"later {number}"), thread("t"))
    expected = [texts(state.values) async for state in reference.aget_state_history(thread("t")) if state.values]
    found = [texts(state.values) async for state in graph.aget_state_history(thread("t")) if state.values]
    assert found == expected
    fresh = SessionCheckpointSaver(saver.manager)
    assert [
        texts(state.values) async for state in chat(fresh).aget_state_history(thread("t")) if state.values
    ] == expected


def _appended(state: list[str], writes: Sequence[list[str]]) -> list[str]:
    return [*state, *(entry for write in writes for entry in write)]


def _step(state: dict[str, Any]) -> dict[str, Any]:
    return {"log": [f"{'x' * 400} step {state['count']}"], "count": 1}


def delta_graph(saver: BaseCheckpointSaver[Any], *, every: int = 1000) -> Any:
    log = Annotated[list[str], DeltaChannel(_appended, snapshot_frequency=every)]
    fields = {"log": log, "count": Annotated[int, operator.add]}
    state = cast("Any", TypedDict)("State", fields)
    return in_a_row(state, saver, step=_step)


@pytest.mark.parametrize("every", [1000, 3])
async def test_delta_channels_are_rebuilt_and_store_what_is_new(saver: SessionCheckpointSaver, every: int) -> None:
    graph, reference = delta_graph(saver, every=every), delta_graph(InMemorySaver(), every=every)
    sizes: list[int] = []
    for number in range(9):
        before = await statistics(saver)
        for one in (graph, reference):
            await one.ainvoke({"log": [f"in {number}"], "count": 0}, thread("t"))
        after = await statistics(saver)
        sizes.append(sum(after[name] - before[name] for name in ("value_bytes", "write_bytes")))
    expected = (await reference.aget_state(thread("t"))).values
    assert len(expected["log"]) == 18
    assert (await graph.aget_state(thread("t"))).values == expected
    assert graph.get_state(thread("t")).values == expected
    assert [state.values async for state in graph.aget_state_history(thread("t"))] == [
        state.values async for state in reference.aget_state_history(thread("t"))
    ]
    assert max(sizes[6:]) < 4_000


async def test_a_long_history_is_read_in_few_statements(tmp_path: Path) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": tmp_path / "s.db"}) as manager:
        saver = SessionCheckpointSaver(manager)
        graph = delta_graph(saver)
        counts: list[int] = []
        for turns in (3, 15):  # three checkpoints each
            for number in range(turns):
                await graph.ainvoke({"log": [f"in {number}"], "count": 0}, thread("t"))
            store: Any = manager._services.storage.checkpoints
            statements: list[str] = []
            await store._runner.read(_trace, statements.append)
            found = await saver.aget_delta_channel_history(config=thread("t"), channels=["log"])
            await store._runner.read(_trace, None)
            counts.append(len([text for text in statements if text.startswith(("SELECT", "WITH"))]))
        assert len(found["log"]["writes"]) == 36
        assert counts[1] <= counts[0] + 4, "pages of ancestors, not one after the other"


def _trace(connection: Any, callback: Any) -> None:
    connection.connection.driver_connection.set_trace_callback(callback)


def test_all_that_users_say_passes_one_type_of_column() -> None:
    columns = [column for table in metadata.tables.values() for column in table.columns]
    held = [column for column in columns if isinstance(column.type, LargeBinary | Payload)]
    assert len(held) == 4
    assert all(isinstance(column.type, Payload) for column in held)


async def test_pruning_keeps_what_delta_channels_are_rebuilt_from(saver: SessionCheckpointSaver) -> None:
    graph = delta_graph(saver, every=5)
    for number in range(7):
        await graph.ainvoke({"log": [f"in {number}"], "count": 0}, thread("t"))
    expected = (await graph.aget_state(thread("t"))).values
    before = await statistics(saver)
    await saver.aprune(["t"])
    after = await statistics(saver)
    assert len([found async for found in saver.alist(thread("t"))]) == 1
    assert (await graph.aget_state(thread("t"))).values == expected
    assert after["checkpoints"] < before["checkpoints"]
    await graph.ainvoke({"log": ["in 7"], "count": 0}, thread("t"))
    said = (await graph.aget_state(thread("t"))).values["log"]
    assert said[: len(expected["log"])] == expected["log"]
    assert len(said) == len(expected["log"]) + 2


async def test_removing_the_checkpoints_of_runs_keeps_what_others_share(saver: SessionCheckpointSaver) -> None:
    for graph, name in ((chat(saver, size=400), "list"), (delta_graph(saver), "delta")):
        for number in range(4):
            given = say(f"n{number}") if name == "list" else {"log": [f"n{number}"], "count": 0}
            await graph.ainvoke(given, {**thread(name), "metadata": {"run_id": f"{name}{number}"}})
        expected = (await graph.aget_state(thread(name))).values
        await saver.adelete_for_runs([f"{name}0", f"{name}2"])
        runs = {(found.metadata or {}).get("run_id") async for found in saver.alist(thread(name))}
        assert runs == {f"{name}1", f"{name}3"}
        assert (await graph.aget_state(thread(name))).values == expected


async def test_nothing_is_left_of_a_thread_that_was_deleted(saver: SessionCheckpointSaver) -> None:
    await chat(saver).ainvoke(say("one"), thread("t"))
    await saver.acopy_thread("t", "copy")
    figures = await saver.manager._services.storage.statistics()
    assert (figures["checkpoint_threads"], figures["checkpoints"]) == (2, 6)
    await saver.adelete_thread("t")
    assert texts((await chat(saver).aget_state(thread("copy"))).values) == ["one", "re: one"]
    await saver.adelete_thread("copy")
    assert set((await statistics(saver)).values()) == {0}


async def test_pruning_leaves_one_checkpoint_and_gives_space_back(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with SessionManager("sqlite", storage_config={"db_path": path}) as manager:
        saver = SessionCheckpointSaver(manager)
        graph = chat(saver, size=500)
        for number in range(8):
            await graph.ainvoke(say(f"n{number}"), thread("t"))
        expected = texts((await graph.aget_state(thread("t"))).values)
        await saver.aprune(["t"])
        assert texts((await graph.aget_state(thread("t"))).values) == expected
        await graph.ainvoke(say("on"), thread("t"))
        assert texts((await graph.aget_state(thread("t"))).values)[:-2] == expected
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM checkpoints").fetchone() == (4,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_a_value_whose_version_has_anothers_name_is_kept_too(saver: SessionCheckpointSaver) -> None:
    """Two branches of a thread with whole numbers for versions, as some savers have them."""
    root = await saver.aput(thread("t", checkpoint_ns=""), _checkpoint("1", {"x": "root"}, {"x": 1}), {}, {"x": 1})
    for name in ("2", "3"):
        branch = await saver.aput(root, _checkpoint(name, {"x": f"of {name}"}, {"x": 2}), {}, {"x": 2})
        await saver.aput(branch, _checkpoint(f"{name}b", {"x": f"of {name}"}, {"x": 2}), {}, {})
    for name in ("2", "3", "2b", "3b"):
        found = await saver.aget_tuple(thread("t", checkpoint_ns="", checkpoint_id=name))
        assert found is not None
        assert found.checkpoint["channel_values"] == {"x": f"of {name[0]}"}


def _checkpoint(checkpoint_id: str, values: dict[str, Any], versions: dict[str, Any]) -> Any:
    return {
        "v": 1,
        "id": checkpoint_id,
        "ts": "2026-01-01T00:00:00+00:00",
        "channel_values": values,
        "channel_versions": versions,
        "versions_seen": {},
        "updated_channels": None,
    }
