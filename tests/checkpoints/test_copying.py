"""Threads of other savers come over whole, once, and their databases stay as they are."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.types import Command, interrupt

from langswarm_sessions import ImportFormatError, InvalidInputError
from langswarm_sessions_langchain.checkpoints import CopyProgress, CopyReport, SessionCheckpointSaver
from tests.checkpoints.graphs import Chat, chat, in_a_row, say, steps, sync_chat, texts, thread


def asking(saver: BaseCheckpointSaver[Any]) -> Any:
    """Return a graph that waits for a human in its second node."""
    return in_a_row(Chat, saver, ask=_ask)


def _ask(_: Chat) -> dict[str, Any]:
    return {"messages": [HumanMessage(f"human said {interrupt('well?')}")]}


async def fill(saver: BaseCheckpointSaver[Any]) -> None:
    graph = chat(saver, size=200)
    for name in ("a", "b"):
        for number in range(3):
            await graph.ainvoke(say(f"{name}{number}"), thread(name))
    early = [state async for state in graph.aget_state_history(thread("a"))][4]
    await graph.ainvoke(say("a branch"), early.config)
    await asking(saver).ainvoke(say("to a human"), thread("asked"))


async def told(saver: BaseCheckpointSaver[Any], name: str) -> list[Any]:
    """Return all that a saver tells of a thread."""
    graph = chat(saver)
    return [
        (
            state.config["configurable"]["checkpoint_id"],
            None if state.parent_config is None else state.parent_config["configurable"]["checkpoint_id"],
            texts(state.values) if state.values else None,
            state.metadata,
            state.next,
            state.created_at,
        )
        async for state in graph.aget_state_history(thread(name))
    ]


@pytest.fixture(params=["memory saver", "async sqlite saver", "sqlite saver", "sqlite file"])
async def source(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, dict[str, list[Any]]]]:
    """What is copied, and what it tells of its threads."""
    path = str(tmp_path / "theirs.db")
    if request.param == "memory saver":
        memory = InMemorySaver()
        await fill(memory)
        yield memory, {name: await told(memory, name) for name in ("a", "b", "asked")}
        return
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await fill(saver)
        stories = {name: await told(saver, name) for name in ("a", "b", "asked")}
        if request.param == "async sqlite saver":
            yield saver, stories
    if request.param == "sqlite saver":
        with SqliteSaver.from_conn_string(path) as blocking:
            yield blocking, stories
    elif request.param == "sqlite file":
        yield path, stories


async def test_threads_come_over_whole_and_only_once(
    saver: SessionCheckpointSaver, source: tuple[Any, dict[str, list[Any]]]
) -> None:
    given, stories = source
    total = sum(map(len, stories.values()))
    seen: list[CopyProgress] = []
    dry = await saver.acopy_from(given, dry_run=True)
    assert (dry.threads, dry.checkpoints, dry.copied, dry.dry_run) == (3, total, total, True)
    assert [found async for found in saver.alist(None)] == []
    report = await saver.acopy_from(given, on_progress=seen.append)
    assert report == CopyReport(
        threads=3, checkpoints=total, copied=total, already_there=0, writes=dry.writes, diverged=0, dry_run=False
    )
    assert seen[-1] == CopyProgress(total, total)
    assert len(seen) == total
    assert {name: await told(saver, name) for name in stories} == stories
    again = await saver.acopy_from(given)
    assert (again.copied, again.already_there, again.writes) == (0, total, 0)


async def test_a_copied_thread_goes_on(saver: SessionCheckpointSaver) -> None:
    theirs = InMemorySaver()
    await fill(theirs)
    await saver.acopy_from(theirs)
    await chat(saver).ainvoke(say("on"), thread("b"))
    assert texts((await chat(saver).aget_state(thread("b"))).values)[-2:] == ["on", "re: on"]
    answered = await asking(saver).ainvoke(Command(resume="yes"), thread("asked"))
    assert texts(answered)[-1] == "human said yes"


async def test_a_copy_that_was_broken_off_is_finished_by_the_next(saver: SessionCheckpointSaver) -> None:
    theirs = InMemorySaver()
    await fill(theirs)

    def breaking(progress: CopyProgress) -> None:
        if progress.done == 5:
            raise KeyError("broken off")

    with pytest.raises(KeyError):
        await saver.acopy_from(theirs, on_progress=breaking)
    report = await saver.acopy_from(theirs)
    assert report.already_there == 5
    assert report.copied == report.checkpoints - 5
    assert await told(saver, "a") == await told(theirs, "a")


async def test_a_thread_that_went_on_at_both_ends_loses_neither(saver: SessionCheckpointSaver) -> None:
    theirs = InMemorySaver()
    await chat(theirs).ainvoke(say("before"), thread("t"))
    await saver.acopy_from(theirs)
    await chat(saver).ainvoke(say("here"), thread("t"))
    await chat(theirs).ainvoke(say("there"), thread("t"))
    report = await saver.acopy_from(theirs)
    assert (report.copied, report.already_there, report.diverged) == (3, 3, 1)
    state = await chat(saver).aget_state(thread("t"))
    assert texts(state.values) == ["before", "re: before", "here", "re: here"], "the newest is still the one from here"
    there = await chat(saver).aget_state((await chat(theirs).aget_state(thread("t"))).config)
    assert texts(there.values) == ["before", "re: before", "there", "re: there"]
    assert (await saver.acopy_from(theirs)).diverged == 0
    await chat(theirs).ainvoke(say("new"), thread("other"))
    assert (await saver.acopy_from(theirs)).diverged == 0
    assert texts((await chat(saver).aget_state(thread("other"))).values) == ["new", "re: new"]


async def test_a_file_that_is_written_to_meanwhile_is_read_with_locks(
    saver: SessionCheckpointSaver, tmp_path: Path
) -> None:
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other AS SELECT zeroblob(400000) AS filler")
        connection.commit()
    with SqliteSaver.from_conn_string(str(path)) as theirs:
        sync_chat(theirs).invoke(say("one"), thread("t"))

    def move_everything(progress: CopyProgress) -> None:
        if progress.done == 1:
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("DROP TABLE other")
                connection.execute("VACUUM")

    report = await saver.acopy_from(path, on_progress=move_everything)
    assert report.copied == 3
    assert texts((await chat(saver).aget_state(thread("t"))).values) == ["one", "re: one"]


def test_copying_has_a_blocking_face(saver: SessionCheckpointSaver, tmp_path: Path) -> None:
    with SqliteSaver.from_conn_string(str(tmp_path / "theirs.db")) as theirs:
        sync_chat(theirs).invoke(say("one"), thread("t"))
        seen: list[CopyProgress] = []
        assert saver.copy_from(theirs, on_progress=seen.append).copied == len(seen) == 3
    assert texts(sync_chat(saver).get_state(thread("t")).values) == ["one", "re: one"]


async def test_the_original_is_left_as_it_is(saver: SessionCheckpointSaver, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as theirs:
        await fill(theirs)

    def state() -> dict[str, tuple[str, int]]:
        return {
            file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
            for file in tmp_path.glob("theirs*")
        }

    before = state()
    await saver.acopy_from(path)
    assert state() == before
    assert list(before) == ["theirs.db"]


async def test_copied_lists_share_what_they_have_in_common(saver: SessionCheckpointSaver, tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    async with AsyncSqliteSaver.from_conn_string(str(path)) as theirs:
        for number in range(15):
            await chat(theirs, size=2000).ainvoke(say(f"n{number}"), thread("t"))
    await saver.acopy_from(path)
    store = saver.manager._services.storage.checkpoints
    assert store is not None
    counts = await store.statistics()
    assert sum(counts[name] for name in counts if name.endswith("_bytes")) < path.stat().st_size / 4


async def test_copies_belong_to_the_savers_user(saver: SessionCheckpointSaver) -> None:
    theirs = InMemorySaver()
    await steps(theirs, "one").ainvoke({"entries": []}, thread("t"))
    await saver.for_user("alice").acopy_from(theirs)
    assert [found async for found in saver.alist(None)] == []
    assert (await steps(saver, "one").aget_state(thread("t", user_id="alice"))).values == {"entries": ["one"]}


async def test_what_is_no_source_is_refused(saver: SessionCheckpointSaver, tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE x (y)").connection.close()
    for source, error in (
        (tmp_path / "missing.db", InvalidInputError),
        (tmp_path / "empty.db", ImportFormatError),
        (42, InvalidInputError),
    ):
        with pytest.raises(error):
            await saver.acopy_from(source)  # type: ignore[arg-type]
    assert not (tmp_path / "missing.db").exists()
