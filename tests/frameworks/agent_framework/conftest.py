"""A manager per test, on a file that another one can open."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, create_session_manager


@pytest.fixture
def db_path(tmp_path: Path) -> str:
    """Where the sessions are."""
    return str(tmp_path / "chat.db")


@pytest.fixture
async def manager(db_path: str) -> AsyncIterator[SessionManager]:
    """A manager on a SQLite file."""
    made = create_session_manager(storage="sqlite", storage_config={"db_path": db_path})
    yield made
    await made.close()
