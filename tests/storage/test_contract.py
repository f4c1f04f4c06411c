"""The built-in storages keep the storages' contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from langswarm_sessions.interfaces.storage import EngineStorage
from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions.testing.storage import SharedStorageContract, StorageContract


class TestMemory(StorageContract):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[EngineStorage]:
        storage = InMemorySessionStorage()
        yield storage
        await storage.close()


class TestSQLite(StorageContract, SharedStorageContract):
    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Callable[[], EngineStorage]:
        return lambda: SQLiteSessionStorage(tmp_path / "folder" / "sessions.db")

    @pytest.fixture
    async def storage(self, make_storage: Callable[[], EngineStorage]) -> AsyncIterator[EngineStorage]:
        storage = make_storage()
        yield storage
        await storage.close()


class TestSQLiteWithoutWal(StorageContract, SharedStorageContract):
    @pytest.fixture
    def make_storage(self, tmp_path: Path) -> Callable[[], EngineStorage]:
        return lambda: SQLiteSessionStorage(
            tmp_path / "sessions.db", enable_wal=False, auto_vacuum=True, durability="full", pool_size=1, max_overflow=0
        )

    @pytest.fixture
    async def storage(self, make_storage: Callable[[], EngineStorage]) -> AsyncIterator[EngineStorage]:
        storage = make_storage()
        yield storage
        await storage.close()
