"""Fixtures of tests/session/kit.py, for this folder, and a session on each way to give a model its conversation."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import Session, SessionManager
from tests.session.kit import backend, manager, no_globals, open_manager

__all__ = ["WAYS", "backend", "manager", "no_globals", "open_manager", "way"]

WAYS: dict[str, dict[str, Any]] = {
    "node": {},
    "log": {"provider_config": {"native": "log"}},
    "client": {"strategy": "client"},
}


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each way in turn, as arguments of create_session."""
    return WAYS[str(request.param)]


@pytest.fixture
async def session(manager: SessionManager, way: dict[str, Any]) -> Session:
    """A mock session on each way, over each built-in storage."""
    return await manager.create_session("user", "mock", "m", session_id="s", **way)
