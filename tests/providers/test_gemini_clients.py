"""Gemini's credentials, settings and SDK clients: what is let in, what is shared, what is closed."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import httpx2
import pytest
from google.genai import Client
from google.genai.types import HttpOptions, HttpRetryOptions

from langswarm_sessions.errors import ConfigurationError, RateLimitError
from langswarm_sessions.providers.gemini import GeminiProviderSession
from langswarm_sessions.providers.gemini.client import connect_gemini
from langswarm_sessions.records import NativeKind
from tests.support.gemini_server import GeminiServer, faults
from tests.support.gemini_server.plugin import gemini_environment, gemini_server

__all__ = ["gemini_environment", "gemini_server"]

MODEL = "gemini-4-carbon"


async def test_the_environment_lets_in(gemini_environment: GeminiServer) -> None:
    connection = connect_gemini(None)
    connection.check(MODEL, {})
    assert (await connection.open("s", MODEL, {}).send_message("hi")).content == "[1] You said: hi"
    await connection.aclose()
    gemini_environment.wait_for_connections(0)


async def test_googles_own_variable_goes_first(
    gemini_environment: GeminiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_API_KEY", gemini_environment.api_key)
    monkeypatch.setenv("GEMINI_API_KEY", "another")
    session = GeminiProviderSession("s", MODEL)
    assert (await session.send_message("hi")).content
    await session.cleanup_provider_resources()
    gemini_environment.wait_for_connections(0)


@pytest.mark.parametrize("name", ["GOOGLE_API_KEY", "GEMINI_API_KEY"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "kéy")
    with pytest.raises(ConfigurationError, match=name) as caught:
        connect_gemini(None).check(MODEL, {})
    assert "kéy" not in str(caught.value)


def test_without_a_key_the_variable_is_named() -> None:
    with pytest.raises(ConfigurationError, match="GEMINI_API_KEY"):
        connect_gemini(None).check(MODEL, {})


def test_what_is_no_credential_is_refused() -> None:
    for wrong in (3, {"key": "x"}, {"api_key": ""}, object()):
        with pytest.raises(ConfigurationError, match="gemini"):
            connect_gemini(wrong)


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"native": "log"}, "'node', 'none'"),
        ({"native": "ephemeral"}, "'node', 'none'"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"response_format": "yaml"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "schema"),
        ({"temprature": 1}, "temperature"),
        ({"api_key": "x"}, "providers="),
    ],
)
def test_settings_gemini_has_not_are_refused(config: dict[str, Any], match: str) -> None:
    with pytest.raises(ConfigurationError, match=match):
        connect_gemini("key").check(MODEL, config)


def test_settings_without_effect_are_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    connection = connect_gemini("key")
    with caplog.at_level(logging.WARNING):
        connection.check(MODEL, {"top_k": 3, "metadata": {"a": "b"}})
        connection.check(MODEL, {"top_k": 4})
        connection.check(MODEL, {"native": "none", "top_k": 3, "presence_penalty": 1})
    assert [record.getMessage() for record in caplog.records] == [
        "provider_config of gemini: metadata, top_k: kept, but without effect there."
    ]


def test_the_profile_follows_the_settings() -> None:
    connection = connect_gemini("key")
    kinds = [
        connection.open("s", MODEL, config).profile.native
        for config in ({}, {"native": "node"}, {"native": "none"}, {"store": False}, {"store": True})
    ]
    assert kinds == [NativeKind.NODE, NativeKind.NODE, NativeKind.NONE, NativeKind.NONE, NativeKind.NODE]


@pytest.mark.parametrize("config", [{}, {"native": "none"}], ids=["interactions", "generate_content"])
async def test_a_ready_made_client_keeps_its_settings_but_not_its_retries(
    config: dict[str, Any], gemini_server: GeminiServer
) -> None:
    options = HttpOptions(
        base_url=gemini_server.base_url,
        api_version="v1beta",
        headers={"x-mine": "yes"},
        retry_options=HttpRetryOptions(attempts=4, initial_delay=0),
    )
    given = Client(api_key=gemini_server.api_key, http_options=options)
    connection = connect_gemini(given)
    connection.check(MODEL, config)
    session = connection.open("s", MODEL, config)
    assert session.endpoint() == ("127.0.0.1", int(gemini_server.base_url.rsplit(":", 1)[1]))
    gemini_server.fault(faults.rate_limit(0))
    with pytest.raises(RateLimitError):
        await session.send_message("hi")
    assert (await session.send_message("hi")).content
    assert len(gemini_server.asked) == 2
    assert {record.headers["x-mine"] for record in gemini_server.asked} == {"yes"}
    assert all(record.path.startswith("/v1beta/") for record in gemini_server.asked)
    await connection.aclose()
    gemini_server.wait_for_connections(0)
    given.close()


async def test_a_pool_of_the_users_own_is_used_and_left_open(gemini_server: GeminiServer) -> None:
    async with httpx2.AsyncClient() as pool:
        options = HttpOptions(base_url=gemini_server.base_url, httpx_async_client=pool)
        connection = connect_gemini(Client(api_key=gemini_server.api_key, http_options=options))
        assert (await connection.open("s", MODEL, {}).send_message("hi")).content
        assert (await connection.open("s", MODEL, {"native": "none"}).send_message("hi")).content
        await connection.aclose()
        assert not pool.is_closed
    gemini_server.wait_for_connections(0)


async def test_a_sessions_own_address_shares_the_pool(gemini_server: GeminiServer) -> None:
    connection = connect_gemini({"api_key": gemini_server.api_key, "base_url": "http://127.0.0.1:9"})
    for config in ({"base_url": gemini_server.base_url, "api_version": "v1beta"}, {"native": "none"}):
        own = {"base_url": gemini_server.base_url, **config}
        assert (await connection.open("s", MODEL, own).send_message("hi")).content
    paths = [record.path.split("?")[0] for record in gemini_server.asked]
    assert paths == ["/v1beta/interactions", f"/v1/models/{MODEL}:streamGenerateContent"]
    gemini_server.wait_for_connections(1)
    await connection.aclose()
    gemini_server.wait_for_connections(0)


def test_each_loop_has_its_own_connections(gemini_server: GeminiServer) -> None:
    connection = connect_gemini({"api_key": gemini_server.api_key, "base_url": gemini_server.base_url})
    session = connection.open("s", MODEL, {})

    async def talk() -> str:
        return (await session.send_message("hi")).content

    for count in (1, 2):
        assert asyncio.run(talk()) == f"[{count}] You said: hi"
        gemini_server.wait_for_connections(0)


async def test_the_key_goes_with_no_redirect(gemini_server: GeminiServer) -> None:
    with GeminiServer(api_key=gemini_server.api_key) as elsewhere:
        connection = connect_gemini({"api_key": gemini_server.api_key, "base_url": gemini_server.base_url})
        for config in ({}, {"native": "none"}):
            gemini_server.fault(faults.redirect(elsewhere.base_url))
            with pytest.raises(Exception, match="base_url"):
                await connection.open("s", MODEL, config).send_message("hi")
        assert elsewhere.requests == []
        await connection.aclose()
