"""What the sessions of one manager share: turns, storage, live providers, and the handles that are in use."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from langswarm_sessions.interfaces.provider import EngineProvider, ProviderConnection, ProviderSession
from langswarm_sessions.providers import SimpleProvider, connect
from langswarm_sessions.records import SessionRecord
from langswarm_sessions.turns import TurnEngine, TurnServices, TurnSubject

__all__ = ["LiveProviders", "Runtime", "engine_face"]


def engine_face(live: ProviderSession) -> EngineProvider:
    """Return what the engine runs turns with: the session itself if it is built in, else a wrapper around it."""
    return live if isinstance(live, EngineProvider) else SimpleProvider(live)


class LiveProviders:
    """The providers of one manager, connected on first use, and the live sessions that must not be forgotten.

    Args:
        credentials: Provider names to keys, configurations, clients or factories.
    """

    def __init__(self, credentials: Mapping[str, Any]) -> None:
        self._credentials = dict(credentials)
        self._connections: dict[str, ProviderConnection] = {}
        self._kept: dict[str, ProviderSession] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """The providers that were configured or used."""
        return sorted({*self._credentials, *self._connections})

    def check(self, provider: str, model: str, config: Mapping[str, Any]) -> None:
        """Refuse a provider, model or setting that cannot work."""
        self._connection(provider).check(model, config)

    def open(self, record: SessionRecord) -> ProviderSession:
        """Return the live provider session of a session."""
        connection = self._connection(record.provider)
        with self._lock:
            kept = self._kept.get(record.session_id)
            if kept is None:
                kept = connection.open(record.session_id, record.model, record.provider_config)
                if connection.keeps_state:
                    self._kept[record.session_id] = kept
            return kept

    async def release(self, session_id: str) -> None:
        """Clean up after a session that was deleted, and let go of its live provider session."""
        kept = self._kept.pop(session_id, None)
        if kept is not None:
            await kept.cleanup_provider_resources()

    async def aclose(self) -> None:
        """Release every live session that is kept, and close every connection."""
        for live in list(self._kept.values()):
            await live.cleanup_provider_resources()
        self._kept.clear()
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

    def handle(self, record: SessionRecord) -> TurnSubject:
        """Return the one handle of a session, brought up to date; made when nobody holds one."""
        with self._lock:
            held = self.handles.get(record.session_id)
            if held is None:
                held = self.handles[record.session_id] = self.make_handle(self, record)
                return held
        held.adopt(record)
        return held
