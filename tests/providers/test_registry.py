"""From names and credentials to connections; users' own providers."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest

import langswarm_sessions.providers as providers
from langswarm_sessions.errors import ConfigurationError, InvalidInputError
from langswarm_sessions.interfaces.provider import ProviderProfile, ProviderSession
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.providers import MockProviderSession, ProviderSessionFactory, connect
from langswarm_sessions.providers.mock import MockConnection
from langswarm_sessions.providers.openai import OpenAIConnection
from langswarm_sessions.providers.registry import CustomConnection
from langswarm_sessions.records import NativeKind


class Echo:
    """Duck-typed: no base class, plain methods, arguments of its own naming."""

    def __init__(self, session_id: str = "", model: str = "", config: dict[str, Any] | None = None) -> None:
        self.made_with = (session_id, model, config)

    def send_message(self, text: str) -> str:
        return text

    def get_provider_metadata(self) -> dict[str, Any]:
        return {}

    def update_provider_config(self, config: dict[str, Any]) -> None: ...

    def cleanup_provider_resources(self) -> None: ...


class Replayed(Echo):
    def send_message(self, text: str, history: list[SessionMessage] | None = None) -> str:
        return f"{len(history or [])}: {text}"


@pytest.fixture(autouse=True)
def clean_registry() -> Iterator[None]:
    yield
    for name in ("mine", "openai"):
        ProviderSessionFactory.unregister_provider(name)


def test_built_in_names_and_aliases() -> None:
    assert isinstance(connect("mock"), MockConnection)
    assert isinstance(connect("openai", "sk-1"), OpenAIConnection)
    assert isinstance(connect("gpt"), OpenAIConnection)
    made = MockConnection()
    assert connect("anything", made) is made


def test_unknown_names_list_the_known() -> None:
    known = r"unknown provider 'nonsense'. Known providers: anthropic, .*cohere, .*gemini, .*mistral, mock, openai"
    with pytest.raises(ConfigurationError, match=known) as caught:
        connect("nonsense", "key-canary")
    assert "canary" not in str(caught.value)


def test_the_mock_takes_no_credential() -> None:
    with pytest.raises(ConfigurationError, match="mock"):
        connect("mock", 3)


def test_registered_factories_and_classes() -> None:
    ProviderSessionFactory.register_provider("mine", Echo)
    session: Any = connect("mine").open("s1", "m", {"temperature": 1})
    assert session.made_with == ("s1", "m", {"temperature": 1})
    ProviderSessionFactory.register_provider("mine", lambda: Echo("fixed"))
    session = connect("mine").open("s1", "m", {})
    assert session.made_with[0] == "fixed"
    assert "mine" in ProviderSessionFactory.known()
    ProviderSessionFactory.register_provider("openai", Echo)
    assert isinstance(connect("openai", "sk-1"), CustomConnection)
    assert isinstance(connect("mine", Echo).open("s", "m", {}), Echo)


@pytest.mark.parametrize(("name", "factory"), [("", Echo), (3, Echo), ("mine", None), ("mine", "Echo")])
def test_bad_registrations(name: Any, factory: Any) -> None:
    with pytest.raises(InvalidInputError, match="register_provider"):
        ProviderSessionFactory.register_provider(name, factory)


def test_a_registered_factory_takes_no_credential_unless_it_stands_in_for_a_built_in() -> None:
    ProviderSessionFactory.register_provider("mine", Echo)
    with pytest.raises(ConfigurationError, match=r"'mine'.*takes no credential. Pass None, or a factory") as caught:
        connect("mine", "key-canary")
    assert "canary" not in str(caught.value)


def test_a_factory_that_fails_is_told_from_a_wrong_argument() -> None:
    def fails(session_id: str) -> Echo:
        raise ZeroDivisionError(session_id)

    with pytest.raises(ConfigurationError, match=r"provider mine: its factory failed with ZeroDivisionError") as caught:
        connect("mine", fails).open("canary", "m", {})
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert "canary" not in str(caught.value)

    def asks_too_much(session_id: str, model: str, config: dict[str, Any], more: str) -> Echo:
        return Echo(session_id, model + more, config)

    with pytest.raises(ConfigurationError, match=r"failed with TypeError.*\(session_id, model, config\)"):
        connect("mine", asks_too_much).open("s", "m", {})


def test_built_in_sessions_can_be_registered() -> None:
    ProviderSessionFactory.register_provider("mine", MockProviderSession)
    assert isinstance(connect("mine").open("s", "m", {}), MockProviderSession)


def test_entry_points_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("plugged", f"{__name__}:Echo", "langswarm_sessions.providers")

    def load(_: EntryPoint) -> type[Echo]:
        return Echo

    def entry_points(*, group: str, name: str = "plugged") -> list[EntryPoint]:
        return [point] if (group, name) == (point.group, point.name) else []

    monkeypatch.setattr(EntryPoint, "load", load)
    monkeypatch.setattr("langswarm_sessions.providers.registry.entry_points", entry_points)
    assert "plugged" in ProviderSessionFactory.known()
    assert isinstance(connect("plugged").open("s", "m", {}), Echo)


def test_one_object_serves_one_session_unless_it_takes_history() -> None:
    connection = connect("mine", Echo())
    first = connection.open("1", "m", {})
    assert connection.open("1", "m", {}) is first
    with pytest.raises(ConfigurationError, match="history"):
        connection.open("2", "m", {})
    shared = connect("mine", Replayed())
    assert shared.open("1", "m", {}) is shared.open("2", "m", {})


def test_what_a_provider_lacks_is_named() -> None:
    class Half:
        def send_message(self, content: str) -> str:
            return content

    with pytest.raises(ConfigurationError, match="get_provider_metadata"):
        connect("mine", Half).open("s", "m", {})


def test_settings_of_ones_own_provider() -> None:
    connection = connect("mine", Echo)
    connection.check("m", {"whatever": [1, 2]})
    with pytest.raises(ConfigurationError, match="would be stored"):
        connection.check("m", {"api_key": "x"})
    with pytest.raises(ConfigurationError, match="plain JSON"):
        connection.check("m", {"whatever": object()})
    with pytest.raises(ConfigurationError, match="model"):
        connection.check("", {})


@pytest.mark.parametrize("name", ["mock", "openai"])
def test_a_live_session_is_small(name: str) -> None:
    connection = connect(name, "sk-1")
    connection.open("warm", "m", {})
    gc.collect()
    tracemalloc.start()
    sessions = [connection.open(f"session-{number}", "model", {}) for number in range(1000)]
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / len(sessions) <= 1024


def test_the_package_names_what_it_has() -> None:
    for name in providers.__all__:
        assert getattr(providers, name) is not None
    with pytest.raises(AttributeError):
        _ = providers.no_such_name  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


class Recorder:
    """A session as a built-in live provider session sees it."""

    native_id = "native"

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def record_turn(self, content: str, *, role: str, metadata: dict[str, Any] | None) -> SessionMessage:
        self.calls.append((content, role, metadata))
        return SessionMessage(role=Role.ASSISTANT, content="recorded")

    async def record_stream(self, content: str, *, metadata: dict[str, Any] | None) -> AsyncIterator[str]:
        self.calls.append((content, metadata))
        yield "recorded"

    async def save_provider_config(self, changes: Any, *, profile: ProviderProfile) -> None:
        assert profile.native is NativeKind.NODE
        self.calls.append(dict(changes))


async def test_a_bound_session_records() -> None:
    connection, recorder = MockConnection(), Recorder()
    live = connection.open("s", "m", {"temperature": 1})
    live.bind(recorder)
    assert (await live.send_message("one", metadata={"a": 1})).content == "recorded"
    assert [piece async for piece in live.send_message_stream("two")] == ["recorded"]
    await live.update_provider_config({"temperature": None, "top_p": 0.5})
    assert recorder.calls == [("one", "user", {"a": 1}), ("two", None), {"temperature": None, "top_p": 0.5}]
    assert dict(live.config) == {"top_p": 0.5}
    assert live.provider_session_id == "native"
    assert live.requests == []
    with pytest.raises(InvalidInputError, match="role"):
        live.send_message_stream("x", role="system")
    assert isinstance(live, ProviderSession)


async def test_one_object_is_free_again_when_its_session_is_refused_or_deleted() -> None:
    connection = connect("mine", Echo())
    refused = connection.open("1", "m", {})
    await connection.discard("1", refused)
    kept = connection.open("2", "m", {})
    await connection.discard("2", connection.open("2", "m", {}))  # of two who opened it, one was refused
    with pytest.raises(ConfigurationError, match="history"):
        connection.open("3", "m", {})
    connection.forget("1")
    with pytest.raises(ConfigurationError, match="history"):
        connection.open("3", "m", {})
    connection.forget("2")
    assert connection.open("3", "m", {}) is kept


def test_a_class_may_say_that_it_keeps_nothing() -> None:
    class Stateless(Echo):
        keeps_state = False

    assert connect("mine", Echo).keeps_state
    assert connect("mine", Echo()).keeps_state
    assert not connect("mine", Stateless).keeps_state
    assert not connect("runnable").keeps_state, "a wrapped Runnable answers: nothing is kept for its sessions"
