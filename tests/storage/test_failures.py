"""A broken disk, a foreign file or a wrong value: a typed error that says what to do, nothing half-done."""

# ruff: noqa: ASYNC240 - a test may wait for its own small files

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import Connection

from langswarm_sessions.errors import ConfigurationError, InvalidInputError, SchemaError, SessionError, StorageError
from langswarm_sessions.messages import TurnState
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.storage.sql.errors import path_of_surrogate
from langswarm_sessions.testing.storage_kit import StorageKit, instructions, said, session_record, texts

Rows = Callable[..., list[tuple[Any, ...]]]
Program = Callable[..., subprocess.Popen[str]]

READ_ONLY = """
import asyncio, os, sys
from langswarm_sessions.errors import StorageError
from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit, session_record
folder = sys.argv[1]
async def main():
    warm = SQLiteSessionStorage(f"{folder}/warm.db")  # everything is imported before rights are given up
    await warm.insert_session(session_record("s"))
    await warm.close()
    frozen, locked = f"{folder}/frozen.db", f"{folder}/locked"
    first = SQLiteSessionStorage(frozen)
    await first.insert_session(session_record("s"))
    await first.close()
    os.chmod(frozen, 0o444)
    os.mkdir(locked)
    os.chmod(locked, 0o555)
    os.chmod(folder, 0o555)
    if os.geteuid() == 0:
        for name in (folder, os.path.dirname(folder), os.path.dirname(os.path.dirname(folder))):
            os.chmod(name, os.stat(name).st_mode | 0o055)
        os.seteuid(65534)
    for path in (frozen, f"{locked}/new.db", f"{locked}/deeper/new.db"):
        storage = SQLiteSessionStorage(path)
        for attempt in range(2):
            try:
                await storage.insert_session(session_record("another"))
                print("stored?!")
            except StorageError as error:
                print(type(error).__name__, error.retryable, error)
        await storage.close()
asyncio.run(main())
"""


