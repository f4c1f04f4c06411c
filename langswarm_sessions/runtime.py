"""What the sessions of one manager share: turns, storage, live providers, and the handles that are in use."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from langswarm_sessions.interfaces.provider import EngineProvider, ProviderConnection, ProviderSession
from langswarm_sessions.providers import (
    ProviderSessionFactory,
    SimpleProvider,
    canonical_name,
    check_credentials,
    connect,
)
from langswarm_sessions.providers.calling import call
from langswarm_sessions.records import SessionRecord
from langswarm_sessions.strategies import choose_strategy
from langswarm_sessions.turns import TurnEngine, TurnServices, TurnSubject

__all__ = ["LiveProviders", "Runtime", "engine_face"]

logger = logging.getLogger(__name__)


def engine_face(live: ProviderSession, record: SessionRecord) -> EngineProvider:
    """Return what the engine runs turns with: the session itself if it is built in, else a wrapper around it."""
    if isinstance(live, EngineProvider):
        return live
    return SimpleProvider(live, provider=record.provider, model=record.model)


class LiveProviders:
    """The providers of one manager, connected on first use, and the live sessions that must not be forgotten.

    Args:
        credentials: Provider names to keys, configurations, clients or factories.

    Raises:
        ConfigurationError: A name is unknown or given twice, or a credential is of no use to its provider.
    """

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self._credentials = check_credentials(credentials)
        self._connections: dict[str, ProviderConnection] = {}
        self._kept: dict[tuple[str, str], ProviderSession] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The providers that can be used: the mock, those configured, those used."""
        return sorted({"mock", *self._credentials, *self._connections})

    def check(self, provider: str, model: str, config: Mapping[str, Any]) -> None:
        """Refuse a provider, model or setting that cannot work."""
        self._connection(provider).check(model, config)

    def open(self, record: SessionRecord) -> ProviderSession:
        """Return the live provider session of a session."""
        connection = self._connection(record.provider)
        key = (record.session_id, record.provider)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                kept = connection.open(record.session_id, record.model, record.provider_config)
                if connection.keeps_state:
                    self._kept[key] = kept
            return kept

    def fallback(self, name: str) -> Callable[[SessionRecord], EngineProvider]:
        """Return what opens the provider that answers when a session's own cannot.

        Args:
            name: "provider" (with the session's model) or "provider/model".

        Raises:
            ConfigurationError: The provider is unknown.
        """
        named, _, model = name.partition("/")
        provider = canonical_name(named)
        ProviderSessionFactory.check(provider, self._credentials.get(provider))

        def opened(record: SessionRecord) -> EngineProvider:
            stand_in = replace(record, provider=provider, model=model or record.model)
            connection = self._connection(provider)
            connection.check(stand_in.model, {})
            return engine_face(connection.open(record.session_id, stand_in.model, {}), stand_in)

        return opened

    async def release(self, session_id: str) -> None:
        """Clean up after a session that was deleted, and let go of its live provider session."""
        with self._lock:
            keys = [key for key in self._kept if key[0] == session_id]
            released = [self._kept.pop(key) for key in keys]
        for live in released:
            await _clean_up(live)

    async def aclose(self) -> None:
        """Release every live session that is kept, and close every connection."""
        with self._lock:
            released = list(self._kept.values())
            self._kept.clear()
        for live in released:
            await _clean_up(live)
        for connection in list(self._connections.values()):
            await connection.aclose()
        self._connections.clear()

    def _connection(self, provider: str) -> ProviderConnection:
        with self._lock:
            connection = self._connections.get(provider)
            if connection is None:
                connection = connect(provider, self._credentials.get(provider))
                self._connections[provider] = connection
            return connection


async def _clean_up(live: ProviderSession) -> None:
    """Let a user's object, async or not, release what it holds; its failure ends nothing but its own clean-up."""
    try:
        await call(live.cleanup_provider_resources, {})
    except Exception as error:  # noqa: BLE001 - the user's code: the session is deleted and the manager closed all the same
        logger.warning("%s.cleanup_provider_resources failed with %s.", type(live).__name__, type(error).__name__)


@dataclass(slots=True, kw_only=True)
class Runtime:
    """The shared parts of one manager.

    Args:
        services: What turns work with.
        engine: Runs them.
        providers: Who answers them.
        make_handle: Makes the handle of a session from its row.
        handles: The session handles somebody holds; one a session.
    """

    services: TurnServices
    engine: TurnEngine
    providers: LiveProviders
    make_handle: Callable[[Runtime, SessionRecord], TurnSubject]
    handles: weakref.WeakValueDictionary[str, TurnSubject] = field(
        default_factory=weakref.WeakValueDictionary[str, TurnSubject]
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def check(self, record: SessionRecord) -> None:
        """Refuse a new session whose provider, model, settings or strategy cannot work.

        Raises:
            ConfigurationError: What cannot, and what to do.
        """
        self.providers.check(record.provider, record.model, record.provider_config)
        profile = engine_face(self.providers.open(record), record).profile
        choose_strategy(record.strategy, provider=record.provider, profile=profile)
        if self.services.fallback is not None:
            self.services.fallback(record)  # a stand-in that cannot work is better known now than when it is needed

    def handle(self, record: SessionRecord) -> TurnSubject:
        """Return the one handle of a session, brought up to date; made when nobody holds one."""
        with self._lock:
            held = self.handles.get(record.session_id)
            if held is None:
                held = self.handles[record.session_id] = self.make_handle(self, record)
                return held
        held.adopt(record)
        return held
