"""SQLite files as they are found: in use, left by a program that died, of odd names, or none at all."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage, message_to_dict
from sqlalchemy import Connection

from langswarm_sessions import SessionManager
from langswarm_sessions.errors import ConfigurationError, StorageError
from langswarm_sessions.importing import ImportProgress
from langswarm_sessions.storage.foreign.database import ForeignDatabase
from tests.importing.written import adds_up, as_langchain, digests, write_rows, write_table

HI = json.dumps(message_to_dict(HumanMessage("hi")))
LONG = json.dumps(message_to_dict(HumanMessage("x" * 9000)))

PROGRAM_THAT_DIES = """
import os, sqlite3, sys
database = sqlite3.connect("chat.db", isolation_level=None)
database.execute(f"PRAGMA journal_mode={sys.argv[1]}")
database.execute("PRAGMA cache_size=1")
database.execute("INSERT INTO message_store (session_id, message) SELECT 'a', message FROM message_store LIMIT 1")
database.execute("BEGIN IMMEDIATE")
for _ in range(3):
    database.execute("UPDATE message_store SET message = message || 'torn'")
os._exit(9)
"""


def leave_unfinished(mode: str) -> None:
    """Let a program die while it writes; of a write-ahead log, leave what somebody copies to another machine."""
    died = subprocess.run([sys.executable, "-c", PROGRAM_THAT_DIES, mode], check=False, timeout=60)
    assert died.returncode == 9
    if mode == "wal":
        Path("chat.db-shm").unlink()


def spoil() -> None:
    """Write files that are no databases, or not whole."""
    Path("notes.txt").write_text("not a database " * 10)
    Path("empty.db").touch()
    write_rows("cut.db", [("a", HI * 100) for _ in range(100)])
    with Path("cut.db").open("r+b") as opened:
        opened.truncate(8192)


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_a_database_that_is_in_use_is_read_as_it_is(manager: SessionManager, mode: str) -> None:
    write_table("chat.db", {"a": [HumanMessage("one")]})
    with closing(sqlite3.connect("chat.db")) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
        assert database.execute("SELECT count(*) FROM message_store").fetchone() == (1,)
        assert (await manager.import_from("chat.db", user_id="ada")).messages_stored == 1
        write_table("chat.db", {"a": [HumanMessage("two")]})
        assert ("chat.db-wal" in digests()) == (mode == "wal")  # there it is, then, not in the file yet
        assert (await manager.import_from("chat.db", user_id="ada")).messages_stored == 1


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_nothing_can_be_written_to_a_source(mode: str) -> None:
    write_table("chat.db", {"a": [HumanMessage("one")]})
    with closing(sqlite3.connect("chat.db")) as database:
        database.execute(f"PRAGMA journal_mode={mode}")
    source = ForeignDatabase("sqlite:///chat.db")
    with pytest.raises(StorageError) as refused:
        await source.read(lambda connection: connection.exec_driver_sql("DELETE FROM message_store"))
    assert "readonly" in str(refused.value.__cause__)
    await source.close()


async def test_a_source_leaves_no_file_behind(manager: SessionManager) -> None:
    write_table("chat.db", {"a": [HumanMessage("one")]})
    with closing(sqlite3.connect("chat.db")) as database:
        database.execute("PRAGMA journal_mode=wal")
    before = digests()
    await manager.import_from("chat.db", user_id="ada")
    assert digests() == before
    assert sorted(before) == ["chat.db"]


async def test_a_file_of_any_name_is_opened(manager: SessionManager) -> None:
    write_rows("a b%20?#c.db", [("a", json.dumps(message_to_dict(HumanMessage("hi"))))])
    assert (await manager.import_from("a b%20?#c.db", user_id="ada")).messages_stored == 1


async def test_the_program_whose_file_it_is_can_write_meanwhile(manager: SessionManager) -> None:
    """In SQLite's default mode a reader with an open statement keeps every writer out."""
    write_rows("chat.db", [(name, HI) for name in ("a", "b", "c") for _ in range(300)])
    written: list[int] = []

    def write(progress: ImportProgress) -> None:
        with closing(sqlite3.connect("chat.db", timeout=0)) as database, database:
            database.execute("INSERT INTO message_store (session_id, message) VALUES ('later', ?)", [HI])
        written.append(progress.messages)

    for resume in (False, True):
        report = await manager.import_from("chat.db", user_id="ada", on_progress=write, resume=resume)
        assert adds_up(report)
        assert report.is_complete
    assert len(written) > 3
    assert report.messages_read >= 900 + len(written) - 2


@pytest.mark.parametrize("mode", ["wal", "delete"])
async def test_what_a_program_that_died_left_is_read_and_stays(manager: SessionManager, mode: str) -> None:
    write_rows("chat.db", [("a", LONG) for _ in range(30)])  # more than fits into its cache: torn pages are in the file
    leave_unfinished(mode)
    before = digests()
    assert len(before) == 2
    report = await manager.import_from("chat.db", user_id="ada")
    assert (report.messages_stored, report.is_complete) == (31, True)
    assert digests() == before


async def test_what_is_read_while_somebody_begins_to_write_is_read_again(manager: SessionManager) -> None:
    """A file nobody has open is read without locks: until somebody opens it, what was read may be torn."""
    write_rows("chat.db", [("a", HI), ("b", HI)])
    with closing(sqlite3.connect("chat.db")) as database:
        database.execute("PRAGMA journal_mode=wal")
    opened: list[sqlite3.Connection] = []
    source = ForeignDatabase("sqlite:///chat.db")

    def read(connection: Connection) -> Any:
        found = connection.exec_driver_sql("SELECT count(*) FROM message_store").scalar_one()
        if not opened:
            opened.append(sqlite3.connect("chat.db", isolation_level=None, check_same_thread=False))
            opened[0].execute("INSERT INTO message_store (session_id, message) VALUES ('c', ?)", [HI])
        return found

    assert await source.read(read) == 3
    assert await source.read(read) == 3
    await source.close()
    opened[0].close()


async def test_a_file_that_changes_whenever_it_is_read_is_told(manager: SessionManager) -> None:
    write_rows("chat.db", [("a", HI)])
    with closing(sqlite3.connect("chat.db")) as database:
        database.execute("PRAGMA journal_mode=wal")
    source = ForeignDatabase("sqlite:///chat.db")

    def read(connection: Connection) -> None:
        write_rows("chat.db", [("a", HI)])

    with pytest.raises(StorageError, match="less busy"):
        await source.read(read)
    await source.close()


async def test_what_is_no_database_is_told(manager: SessionManager) -> None:
    spoil()
    for name, said in (("notes.txt", "not a SQLite database"), ("empty.db", "It has no tables"), (".", "no file")):
        with pytest.raises(ConfigurationError, match=said):
            await manager.import_from(name, user_id="ada")
    with pytest.raises(StorageError, match=r"cut\.db cannot be read"):
        await manager.import_from("cut.db", user_id="ada")


async def test_large_messages_are_read_a_few_at_a_time(manager: SessionManager) -> None:
    image = json.dumps(message_to_dict(HumanMessage("x" * 100_000)))
    write_rows("chat.db", [("a", image) for _ in range(55)])
    done: list[int] = []
    report = await manager.import_from(
        "chat.db", user_id="ada", on_progress=lambda progress: done.append(progress.messages)
    )
    assert report.messages_stored == 55
    assert done[0] < 55
    assert len(await as_langchain(manager, "a")) == 55
