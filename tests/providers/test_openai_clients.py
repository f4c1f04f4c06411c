"""How the OpenAI provider signs in, and how its clients live and die with their loops."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI

from langswarm_sessions.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingDependencyError,
    ProviderUnavailableError,
)
from langswarm_sessions.providers import OpenAIProviderSession
from langswarm_sessions.providers.openai import OpenAIConnection
from langswarm_sessions.providers.openai.client import connect_openai
from tests.support.openai_server import OpenAIServer, faults

MODEL = "gpt-6-astra"


async def hello(connection: OpenAIConnection, **config: Any) -> str:
    connection.check(MODEL, config)
    return (await connection.open("session", MODEL, config).send_message("hi")).content


def credentials(server: OpenAIServer) -> dict[str, Callable[[], object]]:
    settings: dict[str, Any] = {"api_key": server.api_key, "base_url": server.base_url}

    async def key() -> str:
        return server.api_key

    return {
        "dict": lambda: settings,
        "key function": lambda: {**settings, "api_key": key},
        "async client": lambda: AsyncOpenAI(**settings),
        "blocking client": lambda: OpenAI(**settings),
        "blocking client with key function": lambda: OpenAI(api_key=lambda: server.api_key, base_url=server.base_url),
        "client in dict": lambda: {"client": OpenAI(**settings)},
        "client of a pool": lambda: AsyncOpenAI(**settings, http_client=httpx2.AsyncClient()),
    }


KINDS = [
    "dict", "key function", "async client", "blocking client", "blocking client with key function", "client in dict",
    "client of a pool",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
async def test_every_credential_is_let_in_and_shown_nowhere(kind: str, openai_server: OpenAIServer) -> None:
    given = credentials(openai_server)[kind]()
    connection = connect_openai(given)
    assert await hello(connection) == "[1] You said: hi"
    assert openai_server.api_key not in repr(connection) + repr(connection.credential)
    await connection.aclose()
    await connection.aclose()
    if isinstance(given, AsyncOpenAI):
        assert not given.is_closed(), "a client of the user's is the user's to close"
        await given.close()


async def test_the_environment_is_honoured(openai_environment: OpenAIServer) -> None:
    connection = connect_openai(None)
    assert await hello(connection) == "[1] You said: hi"
    assert connection.open("s", MODEL, {}).endpoint()[0] == "127.0.0.1"
    await connection.aclose()


async def test_a_session_built_by_hand_has_its_own_connection(openai_environment: OpenAIServer) -> None:
    session = OpenAIProviderSession("mine", MODEL, credential=openai_environment.api_key)
    await session.send_message("one")
    assert (await session.send_message("two")).content == "[2] You said: two"
    assert session.provider_session_id == openai_environment.creates[-1].response_id
    await session.cleanup_provider_resources()


async def test_base_url_and_organization_of_a_session(openai_server: OpenAIServer) -> None:
    connection = connect_openai({"api_key": openai_server.api_key, "base_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(ProviderUnavailableError, match="base_url"):
        await hello(connection)
    own: dict[str, Any] = {"base_url": openai_server.base_url, "organization": "org-1", "project": "proj-1"}
    assert await hello(connection, **own) == "[1] You said: hi"
    headers = openai_server.creates[-1].headers
    assert (headers["openai-organization"], headers["openai-project"]) == ("org-1", "proj-1")
    assert connection.open("s", MODEL, own).endpoint() == ("127.0.0.1", int(openai_server.base_url.split(":")[2][:-3]))
    await connection.aclose()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_sdk_never_retries(kind: str, openai_server: OpenAIServer) -> None:
    given = credentials(openai_server)[kind]()
    connection = connect_openai(given)
    openai_server.fault(faults.http_error(500), times=3)
    with pytest.raises(ProviderUnavailableError):
        await hello(connection)
    assert len(openai_server.creates) == 1
    await connection.aclose()
    if isinstance(given, AsyncOpenAI):
        await given.close()


@pytest.mark.parametrize("kind", ["dict", "async client", "blocking client"])
def test_loops_one_after_the_other_leave_no_connection(kind: str, openai_server: OpenAIServer) -> None:
    connection = connect_openai(credentials(openai_server)[kind]())
    for _ in range(3):
        assert asyncio.run(hello(connection)) == "[1] You said: hi"
    asyncio.run(connection.aclose())
    deadline = time.monotonic() + 5
    while openai_server.open_connections and time.monotonic() < deadline:
        threading.Event().wait(0.005)  # the server's own thread has to notice
    assert openai_server.open_connections == 0


def test_loops_at_once(openai_server: OpenAIServer) -> None:
    connection = connect_openai(credentials(openai_server)["dict"]())
    said: list[str] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        barrier.wait()
        said.append(asyncio.run(hello(connection)))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == ["[1] You said: hi"] * 4


async def test_closing_from_one_loop_closes_the_others(openai_server: OpenAIServer) -> None:
    connection = connect_openai(credentials(openai_server)["dict"]())
    assert await hello(connection) == "[1] You said: hi"
    await asyncio.to_thread(lambda: asyncio.run(connection.aclose()))
    for _ in range(100):
        await asyncio.sleep(0)
    assert await hello(connection) == "[1] You said: hi"
    await connection.aclose()


def test_a_missing_key_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        connect_openai(None).check(MODEL, {})
    with pytest.raises(ConfigurationError, match="empty"):
        connect_openai(" ")
    with pytest.raises(ConfigurationError, match="empty"):
        connect_openai({"api_key": ""})


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "openai")
    monkeypatch.setattr("langswarm_sessions.providers.credentials.find_spec", dict[str, None]().get)
    with pytest.raises(MissingDependencyError, match=r"pip install 'langswarm-sessions\[openai\]'"):
        connect_openai("sk-1").check(MODEL, {})


async def test_a_blocking_client_with_a_pool_of_its_own_is_refused(openai_server: OpenAIServer) -> None:
    with httpx2.Client() as pool:
        given = OpenAI(api_key="sk-1", base_url=openai_server.base_url, http_client=pool)
        with pytest.raises(ConfigurationError, match="async client"):
            await hello(connect_openai(given))


async def test_a_subclass_of_the_async_client_stays_what_it_is() -> None:
    async with AsyncAzureOpenAI(
        api_key="k", api_version="2026-01-01", azure_endpoint="https://example.openai.azure.com"
    ) as given:
        client = await connect_openai(given).client({})
        assert isinstance(client, AsyncAzureOpenAI)
        assert client.max_retries == 0


async def test_a_refused_key_is_an_authentication_error(openai_server: OpenAIServer) -> None:
    connection = connect_openai({"api_key": "sk-wrong", "base_url": openai_server.base_url})
    with pytest.raises(AuthenticationError) as caught:
        await hello(connection)
    assert "sk-wrong" not in str(caught.value)
    await connection.aclose()


def test_metadata_over_the_limits_is_refused() -> None:
    connection = connect_openai("sk-1")
    with pytest.raises(ConfigurationError, match="16 pairs"):
        connection.check(MODEL, {"metadata": {str(at): "x" for at in range(17)}})
    with pytest.raises(ConfigurationError, match="512"):
        connection.check_config({"thread_metadata": {"a": "x" * 513}})


def test_the_sdk_is_loaded_by_the_first_request_only() -> None:
    assert importlib.util.find_spec("openai")
    code = (
        "import sys, json, langswarm_sessions.providers as p\n"
        "c = p.connect('openai', 'sk-1'); c.check('m', {}); c.open('s', 'm', {}); p.MockProviderSession()\n"
        "print(json.dumps([n for n in ('openai', 'httpx2', 'pydantic') if n in sys.modules]))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(out.stdout) == []
