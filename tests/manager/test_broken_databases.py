"""Databases that cannot be used: a typed error that names file and remedy, and nothing half-written."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions import SchemaError, SessionManager, StorageError
from tests.session.kit import AT_ONCE, leftovers


def _content(path: Path) -> object:
    """Return what a file holds: a database's tables (opening one may change its header), other files' bytes."""
    if not path.is_file():
        return None
    if not path.read_bytes().startswith(b"SQLite format 3"):
        return path.read_bytes()
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()


async def _refuses(path: Path, error: type[StorageError], message: str) -> None:
    before = _content(path)
    manager = SessionManager("sqlite", storage_config={"db_path": str(path), "pool_timeout": 1})
    try:
        with pytest.raises(error, match=message) as caught:
            await manager.create_session("user", "mock", "m")
        assert type(caught.value) is error
        health = await manager.health_check()
        assert health["status"] == "unhealthy"
        assert health["storage"]["error"]
    finally:
        await manager.close()
    assert _content(path) == before


async def test_a_file_that_is_no_database_is_left_alone(own_folder: Path) -> None:
    path = own_folder / "notes.db"
    path.write_bytes(b"these are my notes, not a database " * 100)
    await _refuses(path, SchemaError, r"not a SQLite database. Point db_path at another file")


async def test_a_database_of_another_program_is_left_alone(own_folder: Path) -> None:
    path = own_folder / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE sessions (id INTEGER PRIMARY KEY, what TEXT)")
    connection.commit()
    connection.close()
    await _refuses(path, SchemaError, r"tables of another program. Use a file of its own")


async def test_a_newer_schema_is_a_schema_error(own_folder: Path) -> None:
    path = own_folder / "newer.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path), "enable_wal": False}) as manager:
        await manager.create_session("user", "mock", "m")
    connection = sqlite3.connect(path)
    connection.execute("UPDATE langswarm_sessions_schema SET version_num = '9999'")
    connection.commit()
    connection.close()
    await _refuses(path, SchemaError, r"'9999'.*Upgrade langswarm-sessions")


async def test_a_path_that_is_a_folder_is_named(own_folder: Path) -> None:
    path = own_folder / "folder.db"
    path.mkdir()
    await _refuses(path, StorageError, re.escape(f"{path}: ") + r".*cannot be opened. Check that its folder")


async def test_a_folder_that_cannot_be_made_is_named(own_folder: Path) -> None:
    (own_folder / "file").write_text("in the way")
    await _refuses(own_folder / "file" / "sessions.db", StorageError, r"folder|file")


async def test_a_read_only_database_is_readable_and_refuses_writes(own_folder: Path) -> None:
    """Enforced by SQLite itself, since root may write read-only files."""
    path = own_folder / "sessions.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        await session.send_message("before")
        storage: Any = manager._services.storage
        await storage._runner.write(_forbid_writing)
        for attempt in (session.send_message("x"), session.archive(), session.update_context({"a": 1})):
            with pytest.raises(StorageError, match=r"cannot be written. Make the file and its folder writable"):
                await attempt
        assert [message.content for message in await session.get_messages()] == ["before", "Mock response to: before"]
        assert len(session.provider_session.requests) == 1


async def test_a_full_disk_stores_nothing_by_halves_and_is_got_over(own_folder: Path) -> None:
    """SQLite's own limit of pages stands in for the disk's: the same error, at the same place."""
    path = own_folder / "sessions.db"
    async with SessionManager("sqlite", storage_config={"db_path": str(path)}, retry=AT_ONCE) as manager:
        session = await manager.create_session("user", "mock", "m", session_id="s")
        storage: Any = manager._services.storage

        def limit(connection: Any, pages: int) -> None:
            used = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {used + pages}")

        await storage._runner.write(limit, 3)
        answered = failed = 0
        for number in range(40):
            outcome = await _outcome(session.send_message(f"{number} " + "x" * 2000))
            assert outcome is None or "full" in outcome
            answered += outcome is None
            failed += outcome is not None
        assert answered
        assert failed
        await storage._runner.write(limit, 1000)
        assert (await session.send_message("room again")).content == "Mock response to: room again"
        messages = await session.get_messages()
        assert sum(message.status == "completed" and message.role == "user" for message in messages) == answered + 1
        for message in messages:
            assert message.status != "pending"
        assert session.message_count == len(messages)
        assert not await leftovers(manager)


def _forbid_writing(connection: Any) -> None:
    connection.exec_driver_sql("PRAGMA query_only = 1")


async def _outcome(turn: Awaitable[object]) -> str | None:
    try:
        await turn
    except StorageError as error:
        return str(error)
    return None
