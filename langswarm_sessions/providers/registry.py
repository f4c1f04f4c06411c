"""From a provider's name and credential to a connection."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

from langswarm_sessions.calling import accepted_arguments, call
from langswarm_sessions.checks import naming
from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, InvalidInputError, SessionError
from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.interfaces.provider import ProviderConnection, ProviderSession
from langswarm_sessions.interfaces.traffic import TRAFFIC_KEYS
from langswarm_sessions.providers.base import check_model
from langswarm_sessions.providers.settings import check_storable, refuse_secrets
from langswarm_sessions.providers.simple import takes_history
from langswarm_sessions.providers.traffic import ControlledConnection

__all__ = [
    "ENTRY_POINT_GROUP",
    "CustomConnection",
    "ProviderFactory",
    "ProviderSessionFactory",
    "canonical_name",
    "check_credentials",
    "clean_up",
    "connect",
]

logger = logging.getLogger(__name__)

ENTRY_POINT_GROUP = "langswarm_sessions.providers"
"""Entry points of this group are factories, under their provider's name."""

ProviderFactory = Callable[..., object]
"""Makes a ProviderSession, or what has its methods, from (session_id, model, config) or those of them it takes."""

_BUILT_IN: Mapping[str, str] = {
    "anthropic": "langswarm_sessions.providers.anthropic.client:connect_anthropic",
    "cohere": "langswarm_sessions.providers.cohere.client:connect_cohere",
    "gemini": "langswarm_sessions.providers.gemini.client:connect_gemini",
    "mistral": "langswarm_sessions.providers.mistral.client:connect_mistral",
    "mock": "langswarm_sessions.providers.mock.connection:connect_mock",
    "openai": "langswarm_sessions.providers.openai.client:connect_openai",
}
_ADAPTERS: Mapping[str, str] = {
    "langchain_core": "langswarm_sessions_langchain.provider.client:connect_chat_model",
}
"""Packages whose objects can be providers, and what connects one; it is loaded when there is one."""

_ALIASES: Mapping[str, str] = {"claude": "anthropic", "google": "gemini", "gpt": "openai"}
_FACE = ("send_message", "get_provider_metadata", "update_provider_config", "cleanup_provider_resources")


