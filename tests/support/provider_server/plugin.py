"""The pytest fixtures every counterparty has, made from its class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest

from .server import ProviderServer

ServerT = TypeVar("ServerT", bound=ProviderServer[Any, Any])


def server_fixture(make: Callable[[], ServerT], *, name: str) -> Callable[..., Iterator[ServerT]]:
    """Return the fixture that serves one test; afterwards every request must have been one a real server would take.

    A test that provokes violations picks them up with ``take_violations()``.
    """

    @pytest.fixture(name=name)
    def serve() -> Iterator[ServerT]:
        with make() as server:
            yield server
        assert server.violations == [], server.violations

    return serve


def environment_fixture(*, name: str, server: str) -> Callable[..., Any]:
    """Return the fixture that sends the SDK's environment variables to the test's server, and is that server."""

    @pytest.fixture(name=name)
    def direct(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
        found = request.getfixturevalue(server)
        for variable, value in found.environment.items():
            monkeypatch.setenv(variable, value)
        return found

    return direct
