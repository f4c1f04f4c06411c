"""What the sessions of one manager share: turns, storage, live providers, and the handles that are in use."""

from __future__ import annotations

import threading
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from langswarm_sessions.checks import naming
from langswarm_sessions.errors import ConfigurationError, SessionExistsError
from langswarm_sessions.events import EventType
from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.interfaces.provider import EngineProvider, ProviderConnection, ProviderSession
from langswarm_sessions.interfaces.traffic import RateLimits, TrafficRules
from langswarm_sessions.providers import (
    ProviderSessionFactory,
    SimpleProvider,
    canonical_name,
    check_credentials,
    clean_up,
    connect,
)
from langswarm_sessions.providers.traffic import ControlledConnection
from langswarm_sessions.records import SessionRecord, SessionStatus
from langswarm_sessions.strategies import choose_strategy
from langswarm_sessions.turns import TurnEngine, TurnServices, TurnSubject, fallback_strategy
from langswarm_sessions_otel import LifecycleScope

__all__ = ["Fallback", "LiveProviders", "Runtime", "engine_face"]


def engine_face(live: ProviderSession, record: SessionRecord, *, traffic: TrafficRules | None = None) -> EngineProvider:
    """Return what the engine runs turns with: the session itself if it is built in, else a wrapper around it.

    Args:
        live: The live provider session.
        record: Its session.
        traffic: What the requests of one that is not built in are held to.
    """
    if isinstance(live, EngineProvider):
        return live
    return SimpleProvider(live, provider=record.provider, model=record.model, traffic=traffic)


class LiveProviders:
    """The providers of one manager, connected on first use, and the live sessions that must not be forgotten.

    Args:
        credentials: Provider names to keys, configurations, clients or factories.
        rate_limits: What holds for providers that say nothing else.

    Raises:
        ConfigurationError: A name is unknown or given twice, or a credential is of no use to its provider.
    """

    def __init__(self, credentials: Mapping[str, Any], *, rate_limits: RateLimits | None = None) -> None:
        self._credentials = check_credentials(credentials)
        self._rate_limits = RateLimits() if rate_limits is None else rate_limits
        self._connections: dict[str, ProviderConnection] = {}
        self._kept: dict[tuple[str, str, str], ProviderSession] = {}
        self._lock = fork_safe_lock()

    @property
    def names(self) -> list[str]:
        """The providers that can be used: the mock, those configured, those used."""
        return sorted({"mock", *self._credentials, *self._connections})

    def check_known(self, provider: str) -> None:
        """Refuse a provider nobody knows."""
        ProviderSessionFactory.check(provider, self._credentials.get(provider))

    def check(self, provider: str, model: str, config: Mapping[str, Any]) -> None:
        """Refuse a provider, model or setting that cannot work."""
        self._connection(provider).check(model, config)

    def open(self, record: SessionRecord) -> ProviderSession:
        """Return the live provider session of a session."""
        connection = self._connection(record.provider)
        with self._lock:
            kept = self._kept.get(_key(record))
            if kept is None:
                kept = connection.open(record.session_id, record.model, record.provider_config)
                if connection.keeps_state:
                    self._kept[_key(record)] = kept
            return kept

    def face(self, record: SessionRecord, live: ProviderSession) -> EngineProvider:
        """Return what the engine runs a session's turns with, and with it what its requests are held to."""
        return engine_face(live, record, traffic=self._connection(record.provider).traffic(record.provider_config))

    @asynccontextmanager
    async def opening(self, record: SessionRecord) -> AsyncGenerator[ProviderSession]:
        """Open the live provider session of a new session, and discard it if the block fails before it is kept."""
        connection = self._connection(record.provider)
        with self._lock:
            live = connection.open(record.session_id, record.model, record.provider_config)
        try:
            yield live
        except BaseException:
            if self._kept.get(_key(record)) is not live:
                await connection.discard(record.session_id, live)
            raise

    async def discard(self, record: SessionRecord, live: ProviderSession) -> None:
        """Give back a live provider session that was opened for a look."""
        await self._connection(record.provider).discard(record.session_id, live)

    @asynccontextmanager
    async def aside(self, record: SessionRecord, name: str) -> AsyncGenerator[EngineProvider]:
        """Open a provider for requests beside a session's turns.

        Args:
            record: The session's row.
            name: "provider" (with the session's model) or "provider/model".
        """
        other = replace(_stand_in(record, name), session_id=f"{record.session_id}/aside")
        async with self.opening(other) as live:
            yield self.face(other, live)
        await self.discard(other, live)

    def keep(self, record: SessionRecord, live: ProviderSession) -> None:
        """Keep the live provider session of a session that was stored, if it holds something only it remembers."""
        if self._connection(record.provider).keeps_state:
            with self._lock:
                self._kept[_key(record)] = live

    async def release(self, session_id: str) -> None:
        """Clean up after a session that was deleted, and let go of its live provider session."""
        with self._lock:
            keys = [key for key in self._kept if key[0] == session_id]
            released = [self._kept.pop(key) for key in keys]
            connections = list(self._connections.values())
        for live in released:
            await clean_up(live, session_id=session_id)
        for connection in connections:
            connection.forget(session_id)

    async def aclose(self) -> None:
        """Release every live session that is kept, and close every connection, even if one of them fails to."""
        with self._lock:
            released, self._kept = self._kept, {}
            connections, self._connections = self._connections, {}
        async with AsyncExitStack() as closing:
            for connection in connections.values():
                closing.push_async_callback(connection.aclose)
            for (session_id, *_), live in released.items():
                await clean_up(live, session_id=session_id)

    def _connection(self, provider: str) -> ProviderConnection:
        with self._lock:
            connection = self._connections.get(provider)
            if connection is None:
                connection = connect(provider, self._credentials.get(provider))
                if isinstance(connection, ControlledConnection):
                    connection.control(default=self._rate_limits)
                self._connections[provider] = connection
            return connection