class CustomConnection(ControlledConnection):
    """Opens sessions of a user's own provider.

    Args:
        name: The provider's name.
        factory: Makes one live session per conversation; None when `instance` is given.
        instance: One object for all sessions; without a parameter `history` it can serve only one.
    """

    def __init__(
        self, name: str, *, factory: ProviderFactory | None = None, instance: ProviderSession | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self._factory = factory
        self._instance = instance
        self._serves: str | None = None
        self._openings = 0
        # What a user's object remembers, only it remembers, unless its class says that there is nothing.
        self.keeps_state = bool(getattr(factory, "keeps_state", True))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse an empty model, and settings that are secret or cannot be stored."""
        check_model(model, provider=self.name)
        refuse_secrets(config, provider=self.name)
        check_storable(dict(config), where=f"provider_config of {self.name}")

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> ProviderSession:
        """Return the user's live session of one conversation.

        Raises:
            ConfigurationError: It lacks a method, or one object without `history` is to serve two sessions.
        """
        if self._factory is not None:
            values = {"session_id": session_id, "model": model, "config": dict(config)}
            return self._checked(self._made(self._factory, values))
        assert self._instance is not None
        session = self._checked(self._instance)
        if takes_history(session):
            return session
        if self._serves not in {None, session_id}:
            raise ConfigurationError(
                f"providers={{{self.name!r}: ...}}: one object keeps one conversation. Give its class or a factory "
                "(session_id, model, config), or let send_message take 'history'.",
                provider=self.name,
            )
        self._serves = session_id
        self._openings += 1
        return session

    async def discard(self, session_id: str, live: ProviderSession) -> None:
        """Clean up what was made for a refused conversation; one object for all sessions is free for another."""
        if live is not self._instance:
            await clean_up(live, session_id=session_id)
        elif self._serves == session_id:
            self._openings -= 1
            if not self._openings:  # else a session with this id has it
                self._serves = None

    def forget(self, session_id: str) -> None:
        """Let one object for all sessions serve another conversation."""
        if self._serves == session_id:
            self._serves, self._openings = None, 0

    def _made(self, factory: ProviderFactory, values: Mapping[str, Any]) -> object:
        """Call the user's factory; what goes wrong in it is told as its own failure, with the cause."""
        try:
            positional, keywords = accepted_arguments(factory, values)
            return factory(*positional, **keywords)
        except SessionError:
            raise
        except Exception as error:
            raise ConfigurationError(
                f"provider {self.name}: its factory failed with {type(error).__name__}; see the cause of this error. "
                "It is called with (session_id, model, config), or with those of them it takes.",
                provider=self.name,
            ) from error

    def _checked(self, session: object) -> ProviderSession:
        missing = [name for name in _FACE if not callable(getattr(session, name, None))]
        if missing:
            raise ConfigurationError(
                f"provider {self.name}: {type(session).__name__} has no method {missing[0]}; "
                f"a ProviderSession needs {', '.join(_FACE)}.",
                provider=self.name,
            )
        return cast(ProviderSession, session)


async def clean_up(live: ProviderSession, *, session_id: str) -> None:
    """Let a user's object, async or not, release what it holds; its failure ends nothing but its own clean-up."""
    try:
        await call(live.cleanup_provider_resources, {})
    except Exception as error:  # noqa: BLE001 - the user's code: the session is deleted and the manager closed all the same
        kind = type(live).__name__
        logger.warning(
            "Session %s: %s.cleanup_provider_resources failed with %s.", session_id, kind, type(error).__name__
        )


def canonical_name(name: str) -> str:
    """Return a provider's own name for a name or alias of it."""
    return _ALIASES.get(name, name)


class ProviderSessionFactory:
    """The providers this process knows: built in, registered, or installed with an entry point."""

    _registered: dict[str, ProviderFactory] = {}  # noqa: RUF012 - one registry for the process is what is meant
    _lock = fork_safe_lock()

    @classmethod
    def register_provider(cls, name: str, factory: ProviderFactory) -> None:
        """Make a provider of your own known to every manager of this process.

        Args:
            name: What `create_session(provider=...)` calls it.
            factory: Called with (session_id, model, config), or with those it takes; returns a ProviderSession. A
                class will do.

        Raises:
            InvalidInputError: The name is empty or the factory cannot be called.

        Example:
            >>> from langswarm_sessions.providers import MockProviderSession
            >>> ProviderSessionFactory.register_provider("rehearsal", MockProviderSession)
        """
        if not _is_name(name):
            raise InvalidInputError("register_provider: name must be a non-empty string.")
        if not callable(factory):
            raise InvalidInputError("register_provider: factory must be callable: (session_id, model, config).")
        with cls._lock:
            cls._registered[name] = factory

    @classmethod
    def unregister_provider(cls, name: str) -> None:
        """Take back `register_provider`; an unknown name is no error."""
        with cls._lock:
            cls._registered.pop(name, None)

    @classmethod
    def known(cls) -> list[str]:
        """Return the names of all providers that can be used."""
        installed = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)}
        return sorted({*_BUILT_IN, *_ALIASES, *cls._registered, *installed})

    @classmethod
    def connect(cls, name: str, credential: object = None) -> ProviderConnection:
        """Return a manager's connection to a provider. No I/O.

        Args:
            name: The provider's name.
            credential: None, a key, a dict of settings, a ready-made SDK client, a factory or class, a live
                ProviderSession, or a LangChain chat model; or a dict of one of these as `client` and of what its
                requests are held to.

        Raises:
            ConfigurationError: The provider is unknown, or the credential is of no use to it.
        """
        client, held_to = _parts_of(name, credential)
        connection = cls._connect(name, client)
        if held_to:
            if not isinstance(connection, ControlledConnection):
                raise ConfigurationError(
                    f"providers={{{name!r}: ...}}: {type(connection).__name__} says itself what its requests are held "
                    "to. Pass it alone.",
                    provider=name,
                )
            with naming(f"providers={{{name!r}: ...}}"):
                connection.control(held_to)
        return connection

    @classmethod
    def _connect(cls, name: str, credential: object) -> ProviderConnection:
        if isinstance(credential, ProviderConnection):
            return credential
        if _is_session(credential):
            return CustomConnection(name, instance=cast(ProviderSession, credential))
        if adapter := _adapter_of(credential):
            return cast(ProviderConnection, _load(adapter)(name, credential))
        if callable(credential):
            return CustomConnection(name, factory=credential)
        factory = cls._registered.get(name)
        if factory is not None:
            return _without_credential(name, credential, factory)
        if path := _BUILT_IN.get(canonical_name(name)):
            return cast(ProviderConnection, _load(path)(credential))
        for point in entry_points(group=ENTRY_POINT_GROUP, name=name):
            return _without_credential(name, credential, cast(ProviderFactory, point.load()))
        raise cls._unknown(name)

    @classmethod
    def check(cls, name: str, credential: object = None) -> None:
        """Refuse a name that is not known, unless the credential is a provider itself. Imports nothing.

        Raises:
            ConfigurationError: The provider is unknown.
        """
        client, _ = _parts_of(name, credential)
        if _is_provider(client):
            return
        known = name in cls._registered or canonical_name(name) in _BUILT_IN
        if not known and not entry_points(group=ENTRY_POINT_GROUP, name=name):
            raise cls._unknown(name)

    @classmethod
    def _unknown(cls, name: str) -> ConfigurationError:
        known = ", ".join(cls.known())
        return ConfigurationError(
            f"unknown provider {name!r}. Known providers: {known}. Bring your own with "
            f"providers={{{name!r}: YourProviderSession}} or ProviderSessionFactory.register_provider.",
            provider=name,
        )


