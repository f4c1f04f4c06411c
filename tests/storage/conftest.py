"""What the tests of storages share."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from langswarm_sessions.storage import SQLiteSessionStorage
from langswarm_sessions.testing.storage_kit import StorageKit

Program = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """The path of a database file that does not exist yet."""
    return tmp_path / "sessions.db"


@pytest.fixture
async def storage(db: Path) -> AsyncIterator[SQLiteSessionStorage]:
    """An open storage in a file."""
    storage = SQLiteSessionStorage(db)
    yield storage
    await storage.close()


@pytest.fixture
async def kit(storage: SQLiteSessionStorage) -> StorageKit:
    """A new session in a file."""
    return await StorageKit.of_new_session(storage, session_id="s")


@pytest.fixture
def rows() -> Callable[..., list[tuple[Any, ...]]]:
    """Read a database file with nothing but sqlite3."""

    def read(path: Path, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(statement).fetchall()

    return read


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Start a Python program of its own; its first argument is `tmp_path`."""

    def start(source: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error::ResourceWarning", "-c", source, str(tmp_path), *arguments]
        root = str(Path(__file__).parents[2])
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=root
        )

    return start