def _stand_in(record: SessionRecord, name: str) -> SessionRecord:
    """Return a session's row as it were with the provider, or provider and model, that a name means."""
    provider, _, model = name.partition("/")
    return replace(
        record, provider=canonical_name(provider), model=model or record.model, provider_config={}, native=None
    )


def _check_form(name: str) -> None:
    """Refuse a "provider/model" of which half is missing."""
    provider, slash, model = name.partition("/")
    if not provider.strip() or (slash and not model.strip()):
        raise ConfigurationError("give 'provider', which takes the session's model, or 'provider/model'.")


def _key(record: SessionRecord) -> tuple[str, str, str]:
    return record.session_id, record.provider, record.model


class Fallback:
    """The provider that answers when a session's own cannot.

    Args:
        providers: Where it is opened.
        name: "provider" (with the session's model) or "provider/model".

    Raises:
        ConfigurationError: The provider is unknown.
    """

    def __init__(self, providers: LiveProviders, name: str) -> None:
        self._name = name
        self._providers = providers
        self._named = f"fallback={name!r}"
        with naming(self._named):
            _check_form(name)
            providers.check_known(canonical_name(name.partition("/")[0]))

    async def check(self, record: SessionRecord) -> None:
        """Refuse what could not stand in for the provider of a session; that is better known before it is needed.

        Raises:
            ConfigurationError: What is missing, or that it takes no history.
        """
        stand_in = _stand_in(record, self._name)
        with naming(self._named):
            self._providers.check(stand_in.provider, stand_in.model, stand_in.provider_config)
            async with self._providers.opening(stand_in) as live:
                fallback_strategy(engine_face(live, stand_in))
            await self._providers.discard(stand_in, live)

    def open(self, record: SessionRecord) -> EngineProvider:
        """Return the live provider session that stands in."""
        stand_in = _stand_in(record, self._name)
        return self._providers.face(stand_in, self._providers.open(stand_in))


