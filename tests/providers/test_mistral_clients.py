"""Who may be asked, where, with which client: credentials, environment, settings."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import httpx2
import pytest
from mistralai.client import Mistral
from mistralai.client.utils import BackoffStrategy, RetryConfig

from langswarm_sessions.errors import AuthenticationError, ConfigurationError, ProviderUnavailableError
from langswarm_sessions.interfaces.provider import ProviderRequest
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers.base import collect
from langswarm_sessions.providers.mistral import MistralConnection, MistralProviderSession
from langswarm_sessions.providers.mistral.client import connect_mistral, server_address
from langswarm_sessions.records import NativeKind
from tests.support.mistral_server import MistralServer, faults
from tests.support.mistral_server.plugin import mistral_server
from tests.support.programs import ProgramRunner

__all__ = ["mistral_server"]

MODEL = "mistral-medium-latest"
EAGER = RetryConfig("backoff", BackoffStrategy(1, 10, 1.1, 1000), True)


async def ask(connection: MistralConnection, **config: Any) -> str | None:
    session = connection.open("session", MODEL, config)
    request = ProviderRequest(messages=(SessionMessage(role=Role.USER, content="hi"),))
    return (await collect(session.stream_turn(request), provider="mistral")).finish_reason


async def test_the_environment_stands_in_for_a_key(
    mistral_server: MistralServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect_mistral({"base_url": f"{mistral_server.base_url}/v1/"})
    with pytest.raises(ConfigurationError, match="MISTRAL_API_KEY"):
        connection.check(MODEL, {})
    monkeypatch.setenv("MISTRAL_API_KEY", mistral_server.api_key)
    connection.check(MODEL, {})
    assert await ask(connection) == "stop"
    await connection.aclose()
    mistral_server.wait_for_connections(0)


async def test_a_wrong_key_is_refused(mistral_server: MistralServer) -> None:
    connection = connect_mistral({**mistral_server.credential, "api_key": "wrong"})
    with pytest.raises(AuthenticationError, match="MISTRAL_API_KEY"):
        await ask(connection)
    await connection.aclose()


async def test_a_session_may_have_an_address_of_its_own(mistral_server: MistralServer) -> None:
    connection = connect_mistral({"api_key": mistral_server.api_key, "base_url": "http://127.0.0.1:9"})
    assert await ask(connection, base_url=f"{mistral_server.base_url}/v1") == "stop"
    with pytest.raises(ProviderUnavailableError):
        await ask(connection)
    assert connection.endpoint(None) == ("127.0.0.1", 9)
    await connection.aclose()


async def test_headers_go_with_every_request(mistral_server: MistralServer) -> None:
    connection = connect_mistral({**mistral_server.credential, "default_headers": {"x-team": "blue"}})
    await ask(connection)
    assert mistral_server.requests[-1].headers["x-team"] == "blue"
    await connection.aclose()


async def test_a_ready_made_client_is_used_without_its_retries(mistral_server: MistralServer) -> None:
    given = Mistral(api_key=mistral_server.api_key, server_url=mistral_server.base_url, retry_config=EAGER)
    connection = connect_mistral(given)
    connection.check(MODEL, {})
    assert connection.endpoint(None)[0] == "127.0.0.1"
    mistral_server.fault(faults.http_error(503))
    with pytest.raises(ProviderUnavailableError):
        await ask(connection)
    assert len(mistral_server.requests) == 1
    assert await ask(connection) == "stop"
    await connection.aclose()


async def test_a_pool_of_the_users_own_is_used_and_left_open(mistral_server: MistralServer) -> None:
    async with httpx2.AsyncClient() as http:
        given = Mistral(
            api_key=mistral_server.api_key,
            server_url=mistral_server.base_url,
            async_client=http,
            retry_config=EAGER,
        )
        connection = connect_mistral(given)
        mistral_server.fault(faults.http_error(503))
        with pytest.raises(ProviderUnavailableError):
            await ask(connection)
        assert len(mistral_server.requests) == 1
        assert await ask(connection) == "stop"
        await connection.aclose()
        assert not http.is_closed


def test_each_loop_has_its_own_pool(mistral_server: MistralServer) -> None:
    connection = connect_mistral(mistral_server.credential)
    for _ in range(2):
        assert asyncio.run(ask(connection)) == "stop"
        mistral_server.wait_for_connections(0)


LAZY = """
import sys
from langswarm_sessions.providers.mistral.client import connect_mistral
connect_mistral("key").open("session", "any-model", {"temperature": 1})
print([name for name in sys.modules if name.startswith(("mistralai", "httpx2", "pydantic."))])
"""


def test_the_sdk_loads_only_when_it_is_used(run_program: ProgramRunner) -> None:
    assert run_program([sys.executable, "-c", LAZY], seconds=30).strip() == "[]"


@pytest.mark.parametrize(
    ("credential", "word"),
    [
        (7, "give a key"),
        ({"api_key": "two words\n"}, "api_key"),
        ({"server_url": "http://x"}, "server_url"),
        ({"base_url": "nowhere"}, "base_url"),
    ],
)
def test_wrong_credentials_are_refused_by_name(credential: object, word: str) -> None:
    with pytest.raises(ConfigurationError, match=word):
        connect_mistral(credential)


def test_settings_are_checked_for_what_mistral_keeps(caplog: pytest.LogCaptureFixture) -> None:
    connection = connect_mistral("key")
    for config in ({"native": "node"}, {"native": "ephemeral"}):
        with pytest.raises(ConfigurationError, match=r"'log'.*'none'"):
            connection.check(MODEL, config)
    with pytest.raises(ConfigurationError, match="store"):
        connection.check(MODEL, {"native": "log", "store": False})
    kinds = [connection.open("s", MODEL, config).profile.native for config in KINDS]
    assert kinds == [NativeKind.LOG, NativeKind.LOG, NativeKind.NONE, NativeKind.NONE]
    with caplog.at_level(logging.WARNING):
        connection.check(MODEL, {"user": "ada", "verbosity": "low", "temperature": 1})
    assert "user, verbosity" in caplog.text


KINDS: list[dict[str, Any]] = [{}, {"native": "log"}, {"native": "none"}, {"store": False}]


async def test_built_by_hand_it_keeps_the_conversation(mistral_server: MistralServer) -> None:
    session = MistralProviderSession("by hand", MODEL, credential=mistral_server.credential)
    await session.send_message("one")
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert session.provider_session_id == mistral_server.conversations[0].id
    await session.cleanup_provider_resources()
    mistral_server.wait_for_connections(0)


def test_addresses() -> None:
    assert {server_address(f"https://x{end}") for end in ("", "/", "/v1", "/v1/")} == {"https://x"}
