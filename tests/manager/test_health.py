"""A health check tells what is wrong; it never raises."""

from __future__ import annotations

from typing import Any

import pytest

from langswarm_sessions import SessionError, SessionManager, StorageError


@pytest.mark.parametrize("error", [SessionError("it is down"), StorageError("it is down")])
async def test_a_storage_that_does_not_work_is_told_of(
    manager: SessionManager, monkeypatch: pytest.MonkeyPatch, error: SessionError
) -> None:
    async def fails() -> Any:
        raise error

    monkeypatch.setattr(manager._services.storage, "check_health", fails)
    health = await manager.health_check()
    assert (health["status"], health["storage"]["error"]) == ("unhealthy", "it is down")
    assert health["providers"] == ["mock"]
