"""A manager per test, on memory and on a SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, create_session_manager


@pytest.fixture
async def manager(tmp_path: Path) -> AsyncIterator[SessionManager]:
    """A manager on a SQLite file."""
    made = create_session_manager(storage="sqlite", storage_config={"db_path": str(tmp_path / "chat.db")})
    yield made
    made.bridge.close()
    await made.close()