@dataclass(slots=True, kw_only=True)
class Runtime:
    """The shared parts of one manager.

    Args:
        services: What turns work with.
        engine: Runs them.
        providers: Who answers them.
        make_handle: Makes the handle of a session from its row.
        fallback: Who stands in for a session's own provider.
        handles: The session handles somebody holds; one a session.
    """

    services: TurnServices
    engine: TurnEngine
    providers: LiveProviders
    make_handle: Callable[[Runtime, SessionRecord], TurnSubject]
    fallback: Fallback | None = None
    handles: weakref.WeakValueDictionary[str, TurnSubject] = field(
        default_factory=weakref.WeakValueDictionary[str, TurnSubject]
    )
    _lock: threading.Lock = field(default_factory=fork_safe_lock)

    @asynccontextmanager
    async def _admission(self, record: SessionRecord) -> AsyncGenerator[ProviderSession]:
        """Refuse a new session whose provider, model, settings or strategy cannot work; the block stores it."""
        self.providers.check(record.provider, record.model, record.provider_config)
        async with self.providers.opening(record) as live:
            choose_strategy(record.strategy, provider=record.provider, profile=engine_face(live, record).profile)
            if self.fallback is not None:
                await self.fallback.check(record)
            self.check_summarizer(record)
            yield live

    async def check_new(self, record: SessionRecord) -> None:
        """Refuse what `create` would refuse of a new session, and store nothing.

        Raises:
            ConfigurationError: Its provider, model, settings or strategy cannot work.
        """
        async with self._admission(record) as live:
            pass
        await self.providers.discard(record, live)

    def check_summarizer(self, record: SessionRecord) -> None:
        """Refuse a summarizer that cannot work; one that fails later on is done without.

        Raises:
            ConfigurationError: Its provider is unknown, or cannot be used.
        """
        name = self.services.summaries.provider_of(record)
        if name is not None:
            writer = _stand_in(record, name)
            with naming(f"summarizer={name!r}"):
                _check_form(name)
                self.providers.check(writer.provider, writer.model, writer.provider_config)

    async def create(self, record: SessionRecord) -> TurnSubject:
        """Store a new session, tell of it, and return its handle.

        Raises:
            SessionExistsError: The id is taken.
            ConfigurationError: Its provider, model, settings or strategy cannot work.
        """
        with self._creation_span(record) as span:
            return await self._created(record, span)

    async def create_unless_there(
        self, record: SessionRecord, *, store: Callable[[], Awaitable[SessionRecord]] | None = None
    ) -> TurnSubject | None:
        """Do what `create` does; return None when the id is taken, for which there is no transition then.

        Args:
            record: The session's row.
            store: Stores it, with what else belongs to it, and returns it as it is stored (None: the row alone).

        Raises:
            ConfigurationError: Its provider, model, settings or strategy cannot work.
        """
        with self._creation_span(record) as span:
            try:
                return await self._created(record, span, store)
            except SessionExistsError:
                span.unchanged()
                return None

    def _creation_span(self, record: SessionRecord) -> LifecycleScope:
        return self.services.telemetry.lifecycle(
            "create", session_id=record.session_id, mode=record.strategy.value, provider=record.provider
        )

    async def _created(
        self,
        record: SessionRecord,
        span: LifecycleScope,
        store: Callable[[], Awaitable[SessionRecord]] | None = None,
    ) -> TurnSubject:
        services = self.services
        async with self._admission(record) as live:
            if store is not None:
                record = await store()
            else:
                with services.storage_span("create", record.session_id):
                    await services.storage.insert_session(record)
            span.stored()
            self.providers.keep(record, live)
            if record.status is SessionStatus.ACTIVE:
                services.telemetry.session_opened(record.strategy.value)
            handle = self.handle(record)
            services.events.publish(EventType.SESSION_CREATED, session_id=record.session_id, user_id=record.user_id)
            await services.hooks.run(
                "on_session_created",
                session_id=record.session_id,
                user_id=record.user_id,
                provider=record.provider,
                model=record.model,
            )
        return handle

    def handle(self, record: SessionRecord) -> TurnSubject:
        """Return the one handle of a session, brought up to date; made when nobody holds one."""
        with self._lock:
            held = self.handles.get(record.session_id)
            if held is None:
                held = self.handles[record.session_id] = self.make_handle(self, record)
                return held
        held.adopt(record)
        return held
