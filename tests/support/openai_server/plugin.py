"""The pytest fixtures of the OpenAI counterparty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import OpenAIServer


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """Serve one test; afterwards every request must have been one a real server would take.

    A test that provokes violations picks them up with ``take_violations()``.
    """
    with OpenAIServer() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def openai_environment(openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> OpenAIServer:
    """Send the SDK's environment variables to the test's server, and return it."""
    for name, value in openai_server.environment.items():
        monkeypatch.setenv(name, value)
    return openai_server
