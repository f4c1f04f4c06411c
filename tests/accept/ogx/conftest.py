"""One ogx for the tests of this folder, with aimock as the model behind it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from langswarm_sessions import RetryPolicy, SessionManager
from tests.accept.ogx.ogx_server import OgxServer
from tests.session.kit import OpenManager
from tests.support.aimock import Aimock

PATIENT = RetryPolicy(max_attempts=100, initial_delay=0.2, max_delay=0.5, jitter=0)
"""Tries for as long as a restart takes."""


@pytest.fixture(scope="session")
def ogx_process(aimock_server: Aimock, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OgxServer]:
    """Start one ogx for the whole run, and kill it at the end."""
    server = OgxServer(folder=tmp_path_factory.mktemp("ogx"), upstream=aimock_server.base_url)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
def ogx(ogx_process: OgxServer, aimock: Aimock) -> OgxServer:
    """Lend a test the running ogx; the model behind it has nothing scripted."""
    return ogx_process


@pytest.fixture
def manager(ogx: OgxServer, open_manager: OpenManager) -> SessionManager:
    """A manager over a database file whose OpenAI is ogx."""
    # No circuit breaker: a restart is waited out with one attempt after the other.
    credential = {"api_key": "test", "base_url": ogx.base_url, "circuit_breaker": None}
    return open_manager("sqlite", providers={"openai": credential}, retry=PATIENT)
