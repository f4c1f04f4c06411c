"""Sessions whose telemetry is kept in memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from langswarm_sessions import RetryPolicy, SessionManager
from tests.support.recorded import Recorded


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OTEL_", "LANGSWARM_SESSIONS_")):
            monkeypatch.delenv(name)


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def manager(recorded: Recorded) -> AsyncIterator[SessionManager]:
    retry = RetryPolicy(max_attempts=2, initial_delay=0, jitter=0)
    async with SessionManager("memory", telemetry=recorded.telemetry(), retry=retry) as manager:
        yield manager
