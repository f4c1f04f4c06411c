"""Fixtures of the command line's tests."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from langswarm_sessions import BlockingSessionManager, create_session_manager


@contextmanager
def _opened(path: Path) -> Generator[BlockingSessionManager]:
    with create_session_manager("sqlite", storage_config={"db_path": str(path)}, blocking=True) as manager:
        yield manager


@pytest.fixture
def library() -> Iterator[BlockingSessionManager]:
    """The library on the database that the command line uses by default."""
    with _opened(Path("langswarm_sessions.db")) as manager:
        yield manager


@pytest.fixture
def talked(library: BlockingSessionManager) -> str:
    """The id of a session with two turns."""
    session = library.create_session(
        "ada", "mock", "mock-model", session_id="notes", session_config={"name": "Notes", "tags": ["a", "b"]}
    )
    session.send_message("first")
    session.send_message("second")
    return session.session_id
