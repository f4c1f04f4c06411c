"""What the tests of checkpoints share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager
from langswarm_sessions_langchain.checkpoints import SessionCheckpointSaver


@pytest.fixture(params=["memory", "sqlite"])
async def manager(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SessionManager]:
    """A manager on each storage that keeps checkpoints."""
    config = {"db_path": tmp_path / "sessions.db"} if request.param == "sqlite" else {}
    async with SessionManager(request.param, storage_config=config, turn_wait=20) as manager:
        yield manager


@pytest.fixture
def saver(manager: SessionManager) -> SessionCheckpointSaver:
    """A saver on each storage."""
    return SessionCheckpointSaver(manager)
