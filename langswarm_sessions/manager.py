"""The manager: opens, lists, searches, ends and cleans up the sessions of one storage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, Self, cast

from langswarm_sessions.bridge import Bridge
from langswarm_sessions.checks import (
    SHORTEST_LEASE_SECONDS,
    check_count,
    check_days,
    check_members,
    check_messages,
    check_moment,
    check_name,
    check_providers,
    check_retry,
    check_status,
    check_strategy,
    check_summarizer,
    check_tags,
    check_telemetry,
    check_text,
    check_wait,
)
from langswarm_sessions.cleanup import archive_inactive, clean_up, delete_archived, purge_deleted
from langswarm_sessions.config import CleanupConfig, RetryPolicy, SessionConfig, Strategy
from langswarm_sessions.errors import SessionError
from langswarm_sessions.events import EventBus, EventStream, Overflow
from langswarm_sessions.handoff import HandoffReport
from langswarm_sessions.hooks import HOOK_POINTS, HookRunner
from langswarm_sessions.importing.face import ConversationImports
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.interfaces.summarizer import Summarizer
from langswarm_sessions.interfaces.traffic import RateLimits
from langswarm_sessions.lifecycle import ARCHIVE, DELETE, RESTORE, append_messages, new_record, not_found, transit
from langswarm_sessions.messages import Content, SessionMessage
from langswarm_sessions.prices import PricesSetting, Pricing
from langswarm_sessions.providers import canonical_name
from langswarm_sessions.records import Analytics, Page, SessionFilter, SessionRecord, SessionStatus
from langswarm_sessions.runtime import Fallback, LiveProviders, Runtime
from langswarm_sessions.session import Session
from langswarm_sessions.storage import open_storage
from langswarm_sessions.turns import Summaries, TurnEngine, TurnServices
from langswarm_sessions_otel import Telemetry

__all__ = ["SessionManager"]


class SessionManager(ConversationImports):
    """Durable conversations over one storage and any number of providers.

    Construction does no I/O and needs no running loop. Usable from several event loops and threads.

    Args:
        storage: "sqlite" (default), "memory", a SQLAlchemy URL, or a storage object.
        storage_config: Arguments for a storage given by name.
        providers: Provider names to a key, a configuration, a client, a factory, or None (the environment's key).
        strategy: "hybrid" (default), "native" or "client", for sessions that do not say.
        middleware: Wraps every turn, outermost first.
        hooks: Told of what happened.
        cleanup_config: What `run_cleanup()` does.
        retry: How provider failures are retried.
        turn_wait: Seconds a turn waits for another one of its session.
        fallback: "provider" or "provider/model" that answers when a session's own provider cannot; every such answer
            says so in `provider_metadata["fallback_from"]`. None: the error is raised.
        rate_limits: requests_per_minute and tokens_per_minute of each provider and key that says nothing else.
        summarizer: A function or "provider/model" that summarises what falls out of the window; None: nobody does.
        prices: "provider/model" to `ModelPrice`, before the library's prices; True: these alone; False: none.
        telemetry: False for none; a Telemetry of your own; True for the global OpenTelemetry providers.
        lease_seconds: How long a dead process can hold a session on another machine; at least 0.1.
        stream_idle_seconds: How long a stream waits for its reader.

    Raises:
        ConfigurationError: An argument is wrong.
    """

    def __init__(
        self,
        storage: str | EngineStorage | SessionStorage = "sqlite",
        *,
        storage_config: Mapping[str, Any] | None = None,
        providers: Mapping[str, Any] | None = None,
        strategy: Strategy | str = Strategy.HYBRID,
        middleware: Iterable[SessionMiddleware] = (),
        hooks: Iterable[SessionLifecycleHook] = (),
        cleanup_config: CleanupConfig | Mapping[str, Any] | None = None,
        retry: RetryPolicy | None = None,
        turn_wait: float = 30.0,
        fallback: str | None = None,
        rate_limits: RateLimits | Mapping[str, Any] | None = None,
        summarizer: Summarizer | str | None = None,
        prices: PricesSetting = True,
        telemetry: bool | Telemetry = True,
        lease_seconds: float = 15.0,
        stream_idle_seconds: float = 20.0,
    ) -> None:
        self._strategy = check_strategy(strategy)
        self._cleanup = CleanupConfig.of(cleanup_config)
        self._bridge = Bridge()
        tracing = check_telemetry(telemetry)
        live = LiveProviders(check_providers(providers), rate_limits=RateLimits.of(rate_limits))
        stand_in = None if fallback is None else Fallback(live, check_name(fallback, field="fallback"))
        services = TurnServices(
            storage=open_storage(storage, storage_config),
            telemetry=tracing,
            hooks=HookRunner(tracing, check_members(hooks, field="hooks", methods=HOOK_POINTS)),
            events=EventBus(),
            middleware=check_members(middleware, field="middleware", methods=("process_message",)),
            retry=check_retry(retry),
            summaries=Summaries(check_summarizer(summarizer), live.aside),
            pricing=Pricing.of(prices, canonical=canonical_name),
            turn_wait=check_wait(turn_wait, field="turn_wait"),
            lease_seconds=check_wait(lease_seconds, field="lease_seconds", at_least=SHORTEST_LEASE_SECONDS),
            idle_seconds=check_wait(stream_idle_seconds, field="stream_idle_seconds"),
            fallback=None if stand_in is None else stand_in.open,
        )
        self._services = services
        self._made_storage = services.storage is not storage  # by its name, or as a wrapper around the user's own
        self._runtime = Runtime(
            services=services, engine=TurnEngine(services), providers=live, make_handle=Session, fallback=stand_in
        )

    def __repr__(self) -> str:
        """Name the storage and the providers, no secrets."""
        return f"<SessionManager on {self._services.storage.backend} with {', '.join(self._runtime.providers.names)}>"

    async def create_session(
        self,
        user_id: str,
        provider: str,
        model: str,
        *,
        provider_config: Mapping[str, Any] | None = None,
        session_config: SessionConfig | Mapping[str, Any] | None = None,
        strategy: Strategy | str | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Create a session.

        Args:
            user_id: Whose conversation it is.
            provider: "openai", "mock", or one you registered.
            model: The provider's name of the model.
            provider_config: temperature, max_tokens, base_url, instructions and the like.
            session_config: name, description, tags, max_messages, auto_archive_after and the like.
            strategy: "native", "client" or "hybrid"; None takes the manager's.
            session_id: An id of your own; None makes one.

        Raises:
            SessionExistsError: The id is taken.
            ConfigurationError: The provider, a key or a setting is missing or unknown.
            InvalidInputError: An id or name is empty or of the wrong type.

        Example:
            >>> async def begin(manager):
            ...     return await manager.create_session("user", "mock", "mock-model", session_id="first")
        """
        record = new_record(
            user_id,
            provider,
            model,
            session_id=session_id,
            strategy=self._strategy if strategy is None else strategy,
            session_config=session_config,
            provider_config=provider_config,
        )
        return cast("Session", await self._runtime.create(record))

    async def get_session(self, session_id: str) -> Session:
        """Return a session by its id.

        Raises:
            SessionNotFoundError: No such session, or it is deleted.
        """
        record = await self._services.storage.load_session(check_name(session_id, field="session_id"))
        if record is None or record.status is SessionStatus.DELETED:
            raise not_found(session_id)
        return self._session(record)

    async def open_session(self, session_id: str, *, user_id: str, provider: str, model: str) -> Session:
        """Return the session with this id, created if there is none; of several at once all get the same one.

        Raises:
            SessionNotFoundError: The id belongs to another user, or to a deleted session.
        """
        record = await self._services.storage.load_session(check_name(session_id, field="session_id"))
        if record is None:
            new = new_record(user_id, provider, model, session_id=session_id, strategy=self._strategy)
            if (made := await self._runtime.create_unless_there(new)) is not None:
                return cast("Session", made)
            record = await self._services.storage.load_session(session_id)
        if record is None or record.status is SessionStatus.DELETED or record.user_id != user_id:
            raise not_found(session_id)
        return self._session(record)

    # Listing

    async def get_user_sessions(
        self,
        user_id: str,
        status: SessionStatus | str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Session]:
        """Return a user's sessions, newest activity first; deleted ones only when `status` asks for them.

        Args:
            user_id: Whose sessions.
            status: Only this status.
            since: Only with activity since then.
            limit: At most this many.
            cursor: `next_cursor` of the page before.
        """
        return await self._listed(
            user_id=check_name(user_id, field="user_id"), status=status, since=since, limit=limit, cursor=cursor
        )

    async def search_sessions(
        self,
        user_id: str | None = None,
        tags: Sequence[str] | None = None,
        text: str | None = None,
        provider: str | None = None,
        status: SessionStatus | str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page[Session]:
        """Return the sessions every given condition holds for.

        Args:
            user_id: Whose.
            tags: All of these tags.
            text: Found in name or description, in any case of letters.
            provider: On this provider.
            status: In this status; deleted ones only when asked for.
            limit: At most this many.
            cursor: `next_cursor` of the page before.
        """
        return await self._listed(
            user_id=None if user_id is None else check_name(user_id, field="user_id"),
            status=status,
            limit=limit,
            cursor=cursor,
            tags=check_tags(tags, field="tags"),
            text=check_text(text, field="text"),
            provider=None if provider is None else check_name(provider, field="provider"),
        )

    # Within a session, by id

    async def send_message(self, session_id: str, content: Content, **options: Any) -> SessionMessage:
        """Say something in a session; see `Session.send_message` for the options."""
        held = self._runtime.handles.get(check_name(session_id, field="session_id"))
        session = cast("Session", held) if held is not None else await self.get_session(session_id)
        return await session.send_message(content, **options)

    async def append_messages(self, session_id: str, messages: Sequence[SessionMessage]) -> list[SessionMessage]:
        """Store messages outside any turn, all or none.

        Raises:
            SessionNotFoundError: No such session, or it is deleted.
            SessionArchivedError: The session is archived.
            InvalidInputError: One of them is no SessionMessage, or holds what cannot be stored.
        """
        check_name(session_id, field="session_id")
        stored = await append_messages(self._runtime, session_id, check_messages(messages, field="messages"))
        return list(stored.answers)

    async def archive_session(self, session_id: str) -> None:
        """Archive a session."""
        await transit(self._runtime, check_name(session_id, field="session_id"), ARCHIVE)

    async def restore_session(self, session_id: str) -> None:
        """Make an archived or deleted session active again."""
        await transit(self._runtime, check_name(session_id, field="session_id"), RESTORE)

    async def delete_session(self, session_id: str) -> None:
        """Delete a session softly."""
        await transit(self._runtime, check_name(session_id, field="session_id"), DELETE)

    async def handoff(self, session_id: str, provider: str, model: str, **options: Any) -> HandoffReport:
        """Let another provider or model answer; see `Session.handoff` for the options."""
        session = await self.get_session(session_id)
        return await session.handoff(provider, model, **options)

    # Cleaning up

    async def cleanup_inactive_sessions(self, days: float) -> int:
        """Archive active sessions without activity for this many days; return how many."""
        return await archive_inactive(self._runtime, check_days(days, field="days"))

    async def cleanup_archived_sessions(self, days: float) -> int:
        """Delete sessions that were archived this many days ago or earlier; return how many."""
        return await delete_archived(self._runtime, check_days(days, field="days"))

    async def cleanup_deleted_sessions(self, days: float) -> int:
        """Destroy sessions deleted this many days ago or earlier, with all their messages; return how many."""
        return await purge_deleted(self._runtime, check_days(days, field="days"))

    async def run_cleanup(self) -> dict[str, int]:
        """Apply cleanup_config and the sessions' auto_archive_after once; return how many were archived and deleted."""
        return await clean_up(self._runtime, self._cleanup)

    async def optimize_storage(self) -> dict[str, Any]:
        """Give back unused space; return what was done."""
        with self._services.storage_span("optimize"):
            return dict(await self._services.storage.optimize())

    # Knowing

    async def get_analytics(self, start_date: datetime | None = None, end_date: datetime | None = None) -> Analytics:
        """Return figures over the sessions and turns of a period (None: open end)."""
        return await self._services.storage.analytics(
            check_moment(start_date, field="start_date"), check_moment(end_date, field="end_date")
        )

    async def health_check(self) -> dict[str, Any]:
        """Return whether the storage reads and writes, and which providers are configured. Never raises."""
        try:
            storage: Mapping[str, Any] = await self._services.storage.check_health()
        except SessionError as error:
            storage = {"backend": self._services.storage.backend, "error": str(error)}
        status = "unhealthy" if "error" in storage else "healthy"
        return {"status": status, "storage": dict(storage), "providers": self._runtime.providers.names}

    def session_events(self, *, max_queue: int = 1000, overflow: Overflow | str = Overflow.DROP_OLDEST) -> EventStream:
        """Subscribe, now, to what happens to this manager's sessions.

        Args:
            max_queue: Events kept for a reader that is behind.
            overflow: What happens beyond that: "drop_oldest", "drop_newest" or "close".

        Returns:
            An async iterator of SessionEvent; its `dropped` counts what was lost.
        """
        return self._services.events.subscribe(max_queue=max_queue, overflow=overflow)

    def add_middleware(self, middleware: SessionMiddleware) -> None:
        """Add a middleware; it runs inside those added before."""
        self._services.middleware.extend(check_members([middleware], field="middleware", methods=("process_message",)))

    def add_lifecycle_hook(self, hook: SessionLifecycleHook) -> None:
        """Add a lifecycle hook."""
        self._services.hooks.hooks.extend(check_members([hook], field="hook", methods=HOOK_POINTS))

    # Its own life

    @property
    def bridge(self) -> Bridge:
        """The loop thread on which blocking code runs this manager's coroutines; started on first use."""
        return self._bridge

    async def close(self) -> None:
        """End running turns as interrupted and close what this manager made itself, even if a part cannot be closed."""
        async with AsyncExitStack() as closing:  # the last one first
            if self._made_storage:
                closing.push_async_callback(self._services.storage.close)
            closing.push_async_callback(self._runtime.providers.aclose)
            closing.callback(self._services.events.close)
            closing.push_async_callback(self._runtime.engine.close)

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def _session(self, record: SessionRecord) -> Session:
        return cast("Session", self._runtime.handle(record))

    async def _listed(
        self,
        *,
        status: SessionStatus | str | None,
        limit: int | None,
        cursor: str | None,
        since: datetime | None = None,
        **conditions: Any,
    ) -> Page[Session]:
        only = check_status(status, field="status")
        wanted = SessionFilter(
            statuses=(SessionStatus.ACTIVE, SessionStatus.ARCHIVED) if only is None else (only,),
            since=check_moment(since, field="since"),
            limit=check_count(limit, field="limit"),
            cursor=cursor,
            **conditions,
        )
        page = await self._services.storage.list_sessions(wanted)
        return Page([self._session(record) for record in page], next_cursor=page.next_cursor)