async def test_a_full_disk_stores_nothing_and_recovers(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    await kit.turn("question", "answer")
    before = await kit.record()

    def limit(connection: Connection, pages: int) -> None:
        raw = connection.connection.driver_connection
        assert isinstance(raw, sqlite3.Connection)
        raw.execute(f"PRAGMA max_page_count={pages}")

    await storage._runner.write(limit, 1)
    turn = await kit.begin("fits")
    with pytest.raises(StorageError, match="disk is full") as caught:
        await kit.finish(turn, "x" * 500_000)
    assert caught.value.retryable
    with pytest.raises(StorageError, match="disk is full"):
        await kit.append("fits", "x" * 500_000)
    assert texts(await kit.transcript()) == ["question", "answer", "fits"]
    await storage._runner.write(limit, 2**30)
    await kit.finish(turn, "x" * 500_000)
    assert (await kit.record()).counters.messages == before.counters.messages + 2


async def test_a_disk_that_fills_under_the_file(program: Program, tmp_path: Path, rows: Rows) -> None:
    source = """
import asyncio, resource, signal, sys
from langswarm_sessions.errors import StorageError
from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    storage = SQLiteSessionStorage(f"{sys.argv[1]}/sessions.db")
    kit = await StorageKit.of_new_session(storage)
    await kit.turn("question", "answer")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    stored = 0
    try:
        for stored in range(1000):
            await kit.append("x" * 10_000)
    except StorageError as error:
        print(type(error).__name__, error.retryable, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await kit.append("room again")
    print(stored)
    await storage.close()
asyncio.run(main())
"""
    out, errors = await asyncio.to_thread(program(source).communicate, timeout=60)
    first, stored = out.splitlines() if out.count("\n") == 2 else (errors, "0")
    assert first.startswith("StorageError True"), first
    assert int(stored) > 5
    path = tmp_path / "sessions.db"
    assert rows(path, "SELECT messages FROM sessions") == [(int(stored) + 3,)]
    assert rows(path, "SELECT count(*) FROM messages") == [(int(stored) + 3,)]
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


async def test_read_only_files_and_folders(program: Program) -> None:
    out, errors = await asyncio.to_thread(program(READ_ONLY).communicate, timeout=60)
    lines = out.splitlines()
    assert len(lines) == 6, errors
    for line in lines:
        assert line.startswith("StorageError False"), line
        assert any(word in line for word in ("writable", "opened", "reached")), line


@pytest.mark.parametrize("size", [10, 5_000])
async def test_a_file_that_is_no_database(db: Path, size: int) -> None:
    db.write_bytes(b"certainly not a database " * size)
    storage = SQLiteSessionStorage(db)
    for _ in range(2):
        with pytest.raises(SchemaError, match="not a SQLite database"):
            await storage.load_session("s")
    await storage.close()
    assert db.read_bytes().startswith(b"certainly")


async def test_a_damaged_file(db: Path) -> None:
    storage = SQLiteSessionStorage(db)
    kit = await StorageKit.of_new_session(storage, session_id="s")
    await kit.append(*("x" * 500 for _ in range(500)))
    await storage.close()
    data = bytearray(db.read_bytes())
    for page in range(3, len(data) // 4096):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    db.write_bytes(data)
    storage = SQLiteSessionStorage(db)
    with pytest.raises(StorageError, match="damaged"):
        await StorageKit(storage, "s", kit.moment).transcript()
    await storage.close()


async def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    storage = SQLiteSessionStorage(tmp_path)
    with pytest.raises(StorageError, match="opened"):
        await storage.load_session("s")
    await storage.close()
    (tmp_path / "file").write_text("")
    below = SQLiteSessionStorage(tmp_path / "file" / "sessions.db")
    with pytest.raises(StorageError, match="db_path"):
        await below.load_session("s")
    await below.close()


async def test_another_process_that_keeps_the_file_locked(db: Path) -> None:
    storage = SQLiteSessionStorage(db, pool_timeout=0.05)
    kit = await StorageKit.of_new_session(storage)
    with closing(sqlite3.connect(db, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked") as caught:
            await kit.begin("hello")
        assert caught.value.retryable
        assert await kit.transcript() == []  # readers do not wait for writers
        other.execute("ROLLBACK")
    await kit.turn("hello", "answer")
    await storage.close()


async def test_a_backup_while_turns_go_on(storage: SQLiteSessionStorage, kit: StorageKit, tmp_path: Path) -> None:
    await kit.append(*("x" * 1_000 for _ in range(2_000)))
    done = asyncio.Event()

    async def talk() -> int:
        number = 0
        while not done.is_set():
            await kit.turn(f"question {number}", f"answer {number}")
            number += 1
        return number

    talking = asyncio.ensure_future(talk())
    copies = [await storage.backup(tmp_path / f"copy{number}.db") for number in range(3)]
    done.set()
    turns = await talking
    assert turns > 0
    for copy in copies:
        opened = SQLiteSessionStorage(copy)
        messages = await StorageKit(opened, "s", kit.moment).transcript()
        record = await opened.load_session("s")
        assert record is not None
        assert record.counters.messages == len(messages) >= 2_000
        await opened.close()
    assert not list(tmp_path.glob("*.part*"))


async def test_a_backup_that_fails_leaves_no_file(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    with pytest.raises(StorageError, match=r"^/proc/nowhere/copy\.db: "):
        await storage.backup("/proc/nowhere/copy.db")
    for wrong in (None, 5, "", "a\0b"):
        with pytest.raises(InvalidInputError, match="path must be"):
            await storage.backup(cast("Any", wrong))
    await kit.turn("still", "works")


async def test_text_that_is_not_unicode_names_its_field(kit: StorageKit) -> None:
    bad = "half an emoji \ud83d"
    with pytest.raises(InvalidInputError, match=r"inputs\[1\]\.content"):
        await kit.begin("fine", bad)
    with pytest.raises(InvalidInputError, match=r"inputs\[0\]\.metadata\.deep\[0\]"):
        await kit.begin(inputs=(said("fine", metadata={"deep": [bad]}),))
    with pytest.raises(InvalidInputError, match=r"instructions\.content"):
        await kit.begin("fine", instructions=instructions(bad))
    turn = await kit.begin("fine")
    with pytest.raises(InvalidInputError, match=r"answers\[0\]\.content"):
        await kit.finish(turn, bad)
    await kit.finish(turn, state=TurnState.FAILED, usage=None)
    with pytest.raises(InvalidInputError, match="user_id"):
        await kit.storage.insert_session(session_record(user_id=bad))
    assert path_of_surrogate({"a": ({"\ud800": 1},)}) == "a[0].(key)"
    assert path_of_surrogate({"a": [1, b"x", None, "fine"]}) is None


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", {"k": complex(1, 2)}, {(1, 2): 3}])
async def test_values_that_are_not_json_are_refused_by_name(kit: StorageKit, value: object) -> None:
    with pytest.raises(InvalidInputError, match="metadata: must be plain JSON"):
        await kit.begin(inputs=(said("x", metadata={"k": value}),))
    assert await kit.transcript() == []
    await kit.turn("works", "again")


async def test_numbers_that_are_too_large_are_refused(kit: StorageKit) -> None:
    with pytest.raises(InvalidInputError, match="64 bits"):
        await kit.append("x", tokens=2**70)
    assert await kit.transcript() == []


async def test_no_error_tells_what_was_said(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    canary = "canary-7d1f"

    def drop(connection: Connection) -> None:
        connection.exec_driver_sql("DROP TABLE messages")

    await storage._runner.write(drop)
    with pytest.raises(SchemaError, match="db check") as caught:
        await kit.begin(canary)
    error: BaseException | None = caught.value
    while error is not None:
        assert canary not in str(error) + repr(error)
        error = error.__cause__
    with pytest.raises(SessionError) as listed:
        await storage.insert_session(session_record(context={"secret": canary, "bad": object()}))
    error = listed.value
    while error is not None:
        assert canary not in str(error) + repr(error)
        error = error.__cause__


async def test_unforeseen_failures_of_a_unit_roll_back(storage: SQLiteSessionStorage, kit: StorageKit) -> None:
    def half_done(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE sessions SET user_id = 'nobody'")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await storage._runner.write(half_done)
    assert (await kit.record()).user_id == "user"
    assert os.path.exists(storage.db_path)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e12, -1, True, "1"])
def test_a_wait_sqlite_would_take_for_none_is_refused(db: Path, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="pool_timeout must be a number of seconds, 0 to"):
        SQLiteSessionStorage(db, pool_timeout=seconds)


async def test_the_longest_wait_is_waited(db: Path) -> None:
    storage = SQLiteSessionStorage(db, pool_timeout=2_147_483)

    def busy_timeout(connection: Connection) -> object:
        return connection.exec_driver_sql("PRAGMA busy_timeout").scalar()

    assert await storage._runner.read(busy_timeout) == 2_147_483_000
    await storage.close()


async def test_the_simple_methods_refuse_what_is_no_role_and_no_time(storage: SQLiteSessionStorage) -> None:
    await storage.create_session("s", "user", "mock", "m")
    await storage.add_message("s", {"role": "user", "content": "said"})
    with pytest.raises(InvalidInputError, match="role must be one of"):
        await storage.get_messages("s", role="bogus")
    with pytest.raises(InvalidInputError, match="since must be a datetime"):
        await storage.get_messages("s", since=cast("Any", "yesterday"))
    assert [message["content"] for message in await storage.get_messages("s", role="user")] == ["said"]


async def test_the_simple_methods_refuse_what_they_cannot_store(storage: SQLiteSessionStorage) -> None:
    with pytest.raises(InvalidInputError, match="context must be a dict"):
        await storage.create_session("s", "user", "mock", "m", context=cast("Any", 5))
    await storage.create_session("s", "user", "mock", "m")
    with pytest.raises(InvalidInputError, match="message must be a SessionMessage or a dict"):
        await storage.add_message("s", cast("Any", 5))
    assert await storage.get_messages("s") == []
