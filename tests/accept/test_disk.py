"""A disk that is full while turns run: typed errors, nothing by halves, and on it goes when there is room."""

from __future__ import annotations

import asyncio
import multiprocessing
import resource
import signal
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, StorageError
from langswarm_sessions.storage import SQLiteSessionStorage
from tests.session.kit import in_database


@pytest.mark.accept
@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
def test_a_file_that_may_grow_no_more(own_folder: Path, streamed: bool) -> None:
    _fill(own_folder / "sessions.db", turns=300, streamed=streamed)


def test_a_file_that_may_grow_no_more_for_a_while(own_folder: Path) -> None:
    _fill(own_folder / "sessions.db", turns=60, streamed=False)


def _fill(path: Path, *, turns: int, streamed: bool) -> None:
    """Send turns in a process whose files may not grow; compare what it was told with what is stored."""
    context = multiprocessing.get_context("spawn")
    heard, said = context.Pipe(duplex=False)
    process: BaseProcess = context.Process(target=send_until_full, args=(str(path), turns, streamed, said))
    process.start()
    said.close()
    with heard:
        assert heard.poll(120)
        acknowledged, refused, other = heard.recv()
    process.join(30)
    assert process.exitcode == 0
    assert other == []
    assert acknowledged
    assert refused, "the disk was never full"
    asyncio.run(_compare(path, acknowledged))


async def _compare(path: Path, acknowledged: list[str]) -> None:
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        session = await manager.get_session("s")
        reply = await session.send_message("room again")
        messages = await session.get_messages()
    done = [message.content for message in messages if message.role == "user" and message.status == "completed"]
    assert done == [*acknowledged, "room again"]
    assert reply.content == "Mock response to: room again"
    assert all(message.status != "pending" for message in messages)
    assert session.message_count == len(messages)
    assert in_database(path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]


def send_until_full(path: str, turns: int, streamed: bool, said: Connection) -> None:
    """Run in a process of its own: tell which turns were acknowledged, which refused, and what else was raised."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    said.send(asyncio.run(_send(path, turns, streamed)))
    said.close()


async def _send(path: str, turns: int, streamed: bool) -> tuple[list[str], list[str], list[str]]:
    acknowledged: list[str] = []
    refused: list[str] = []
    other: list[str] = []
    async with SessionManager(SQLiteSessionStorage(db_path=path), lease_seconds=0.2) as manager:
        session = await manager.create_session(
            "user", "mock", "m", session_id="s", provider_config={"response_pattern": "Mock response to: {input}"}
        )
        size = 1024 * 1024
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        for number in range(turns):
            text = f"{number} " + "x" * 20_000
            try:
                if streamed:
                    async for _ in session.send_message_stream(text):
                        pass
                else:
                    await session.send_message(text)
                acknowledged.append(text)
            except StorageError as error:
                refused.append(str(error))
                if len(refused) == 5:
                    break
            except Exception as error:  # noqa: BLE001 - told to the test
                other.append(repr(error))
    return acknowledged, refused, other
