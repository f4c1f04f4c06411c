"""A clock that the tests turn, for everything that counts requests and failures."""

from __future__ import annotations

from collections.abc import Hashable

import pytest

from langswarm_sessions.interfaces.traffic import CircuitPolicy
from langswarm_sessions.turns.traffic import door, limiter, shared
from langswarm_sessions.turns.traffic.breaker import Circuit
from tests.e2e.openai_kit import manager, recorded, server
from tests.session.kit import backend, no_globals, open_manager
from tests.traffic.kit import Clock

__all__ = ["backend", "manager", "no_globals", "open_manager", "recorded", "server"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still but for what is slept in a line; then it jumps."""
    clock = Clock()
    monkeypatch.setattr("time.time", clock.time)
    monkeypatch.setattr(limiter, "sleep", clock.sleep)
    monkeypatch.setattr(door, "monotonic", clock.time)

    def make_circuit(key: tuple[Hashable, CircuitPolicy]) -> Circuit:
        return Circuit(key[1], clock=clock.time)

    monkeypatch.setattr(shared._circuits, "_make", make_circuit)
    return clock
