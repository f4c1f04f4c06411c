"""Fixtures of tests/session/kit.py and a telemetry in memory, for this folder."""

from __future__ import annotations

import pytest

from tests.session.kit import backend, manager, no_globals, open_manager, session
from tests.support.recorded import Recorded

__all__ = ["backend", "manager", "no_globals", "open_manager", "recorded", "session"]


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()
