"""The threads behind a storage: closed, forked and left while they are at work."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from langswarm_sessions.errors import StorageError
from langswarm_sessions.ids import now
from langswarm_sessions.records import BeginTurn, Begun, Busy, Recorded
from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions.storage.sql.begin import begin_turn
from langswarm_sessions.storage.sql.workers import Workers
from langswarm_sessions.testing.storage_kit import StorageKit, session_record, texts

Program = Callable[..., subprocess.Popen[str]]
Rows = Callable[..., list[tuple[Any, ...]]]

FORKED_MEANWHILE = """
import asyncio, os, sys, threading
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.storage.sql import workers
from langswarm_sessions.testing.storage_kit import session_record
workers._FORK_WAIT_S = 0.05  # a unit that takes longer than a fork waits
storage = SQLiteSessionStorage(f"{sys.argv[1]}/sessions.db")
begun, go = threading.Event(), threading.Event()
def long(_):
    begun.set()
    go.wait(30)
    return "done"
async def main():
    await storage.check_health()
    running = asyncio.create_task(storage._runner.write(long))
    await asyncio.to_thread(begun.wait, 30)
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    go.set()
    print(await asyncio.wait_for(running, 30))
    await storage.insert_session(session_record("s"))
    print((await storage.load_session("s")).session_id)
    await storage.close()
asyncio.run(main())
"""


def test_a_unit_that_outlasts_a_fork_comes_back(program: Program) -> None:
    out, errors = program(FORKED_MEANWHILE).communicate(timeout=60)
    assert out.split() == ["done", "s"], errors
    assert not errors


async def test_a_call_that_meets_the_closing_is_answered(
    storage: SQLiteSessionStorage, kit: StorageKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure = Workers._ensure_worker
    closing = threading.Thread(target=lambda: asyncio.run(storage.close()))

    def ensure_then_close(workers: Workers) -> bool:
        ready = ensure(workers)
        if not closing.ident:
            closing.start()
            closing.join(timeout=0.1)  # either it ends here, or it waits until the call is queued
        return ready

    monkeypatch.setattr(Workers, "_ensure_worker", ensure_then_close)
    assert await asyncio.wait_for(storage.load_session(kit.session_id), 20) is not None
    await asyncio.to_thread(closing.join)


@pytest.mark.parametrize("kind", [SQLiteSessionStorage, InMemorySessionStorage])
async def test_after_the_closing_every_call_is_refused(
    kind: type[SQLiteSessionStorage] | type[InMemorySessionStorage], own_folder: Path
) -> None:
    before = set(threading.enumerate())
    storage = kind()
    kit = await StorageKit.of_new_session(storage, session_id="s")
    turn = await kit.begin("question")
    await asyncio.gather(storage.close(), storage.close())
    await storage.close()
    calls = [storage.load_session("s"), storage.insert_session(session_record()), kit.finish(turn, "late")]
    for call in calls:
        with pytest.raises(StorageError, match="closed"):
            await call
    with pytest.raises(StorageError, match="closed"):
        await asyncio.to_thread(storage.beat, [turn.lease], now())
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("langswarm-sessions-writer")]


async def test_an_undoing_that_fails_is_logged(
    storage: SQLiteSessionStorage, kit: StorageKit, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def held_up(connection: Connection, begin: BeginTurn) -> Begun | Recorded | Busy:
        outcome = begin_turn(connection, begin)
        begun.set()
        go.wait(20)
        return outcome

    def broken(*_: object) -> None:
        raise ZeroDivisionError("said in the turn")

    monkeypatch.setattr("langswarm_sessions.storage.sql.storage.begin_turn", held_up)
    monkeypatch.setattr("langswarm_sessions.storage.sql.storage.abandon_turn", broken)
    with caplog.at_level(logging.WARNING, logger="langswarm_sessions.storage"):
        beginning = asyncio.create_task(kit.begin("question"))
        await asyncio.to_thread(begun.wait, 20)
        beginning.cancel()
        await asyncio.gather(beginning, return_exceptions=True)
        go.set()
        await storage._runner.write(lambda _: None)  # after the undoing
    assert [record.getMessage() for record in caplog.records] == [
        "What a caller that went away had begun could not be undone (ZeroDivisionError)."
    ]


async def test_a_waiter_cancelled_before_its_next_look_leaves_the_line(
    storage: SQLiteSessionStorage, kit: StorageKit, rows: Rows, db: Path
) -> None:
    turn = await kit.begin("holds the session")
    waiting = await storage.begin_turn(kit.beginning("waits"))
    assert isinstance(waiting, Busy)
    begun, go = threading.Event(), threading.Event()

    def in_the_way(_: Connection) -> None:
        begun.set()
        go.wait(20)

    blocker = asyncio.create_task(storage._runner.write(in_the_way))
    await asyncio.to_thread(begun.wait, 20)
    again = asyncio.create_task(storage.begin_turn(replace(kit.beginning("waits"), ticket=waiting.ticket)))
    await asyncio.sleep(0)  # it is queued behind the other
    again.cancel()
    go.set()
    assert isinstance((await asyncio.gather(again, return_exceptions=True))[0], asyncio.CancelledError)
    await blocker
    assert rows(db, "SELECT count(*) FROM session_waiters") == [(0,)]
    await kit.finish(turn, "answer")
    assert isinstance(await storage.begin_turn(kit.beginning("next")), Begun)
    assert texts(await kit.transcript()) == ["holds the session", "answer", "next"]
