"""The mock provider of one manager."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.config import finite_number
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.base import BuiltInConnection
from langswarm_sessions.providers.mock.logs import LogMemory
from langswarm_sessions.providers.mock.nodes import NodeMemory
from langswarm_sessions.providers.mock.script import MockScript
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS, Setting
from langswarm_sessions.records import NativeKind

if TYPE_CHECKING:
    from langswarm_sessions.providers.mock.session import MockProviderSession

__all__ = ["MOCK_PROFILE", "MockConnection", "connect_mock", "profile_of"]

_OWN_SETTINGS: Mapping[str, Setting] = {
    "pace": Setting("a number of seconds, 0 or more", lambda value: finite_number(value) is not None),
    "response_pattern": Setting("a string", lambda value: isinstance(value, str)),
}

MOCK_PROFILE = ProviderProfile(
    native=NativeKind.NODE,
    client=True,
    config_keys=frozenset(DOCUMENTED_SETTINGS) | frozenset(_OWN_SETTINGS),
    otel_name="mock",
)

_PROFILES: Mapping[str, ProviderProfile] = {
    kind: MOCK_PROFILE if kind is MOCK_PROFILE.native else replace(MOCK_PROFILE, native=kind)
    for kind in (NativeKind.NODE, NativeKind.LOG, NativeKind.NONE)
}


def profile_of(config: Mapping[str, Any]) -> ProviderProfile:
    """Return what the mock can do under a provider_config: `native` says what kind of conversation it keeps."""
    return _PROFILES[config.get("native") or NativeKind.NODE]


class MockConnection(BuiltInConnection):
    """Opens mock sessions; holds what they were told to say and what they remember."""

    name = "mock"
    profile = MOCK_PROFILE
    settings: ClassVar[Mapping[str, Setting]] = {**DOCUMENTED_SETTINGS, **_OWN_SETTINGS}

    def __init__(self) -> None:
        super().__init__()
        self.nodes = NodeMemory()
        self.logs = LogMemory()
        self._scripts: dict[str, MockScript] = {}

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse what every provider refuses, and a kind of conversation the mock does not keep."""
        super().check_config(config)
        if (config.get("native") or NativeKind.NODE) not in _PROFILES:
            raise ConfigurationError(
                f"provider_config of mock: native must be 'node', 'log' or 'none'; the mock provider keeps no "
                f"{config['native']!r} conversations.",
                provider="mock",
            )

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> MockProviderSession:
        """Return the live mock session of one conversation; opened again, it goes on where it was."""
        from langswarm_sessions.providers.mock.session import MockProviderSession

        return MockProviderSession(session_id, model, config, connection=self)

    def script(self, session_id: str) -> MockScript:
        """Return what a session was told to say."""
        return self._scripts.setdefault(session_id, MockScript())

    def forget(self, session_id: str) -> None:
        """Forget what a session was told to say, what it was asked, and its conversations."""
        self._scripts.pop(session_id, None)
        self.forget_conversations(session_id)

    def forget_conversations(self, session_id: str) -> None:
        """Forget a session's conversations of whatever kind."""
        self.nodes.forget_session(session_id)
        self.logs.forget_session(session_id)


def connect_mock(credential: object) -> MockConnection:
    """Return a new connection to the mock provider, which needs no credential.

    Raises:
        ConfigurationError: Something other than None, a key or an empty dict was given.
    """
    if credential is None or isinstance(credential, str) or credential == {}:
        return MockConnection()
    raise ConfigurationError(
        "providers={'mock': ...}: the mock provider takes None, or a dict of what its requests are held to.",
        provider="mock",
    )
