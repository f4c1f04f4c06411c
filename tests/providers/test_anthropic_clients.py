"""How the Anthropic provider signs in, and how its clients live and die with their loops."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic

from langswarm_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingDependencyError,
    ProviderUnavailableError,
)
from langswarm_sessions.providers.anthropic import AnthropicConnection, AnthropicProviderSession
from langswarm_sessions.providers.anthropic.client import connect_anthropic
from tests.support.anthropic_server import AnthropicServer, faults

pytest_plugins = ["tests.support.anthropic_server.plugin"]

MODEL = "claude-haiku-5-5"


async def hello(connection: AnthropicConnection, **config: Any) -> str:
    connection.check(MODEL, config)
    return (await connection.open("session", MODEL, config).send_message("hi")).content


def credentials(server: AnthropicServer) -> dict[str, Callable[[], object]]:
    settings: dict[str, Any] = {"api_key": server.api_key, "base_url": server.base_url}
    signed_in: dict[str, Any] = {"auth_token": server.api_key, "base_url": server.base_url}
    return {
        "dict": lambda: settings,
        "async client": lambda: AsyncAnthropic(**settings),
        "async client with token": lambda: AsyncAnthropic(**signed_in),
        "blocking client": lambda: Anthropic(**settings),
        "blocking client with token": lambda: Anthropic(**signed_in),
        "client in dict": lambda: {"client": Anthropic(**settings)},
        "client of a pool": lambda: AsyncAnthropic(**settings, http_client=httpx2.AsyncClient()),
    }


KINDS = [
    "dict", "async client", "async client with token", "blocking client", "blocking client with token",
    "client in dict", "client of a pool",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_every_credential_is_let_in_and_shown_nowhere(kind: str, anthropic_server: AnthropicServer) -> None:
    given = credentials(anthropic_server)[kind]()
    connection = connect_anthropic(given)
    assert await hello(connection) == "[1] You said: hi"
    assert connection.open("s", MODEL, {}).endpoint()[0] == "127.0.0.1"
    assert anthropic_server.api_key not in repr(connection) + repr(connection.credential)
    anthropic_server.fault(faults.http_error(500), times=3)
    with pytest.raises(ProviderUnavailableError):
        await hello(connection)
    assert len(anthropic_server.requests) == 2, "the SDK never retries"
    await connection.aclose()
    await connection.aclose()
    if isinstance(given, AsyncAnthropic):
        assert not given.is_closed(), "a client of the user's is the user's to close"
        await given.close()


async def test_the_environment_is_honoured(anthropic_environment: AnthropicServer) -> None:
    connection = connect_anthropic(None)
    assert await hello(connection) == "[1] You said: hi"
    assert connection.open("s", MODEL, {}).endpoint() == (
        "127.0.0.1",
        int(anthropic_environment.base_url.split(":")[2]),
    )
    await connection.aclose()


async def test_a_session_built_by_hand_has_its_own_connection(anthropic_environment: AnthropicServer) -> None:
    session = AnthropicProviderSession("mine", MODEL, {"native": "ephemeral"}, credential=anthropic_environment.api_key)
    await session.send_message("one")
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert session.provider_session_id == anthropic_environment.requests[-1].response_id
    await session.cleanup_provider_resources()
    await asyncio.to_thread(anthropic_environment.wait_for_connections, 0)


async def test_a_session_may_have_an_address_of_its_own(anthropic_server: AnthropicServer) -> None:
    connection = connect_anthropic({"api_key": anthropic_server.api_key, "base_url": "http://127.0.0.1:1"})
    with pytest.raises(ProviderUnavailableError, match="base_url"):
        await hello(connection)
    assert await hello(connection, base_url=anthropic_server.base_url) == "[1] You said: hi"
    await connection.aclose()


@pytest.mark.parametrize("kind", ["dict", "async client", "blocking client"])
def test_loops_one_after_the_other_leave_no_connection(kind: str, anthropic_server: AnthropicServer) -> None:
    connection = connect_anthropic(credentials(anthropic_server)[kind]())
    for _ in range(3):
        assert asyncio.run(hello(connection)) == "[1] You said: hi"
    asyncio.run(connection.aclose())
    deadline = time.monotonic() + 5
    while anthropic_server.open_connections and time.monotonic() < deadline:
        threading.Event().wait(0.005)  # the server's own thread has to notice
    assert anthropic_server.open_connections == 0


async def test_headers_of_the_users_go_along_and_the_trace_stays_here(anthropic_server: AnthropicServer) -> None:
    from opentelemetry import context, trace

    span = trace.NonRecordingSpan(trace.SpanContext(1, 1, is_remote=False, trace_flags=trace.TraceFlags(1)))
    token = context.attach(trace.set_span_in_context(span))
    connection = connect_anthropic(
        {"api_key": anthropic_server.api_key, "base_url": anthropic_server.base_url, "default_headers": {"x-team": "a"}}
    )
    try:
        await hello(connection)
    finally:
        context.detach(token)
    headers = anthropic_server.requests[-1].headers
    assert headers["x-team"] == "a"
    assert "traceparent" not in headers
    await connection.aclose()


def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="ANTHROPIC_API_KEY"):
        connect_anthropic(None).check(MODEL, {})
    with pytest.raises(ConfigurationError, match="empty"):
        connect_anthropic(" ")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "no url")
    with pytest.raises(ConfigurationError, match="ANTHROPIC_BASE_URL"):
        connect_anthropic("sk-ant").check(MODEL, {})


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "anthropic")
    monkeypatch.setattr("langswarm_sessions.providers.credentials.find_spec", dict[str, None]().get)
    with pytest.raises(MissingDependencyError, match=r"pip install 'langswarm-sessions\[anthropic\]'"):
        connect_anthropic("sk-ant").check(MODEL, {})


async def test_a_blocking_client_with_a_pool_of_its_own_is_refused(anthropic_server: AnthropicServer) -> None:
    with httpx2.Client() as pool:
        given = Anthropic(api_key="sk-ant", base_url=anthropic_server.base_url, http_client=pool)
        with pytest.raises(ConfigurationError, match="async client"):
            await hello(connect_anthropic(given))


async def test_a_refused_key_is_an_authentication_error(anthropic_server: AnthropicServer) -> None:
    connection = connect_anthropic({"api_key": "sk-wrong", "base_url": anthropic_server.base_url})
    with pytest.raises(AuthenticationError) as caught:
        await hello(connection)
    assert "sk-wrong" not in str(caught.value)
    await connection.aclose()


def test_the_sdk_is_loaded_by_the_first_request_only() -> None:
    code = (
        "import sys, json\n"
        "from langswarm_sessions.providers.anthropic.client import connect_anthropic\n"
        "c = connect_anthropic('sk-ant'); c.check('m', {}); c.open('s', 'm', {})\n"
        "print(json.dumps([n for n in ('anthropic', 'httpx2', 'pydantic') if n in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []
