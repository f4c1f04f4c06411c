"""A process that dies in the middle of a run: what had finished does not run again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import chat, say, steps, texts, thread

DYING = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import steps, thread

folder = Path(sys.argv[1])

written = threading.Event()

class Dying(SessionCheckpointSaver):
    async def aput_writes(self, config, writes, task_id, task_path=""):
        await super().aput_writes(config, writes, task_id, task_path)
        if ("entries", ["second"]) in writes:
            written.set()

    async def aput(self, config, checkpoint, metadata, new_versions):
        if metadata["step"] == 2:  # what `second` wrote is stored, the checkpoint after it is not
            await asyncio.to_thread(written.wait)
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().aput(config, checkpoint, metadata, new_versions)

def ran(name):
    with (folder / "ran").open("a") as file:
        file.write(name + "\\n")

saver = Dying(SessionManager("sqlite", storage_config={"db_path": folder / "sessions.db"}))
steps(saver, "first", "second", "third", run=ran).invoke({"entries": []}, thread("t"), durability="sync")
"""


def test_a_node_that_had_finished_does_not_run_again(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    process = subprocess.run(
        [sys.executable, "-c", DYING, str(tmp_path)], cwd=root, stderr=subprocess.PIPE, timeout=120
    )
    assert process.returncode == -signal.SIGKILL, process.stderr.decode()
    assert (tmp_path / "ran").read_text().split() == ["first", "second"]
    again: list[str] = []
    manager = SessionManager("sqlite", storage_config={"db_path": tmp_path / "sessions.db"})
    graph = steps(SessionCheckpointSaver(manager), "first", "second", "third", run=again.append)
    assert graph.invoke(None, thread("t"))["entries"] == ["first", "second", "third"]
    assert again == ["third"]
    manager.bridge.call(manager.close)


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