def connect(name: str, credential: object = None) -> ProviderConnection:
    """Return a connection to a provider: `ProviderSessionFactory.connect`."""
    return ProviderSessionFactory.connect(name, credential)


def check_credentials(credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Return a manager's credentials under their providers' own names.

    Raises:
        ConfigurationError: A provider with a credential is unknown, or one is given twice under two names.
    """
    checked: dict[str, Any] = {}
    for name, credential in credentials.items():
        if credential is not None:  # a name alone may be registered later; create_session refuses it if it is not
            ProviderSessionFactory.check(name, credential)
        if (own_name := canonical_name(name)) in checked:
            raise ConfigurationError(f"providers: {name!r} is {own_name!r}; give it once.", provider=own_name)
        checked[own_name] = credential
    return checked


def _without_credential(name: str, credential: object, factory: ProviderFactory) -> CustomConnection:
    if credential is not None and name not in _BUILT_IN:  # a stand-in for a built-in provider leaves its key unused
        raise ConfigurationError(
            f"providers={{{name!r}: ...}}: the registered factory takes no credential. Pass None, or a factory that "
            "knows it: lambda session_id, model, config: ...",
            provider=name,
        )
    return CustomConnection(name, factory=factory)


_BY_KEY = _BUILT_IN.keys() - {"mock"}


def _parts_of(name: str, credential: object) -> tuple[object, Mapping[str, Any]]:
    """Part a dict into who answers and what the requests are held to; a provider with a key takes such a dict whole.

    Raises:
        ConfigurationError: It is for a provider without a key and holds anything else.
    """
    if not isinstance(credential, Mapping):
        return credential, {}
    given = cast(Mapping[str, Any], credential)
    client = given.get("client")
    is_by_key = canonical_name(name) in _BY_KEY
    if not _is_provider(client) and (is_by_key or not TRAFFIC_KEYS & given.keys()):
        return given, {}
    check_keys(given, {"client", *TRAFFIC_KEYS}, where=f"providers={{{name!r}: ...}}")
    return client, {key: value for key, value in given.items() if key != "client"}


def _is_provider(value: object) -> bool:
    """Whether a value answers by itself, whatever name it is given."""
    if isinstance(value, ProviderConnection) or _is_session(value):
        return True
    return _adapter_of(value) is not None or callable(value)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _adapter_of(value: object) -> str | None:
    """Return what connects an object of another library, which may be of a user's subclass; None for all others."""
    packages = (kind.__module__.partition(".")[0] for kind in type(value).__mro__)
    return next((_ADAPTERS[package] for package in packages if package in _ADAPTERS), None)


def _load(path: str) -> Callable[..., object]:
    module, _, attribute = path.partition(":")
    return cast(Callable[..., object], getattr(import_module(module), attribute))


def _is_session(value: object) -> bool:
    return not inspect.isclass(value) and callable(getattr(value, "send_message", None))
