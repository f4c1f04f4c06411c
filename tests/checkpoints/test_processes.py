"""Two processes on one database: they wait for each other, and one that dies in the middle of a run loses nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import say, steps, sync_chat, texts, thread

OTHER = """
import asyncio, os, signal, sys, threading
from pathlib import Path
from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import say, steps, sync_chat, thread

folder = Path(sys.argv[1])
written = threading.Event()

class Dying(SessionCheckpointSaver):
    async def aput_writes(self, config, writes, task_id, task_path=""):
        await super().aput_writes(config, writes, task_id, task_path)
        if ("entries", ["second"]) in writes:
            written.set()

    async def aput(self, config, checkpoint, metadata, new_versions):
        if config["configurable"]["thread_id"] == "dying" and metadata["step"] == 2:
            await asyncio.to_thread(written.wait)  # what `second` wrote is stored, the checkpoint after it is not
            os.kill(os.getpid(), signal.SIGKILL)
        return await super().aput(config, checkpoint, metadata, new_versions)

def ran(name):
    with (folder / "ran").open("a") as file:
        file.write(name + "\\n")

saver = Dying(SessionManager("sqlite", storage_config={"db_path": folder / "shared.db"}, turn_wait=60))
chat = saver.ordered(sync_chat(saver))
for number in range(5):
    chat.invoke(say(f"a{number}"), thread("t"))
graph = saver.ordered(steps(saver, "first", "second", "third", run=ran))
graph.invoke({"entries": []}, thread("dying"), durability="sync")
"""


@dataclass(frozen=True)
class Outcome:
    """What the two processes left."""

    manager: SessionManager
    ran: list[str]
    returncode: int
    errors: str


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """Talk in a thread together with another process, which then dies in the middle of a run of its own."""
    folder, root = tmp_path_factory.mktemp("shared"), Path(__file__).parents[2]
    manager = SessionManager("sqlite", storage_config={"db_path": folder / "shared.db"}, turn_wait=60)
    saver = SessionCheckpointSaver(manager)
    with subprocess.Popen([sys.executable, "-c", OTHER, str(folder)], cwd=root, stderr=subprocess.PIPE) as other:
        while saver.get_tuple(thread("t")) is None and other.poll() is None:
            time.sleep(0.02)  # until the other one is on its way
        chat = saver.ordered(sync_chat(saver))
        for number in range(5):
            chat.invoke(say(f"b{number}"), thread("t"))
        _, errors = other.communicate(timeout=120)
    yield Outcome(manager, (folder / "ran").read_text().split(), other.returncode, errors.decode())
    manager.bridge.call(manager.close)


def test_processes_wait_for_each_other(outcome: Outcome) -> None:
    assert outcome.returncode == -signal.SIGKILL, outcome.errors
    said = texts(sync_chat(SessionCheckpointSaver(outcome.manager)).get_state(thread("t")).values)
    assert said[1::2] == [f"re: {text}" for text in said[::2]]
    for name in "ab":
        assert [text for text in said[::2] if text.startswith(name)] == [f"{name}{number}" for number in range(5)]


def test_a_node_that_had_finished_does_not_run_again_and_the_turn_is_free(outcome: Outcome) -> None:
    assert outcome.ran == ["first", "second"]
    manager, again = outcome.manager, list[str]()
    assert manager.bridge.call(manager.cleanup_inactive_sessions, 0) == 0, "the turn it held is no session"
    saver = SessionCheckpointSaver(manager)
    graph = saver.ordered(steps(saver, "first", "second", "third", run=again.append), wait=5)
    assert graph.invoke(None, thread("dying"))["entries"] == ["first", "second", "third"]
    assert again == ["third"]
