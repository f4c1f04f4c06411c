"""What the OpenAI provider takes as a credential, and that it never shows one."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from traceback import format_exception

import pytest
from openai import AsyncOpenAI, OpenAI

from langswarm_sessions import SessionLifecycleHook, SessionManager
from langswarm_sessions.errors import ConfigurationError, InvalidRequestError, SessionError
from langswarm_sessions.providers.openai.client import connect_openai
from langswarm_sessions.records import NativeKind, NativeState
from tests.support.openai_server import OpenAIServer, faults

MODEL = "gpt-6-astra"
NODE = NativeState(provider="openai", kind=NativeKind.NODE, id="resp_1", cursor=1, turn_id="turn")


class Listener(SessionLifecycleHook):
    """Keeps the errors it is told of."""

    def __init__(self) -> None:
        self.heard: list[Exception] = []

    async def on_session_error(self, session_id: str, error: Exception) -> None:
        self.heard.append(error)


def shown_by(error: BaseException) -> str:
    """Return all that an error, and every error kept with it, shows or passes on."""
    kept: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        at = waiting.pop()
        if at is not None and at not in kept:
            kept.append(at)
            waiting += [at.__cause__, at.__context__]
    return "".join(f"{at} {at!r} {at.args} {pickle.dumps(at)!r} {''.join(format_exception(at))}" for at in kept)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (3, "give a key"),
        (["sk"], "give a key"),
        ("sk-canary-é", "api_key"),
        ("sk-canary\nsecond line", "api_key"),
        ("sk-canary ", "api_key"),
        ({"api_kee": "sk-canary"}, "api_kee"),
        ({"api_key": 3}, "api_key"),
        ({"api_key": "sk-canary\t"}, "api_key"),
        ({"base_url": 3}, "base_url"),
        ({"base_url": "nonsense"}, "base_url"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "base_url"),
        ({"base_url": "http://[bad"}, "base_url"),
        ({"organization": 3}, "organization"),
        ({"organization": "orgé"}, "organization"),
        ({"project": "a\nb"}, "project"),
        ({"timeout": "abc"}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"default_headers": 3}, "default_headers"),
        ({"default_headers": {"x-team": 3}}, "default_headers"),
        ({"default_headers": {"x team": "a"}}, "default_headers"),
        ({"default_headers": {"x-team": "sk-canary-é"}}, "default_headers"),
        ({"client": "x"}, "client"),
    ],
)
def test_other_credentials_are_refused(given: object, named: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"openai.*{named}") as caught:
        connect_openai(given)
    assert "canary" not in shown_by(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OPENAI_API_KEY", "sk-canary-é"),
        ("OPENAI_API_KEY", "sk-canary\nsecond line"),
        ("OPENAI_ORG_ID", "orgé"),
        ("OPENAI_PROJECT_ID", "a\nb"),
        ("OPENAI_BASE_URL", "nonsense"),
        ("OPENAI_BASE_URL", "ftp://127.0.0.1/v1"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:99999/v1"),
        ("OPENAI_BASE_URL", "http://127.0.0.1:abc/v1"),
        ("OPENAI_BASE_URL", "http://[bad"),
    ],
)
async def test_a_wrong_environment_is_refused_by_the_name_of_the_variable(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    monkeypatch.setenv(variable, value)
    async with SessionManager("memory") as manager:
        with pytest.raises(ConfigurationError, match=variable) as caught:
            await manager.create_session("user", "openai", MODEL)
    assert "canary" not in shown_by(caught.value)
    with pytest.raises(ConfigurationError, match=variable):  # a session of another process: nothing checked it here
        await connect_openai(None).open("s", MODEL, {}).send_message("hi")


async def test_what_is_given_wins_over_a_wrong_environment(
    openai_server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID"):
        monkeypatch.setenv(variable, "é")
    given = {"api_key": openai_server.api_key, "base_url": openai_server.base_url, "organization": "org-1"}
    connection = connect_openai(given)
    assert (await connection.open("s", MODEL, {}).send_message("hi")).content == "[1] You said: hi"
    await connection.aclose()


@pytest.mark.parametrize("empty", ["OPENAI_BASE_URL", "OPENAI_ORG_ID"])
def test_an_empty_variable_is_no_variable(
    empty: str, openai_environment: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(empty, "")
    connection = connect_openai(None)
    connection.check(MODEL, {})
    assert connection.endpoint(openai_environment.base_url)[0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("how", "key", "error"),
    [
        ("key function", "sk-canary-é", ConfigurationError),
        ("key function", "sk-canary\n", ConfigurationError),
        ("client", "sk-canary-é", InvalidRequestError),
        ("blocking client with key function", "sk-canary-é", InvalidRequestError),
    ],
)
async def test_a_key_that_cannot_be_sent_is_not_shown(
    how: str, key: str, error: type[SessionError], openai_server: OpenAIServer
) -> None:
    async def provide() -> str:
        return key

    address = openai_server.base_url
    given: dict[str, Callable[[], object]] = {
        "key function": lambda: {"api_key": provide, "base_url": address},
        "client": lambda: AsyncOpenAI(api_key=key, base_url=address),
        "blocking client with key function": lambda: OpenAI(api_key=lambda: key, base_url=address),
    }
    hook = Listener()
    async with SessionManager("memory", providers={"openai": given[how]()}, hooks=[hook]) as manager:
        session = await manager.create_session("user", "openai", MODEL)
        with pytest.raises(error, match="key") as caught:
            await session.send_message("hi")
        assert hook.heard == [caught.value]
        with pytest.raises(error, match="key") as caught_deleting:
            await session.provider_session.delete_native(NODE)
    assert openai_server.requests == []
    assert "canary" not in shown_by(caught.value) + shown_by(caught_deleting.value)


async def test_a_setting_that_cannot_be_sent_is_a_malformed_request(openai_server: OpenAIServer) -> None:
    connection = connect_openai({"api_key": openai_server.api_key, "base_url": openai_server.base_url})
    with pytest.raises(InvalidRequestError, match="organization") as caught:
        await connection.open("s", MODEL, {"organization": "orgé"}).send_message("hi")
    assert not caught.value.retryable
    await connection.aclose()


@pytest.mark.parametrize("status", [401, 500, 200])
async def test_an_error_keeps_nothing_of_the_request_that_failed(status: int, openai_server: OpenAIServer) -> None:
    openai_server.fault(faults.empty_body(status=status))
    connection = connect_openai({"api_key": openai_server.api_key, "base_url": openai_server.base_url})
    with pytest.raises(SessionError) as caught:
        await connection.open("s", MODEL, {}).send_message("hi")
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    await connection.aclose()


@pytest.mark.parametrize("address", ["http://[bad", "http://127.0.0.1:99999/v1", "http://127.0.0.1:abc/v1", "nonsense"])
def test_an_address_that_cannot_be_read_has_no_endpoint(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connect_openai("sk-1")
    assert connection.open("s", MODEL, {"base_url": address}).endpoint() == (None, None)
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    assert connection.open("s", MODEL, {}).endpoint() == (None, None)
