"""The published suite of storages that keep checkpoints, on every one we have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions.storage import InMemorySessionStorage, SQLiteSessionStorage
from langswarm_sessions.testing.storage import CheckpointContract


class TestMemory(CheckpointContract):
    @pytest.fixture
    async def storage(self) -> AsyncIterator[InMemorySessionStorage]:
        storage = InMemorySessionStorage()
        yield storage
        await storage.close()


class TestSQLite(CheckpointContract):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[SQLiteSessionStorage]:
        storage = SQLiteSessionStorage(tmp_path / "sessions.db")
        yield storage
        await storage.close()
