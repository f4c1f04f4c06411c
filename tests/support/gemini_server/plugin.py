"""The pytest fixtures of the Gemini counterparty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import GeminiServer


@pytest.fixture
def gemini_server() -> Iterator[GeminiServer]:
    """Serve one test; afterwards every request must have been one the SDK's own types allow."""
    with GeminiServer() as server:
        yield server
    assert server.journal.violations == []


@pytest.fixture
def gemini_environment(gemini_server: GeminiServer, monkeypatch: pytest.MonkeyPatch) -> GeminiServer:
    """Send the SDK's environment variables to the test's server, and return it."""
    for name, value in gemini_server.environment.items():
        monkeypatch.setenv(name, value)
    return gemini_server
