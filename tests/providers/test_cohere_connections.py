"""What the Cohere provider takes as a credential, and where its requests go then."""

from __future__ import annotations

import asyncio
import sys

import httpx
import pytest
from cohere import AsyncClientV2, ClientV2

from langswarm_sessions.errors import ConfigurationError, MissingDependencyError
from langswarm_sessions.providers.cohere import CohereProviderSession
from langswarm_sessions.providers.cohere.client import CohereConnection, connect_cohere
from langswarm_sessions.providers.cohere.profile import DEFAULT_BASE_URL
from tests.support.cohere_server import CohereServer

pytest_plugins = ["tests.support.cohere_server.plugin"]

MODEL = "command-a-03-2025"


async def hear(connection: CohereConnection, **config: object) -> str:
    return (await connection.open("s", MODEL, config).send_message("hi")).content


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (3, "give a key"),
        ("co-canary-é", "api_key"),
        ("co-canary\nsecond line", "api_key"),
        ({"api_kee": "co-canary"}, "api_kee"),
        ({"base_url": "nonsense"}, "base_url"),
        ({"timeout": -1}, "timeout"),
        ({"default_headers": {"x-team": "co-canary-é"}}, "default_headers"),
        ({"client": "x"}, "client"),
        (ClientV2("co-canary"), "AsyncClientV2"),
    ],
)
def test_other_credentials_are_refused(given: object, named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"cohere.*{named}") as caught:
        connect_cohere(given)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("variable", ["CO_API_KEY", "COHERE_API_KEY"])
async def test_both_variables_of_the_sdk_hold_the_key(
    variable: str, cohere_server: CohereServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect_cohere(None)
    with pytest.raises(ConfigurationError, match="CO_API_KEY"):
        connection.check(MODEL, {})
    monkeypatch.setenv("CO_API_URL", cohere_server.base_url)
    monkeypatch.setenv(variable, cohere_server.api_key)
    connection.check(MODEL, {})
    assert await hear(connection) == "[1] You said: hi"
    await connection.aclose()


@pytest.mark.parametrize(
    ("variable", "value"), [("CO_API_KEY", "é"), ("COHERE_API_KEY", "é"), ("CO_API_URL", "nonsense")]
)
async def test_a_wrong_environment_is_refused_by_the_name_of_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "CO_API_URL":
        monkeypatch.setenv("CO_API_KEY", "co-1")
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=variable):
        await hear(connect_cohere(None))


def test_where_requests_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert connect_cohere("co-1").endpoint(None) == ("api.cohere.com", 443)
    assert DEFAULT_BASE_URL == "https://api.cohere.com"
    given = connect_cohere(AsyncClientV2("co-1", base_url="http://127.0.0.1:81"))
    assert given.endpoint(None) == ("127.0.0.1", 81)
    assert given.endpoint("http://127.0.0.1:82") == ("127.0.0.1", 82)
    monkeypatch.setenv("CO_API_URL", "http://127.0.0.1:83")
    assert connect_cohere("co-1").endpoint(None) == ("127.0.0.1", 83)


async def test_a_session_has_its_own_address_and_headers_go_along(cohere_server: CohereServer) -> None:
    connection = connect_cohere(
        {"api_key": cohere_server.api_key, "base_url": "http://127.0.0.1:9", "default_headers": {"x-team": "blue"}}
    )
    for _ in range(2):
        assert await hear(connection, base_url=cohere_server.base_url) == "[1] You said: hi"
    assert [record.headers["x-team"] for record in cohere_server.requests] == ["blue", "blue"]
    assert cohere_server.open_connections == 1
    await connection.aclose()
    await asyncio.to_thread(cohere_server.wait_for_connections, 0)


async def test_a_ready_made_client_is_used_as_it_is_and_stays_open(cohere_server: CohereServer) -> None:
    pool = httpx.AsyncClient(headers={"x-mine": "yes"})
    client = AsyncClientV2(cohere_server.api_key, base_url=cohere_server.base_url, httpx_client=pool)
    connection = connect_cohere(client)
    connection.check(MODEL, {})
    assert await hear(connection) == "[1] You said: hi"
    assert await hear(connection, base_url=f"{cohere_server.base_url}/") == "[1] You said: hi"
    assert [record.headers["x-mine"] for record in cohere_server.requests] == ["yes", "yes"]
    await connection.aclose()
    assert not pool.is_closed
    await pool.aclose()


def test_each_loop_has_its_own_pool_and_closes_it(cohere_server: CohereServer) -> None:
    connection = connect_cohere({"api_key": cohere_server.api_key, "base_url": cohere_server.base_url})
    for _ in range(2):
        assert asyncio.run(hear(connection)) == "[1] You said: hi"
        cohere_server.wait_for_connections(0)


async def test_built_by_hand_it_owns_its_connection(cohere_environment: CohereServer) -> None:
    session = CohereProviderSession("s", MODEL)
    assert (await session.send_message("hi")).content == "[1] You said: hi"
    await session.cleanup_provider_resources()
    await asyncio.to_thread(cohere_environment.wait_for_connections, 0)
    with pytest.raises(ConfigurationError, match="temperature"):
        CohereProviderSession("s", MODEL, {"temprature": 1})


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "cohere"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr("langswarm_sessions.providers.credentials.find_spec", dict[str, object]().get)
    with pytest.raises(MissingDependencyError, match=r"langswarm-sessions\[cohere\]"):
        connect_cohere("co-1").check(MODEL, {})


def test_settings_without_effect_are_said_once(caplog: pytest.LogCaptureFixture) -> None:
    connection = connect_cohere("co-1")
    for _ in range(2):
        connection.check(MODEL, {"assistant_id": "a", "user": "u", "temperature": 0.3})
    assert [record.getMessage() for record in caplog.records] == [
        "provider_config of cohere: assistant_id, user: kept, but without effect there."
    ]
