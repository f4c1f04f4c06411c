"""A manager per test, on memory and on SQLite where that can matter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, create_session_manager

collect_ignore = ["google_adk"]  # in an environment of its own: `make adk`


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    """A manager on memory."""
    async with create_session_manager(storage="memory") as made:
        yield made


@pytest.fixture
async def durable(tmp_path: Path) -> AsyncIterator[SessionManager]:
    """A manager on a SQLite file."""
    async with create_session_manager(storage="sqlite", storage_config={"db_path": str(tmp_path / "chat.db")}) as made:
        yield made
