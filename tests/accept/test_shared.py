"""Several processes and tasks on one session: turns in strict order, none lost, none doubled."""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager
from tests.accept.programs import PRELOAD, share
from tests.session.kit import in_database


@pytest.mark.accept
def test_four_processes_of_four_tasks_send_two_hundred_turns(own_folder: Path) -> None:
    _share(own_folder / "sessions.db", processes=4, tasks=4, turns=[12, 13, 12, 13])


def test_two_processes_of_two_tasks_share_a_new_session(own_folder: Path) -> None:
    _share(own_folder / "sessions.db", processes=2, tasks=2, turns=[3, 3])


def _share(path: Path, *, processes: int, tasks: int, turns: list[int]) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    running: list[tuple[BaseProcess, Connection]] = []
    for number in range(processes):
        heard, said = context.Pipe(duplex=False)
        process: BaseProcess = context.Process(target=share, args=(str(path), number, tasks, turns[number], said))
        process.start()
        said.close()
        running.append((process, heard))
    acknowledged: list[tuple[str, str]] = []
    for process, heard in running:
        with heard:
            assert heard.poll(120), "a process hangs"
            acknowledged += heard.recv()
        process.join(30)
        assert process.exitcode == 0
    assert len(acknowledged) == tasks * sum(turns)
    asyncio.run(_compare(path, acknowledged))


async def _compare(path: Path, acknowledged: list[tuple[str, str]]) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        session = await manager.get_session("s")
        messages = await session.get_messages()
        assert session.message_count == len(messages) == 2 * len(acknowledged)
    stored: list[tuple[str, str]] = []
    for question, answer in zip(messages[::2], messages[1::2], strict=True):
        assert answer.content == f"Mock response to: {question.content}"
        assert question.turn_id == answer.turn_id
        assert answer.parent_id == question.message_id
        stored.append((question.content, answer.message_id))
    assert sorted(stored) == sorted(acknowledged)
    for text, _ in stored:  # each task's turns are in the order it sent them
        task, _, number = text.rpartition("-")
        sent = [other for other, _ in stored if other.startswith(f"{task}-")]
        assert sent.index(text) == int(number)
    assert in_database(path, "SELECT * FROM session_waiters") == []
    assert in_database(path, "SELECT lease_turn_id FROM sessions") == [{"lease_turn_id": None}]
