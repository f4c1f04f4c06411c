"""The pytest fixtures of the Mistral counterparty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .server import MistralServer


@pytest.fixture
def mistral_server() -> Iterator[MistralServer]:
    """Serve one test; afterwards every request must have been one a real server would take.

    A test that provokes violations picks them up with ``take_violations()``.
    """
    with MistralServer() as server:
        yield server
    assert server.violations == []
