"""The pytest fixtures of the Anthropic counterparty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import AnthropicServer


@pytest.fixture
def anthropic_server() -> Iterator[AnthropicServer]:
    """Serve one test; afterwards every request must have been one a real server would take.

    A test that provokes violations picks them up with ``take_violations()``.
    """
    with AnthropicServer() as server:
        yield server
    assert server.violations == []


@pytest.fixture
def anthropic_environment(anthropic_server: AnthropicServer, monkeypatch: pytest.MonkeyPatch) -> AnthropicServer:
    """Send the SDK's environment variables to the test's server, and return it."""
    for name, value in anthropic_server.environment.items():
        monkeypatch.setenv(name, value)
    return anthropic_server
