"""Writes of tasks are kept once, and threads outlive the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import chat, say, texts, thread


async def test_writes_are_stored_once_per_task_and_place(saver: SessionCheckpointSaver) -> None:
    graph = chat(saver)
    await graph.ainvoke(say("one"), thread("t"))
    read = await saver.aget_tuple(thread("t"))
    assert read is not None
    await saver.aput_writes(read.config, [("a", 1), ("b", 2)], "task")
    await saver.aput_writes(read.config, [("a", 9), ("b", 9), ("c", 3)], "task")
    await saver.aput_writes(read.config, [("__interrupt__", "old")], "task")
    await saver.aput_writes(read.config, [("__interrupt__", "new")], "task")
    again = await saver.aget_tuple(thread("t"))
    assert again is not None
    assert again.pending_writes == [
        ("task", "__interrupt__", "new"),
        ("task", "a", 1),
        ("task", "b", 2),
        ("task", "c", 3),
    ]


async def test_threads_outlive_the_process_that_made_them(tmp_path: Path) -> None:
    state: dict[str, Any] = {}
    for number in range(3):
        async with SessionManager("sqlite", storage_config={"db_path": tmp_path / "s.db"}) as manager:
            graph = chat(SessionCheckpointSaver(manager))
            state = await graph.ainvoke(say(f"n{number}"), thread("t"))
    assert texts(state) == ["n0", "re: n0", "n1", "re: n1", "n2", "re: n2"]
