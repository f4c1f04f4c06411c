"""A manager and a service per test, on a file that others can open.

These tests run by themselves (`make adk`), without what those of the providers stand on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from langswarm_sessions import SessionManager, create_session_manager
from langswarm_sessions_frameworks.google_adk import AdkSessionService
from tests.support import network


def pytest_configure() -> None:
    """Refuse what leaves this machine."""
    network.forbid_foreign_hosts()


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


@pytest.fixture
def service(manager: SessionManager) -> AdkSessionService:
    """The service."""
    return AdkSessionService(manager)
