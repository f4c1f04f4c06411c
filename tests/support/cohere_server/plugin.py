"""The pytest fixtures of the Cohere counterparty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import CohereServer


@pytest.fixture
def cohere_server() -> Iterator[CohereServer]:
    """Serve one test; afterwards every request must have been one a real server would take.

    A test that provokes violations picks them up with ``take_violations()``.
    """
    with CohereServer() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def cohere_environment(cohere_server: CohereServer, monkeypatch: pytest.MonkeyPatch) -> CohereServer:
    """Send the SDK's environment variables to the test's server, and return it."""
    for name, value in cohere_server.environment.items():
        monkeypatch.setenv(name, value)
    return cohere_server
