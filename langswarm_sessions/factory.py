"""Making managers: presets, the process-wide one, and one-line starts."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Literal, cast, overload

from langswarm_sessions.blocking import BlockingSession, BlockingSessionManager
from langswarm_sessions.checks import check_dict
from langswarm_sessions.config import CleanupConfig, RetryPolicy, Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.forks import fork_safe_lock
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.interfaces.summarizer import Summarizer
from langswarm_sessions.interfaces.traffic import RateLimits
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.presets import PRESETS, Preset, show_log
from langswarm_sessions.prices import PricesSetting
from langswarm_sessions.session import Session
from langswarm_sessions_otel import Telemetry

__all__ = [
    "create_session_manager",
    "create_simple_session",
    "get_session_manager",
    "session_context",
    "set_session_manager",
]

Storage = str | EngineStorage | SessionStorage
PresetName = Literal["development", "production"]


@overload
def create_session_manager(
    storage: Storage | None = ...,
    *,
    storage_config: Mapping[str, Any] | None = ...,
    providers: Mapping[str, Any] | None = ...,
    preset: PresetName | None = ...,
    strategy: Strategy | str = ...,
    middleware: Iterable[SessionMiddleware] | None = ...,
    hooks: Iterable[SessionLifecycleHook] | None = ...,
    cleanup_config: CleanupConfig | Mapping[str, Any] | None = ...,
    retry: RetryPolicy | None = ...,
    turn_wait: float = ...,
    fallback: str | None = ...,
    rate_limits: RateLimits | Mapping[str, Any] | None = ...,
    summarizer: Summarizer | str | None = ...,
    prices: PricesSetting = ...,
    telemetry: bool | Telemetry = ...,
    blocking: Literal[False] = ...,
) -> SessionManager: ...


@overload
def create_session_manager(
    storage: Storage | None = ...,
    *,
    storage_config: Mapping[str, Any] | None = ...,
    providers: Mapping[str, Any] | None = ...,
    preset: PresetName | None = ...,
    strategy: Strategy | str = ...,
    middleware: Iterable[SessionMiddleware] | None = ...,
    hooks: Iterable[SessionLifecycleHook] | None = ...,
    cleanup_config: CleanupConfig | Mapping[str, Any] | None = ...,
    retry: RetryPolicy | None = ...,
    turn_wait: float = ...,
    fallback: str | None = ...,
    rate_limits: RateLimits | Mapping[str, Any] | None = ...,
    summarizer: Summarizer | str | None = ...,
    prices: PricesSetting = ...,
    telemetry: bool | Telemetry = ...,
    blocking: Literal[True],
) -> BlockingSessionManager: ...


def create_session_manager(
    storage: Storage | None = None,
    *,
    storage_config: Mapping[str, Any] | None = None,
    providers: Mapping[str, Any] | None = None,
    preset: PresetName | None = None,
    strategy: Strategy | str = Strategy.HYBRID,
    middleware: Iterable[SessionMiddleware] | None = None,
    hooks: Iterable[SessionLifecycleHook] | None = None,
    cleanup_config: CleanupConfig | Mapping[str, Any] | None = None,
    retry: RetryPolicy | None = None,
    turn_wait: float = 30.0,
    fallback: str | None = None,
    rate_limits: RateLimits | Mapping[str, Any] | None = None,
    summarizer: Summarizer | str | None = None,
    prices: PricesSetting = True,
    telemetry: bool | Telemetry = True,
    blocking: bool = False,
) -> SessionManager | BlockingSessionManager:
    """Make a manager. Nothing is opened, and no event loop is needed, until it is used.

    Args:
        storage: "sqlite" (default: ./langswarm_sessions.db), "memory", a SQLAlchemy URL, or a storage object.
        storage_config: Arguments for a storage given by name, such as `db_path`.
        providers: Provider names to a key, a configuration, a ready-made client, a factory, or None.
        preset: "development" (memory, debug logging, detailed errors) or "production" (SQLite with WAL, cleanup,
            rate limits, monitoring of errors and slow turns). An explicit argument beats it.
        strategy: "hybrid", "native" or "client".
        middleware: Wraps every turn, outermost first.
        hooks: Told of what happened.
        cleanup_config: archive_after_days, delete_after_days, max_messages_per_session.
        retry: How provider failures are retried.
        turn_wait: Seconds a turn waits for another one of its session.
        fallback: "provider" or "provider/model" that answers when a session's own provider cannot.
        rate_limits: requests_per_minute and tokens_per_minute of each provider and key that says nothing else.
        summarizer: A function or "provider/model" that summarises what falls out of the window.
        prices: A dict of "provider/model" to `ModelPrice`, which comes before the library's prices; True: the library's
            alone; False: turns are not priced.
        telemetry: False for none.
        blocking: Return the face without await.

    Raises:
        ConfigurationError: An argument is unknown or wrong.

    Example:
        >>> manager = create_session_manager(storage="memory", blocking=True)
        >>> session = manager.create_session("user", "mock", "mock-model")
        >>> session.send_message("hi").content
        'Mock response to: hi'
        >>> manager.close()
    """
    chosen, given = _preset(preset), check_dict(storage_config, field="storage_config")
    manager = SessionManager(
        storage if storage is not None else chosen.storage,
        storage_config={**(chosen.storage_config if storage is None else {}), **given},
        providers=providers,
        strategy=strategy,
        middleware=chosen.middleware() if middleware is None else middleware,
        hooks=chosen.hooks() if hooks is None else hooks,
        cleanup_config=cleanup_config if cleanup_config is not None else chosen.cleanup,
        retry=retry,
        turn_wait=turn_wait,
        fallback=fallback,
        rate_limits=chosen.rate_limits if rate_limits is None else rate_limits,
        summarizer=summarizer,
        prices=prices,
        telemetry=telemetry,
    )
    if chosen.log_level is not None:
        show_log(chosen.log_level)
    return BlockingSessionManager(manager) if blocking else manager


@overload
def create_simple_session(
    user_id: str = ..., provider: str = ..., model: str = ..., *, blocking: Literal[True], **manager_arguments: Any
) -> BlockingSession: ...


@overload
def create_simple_session(
    user_id: str = ...,
    provider: str = ...,
    model: str = ...,
    *,
    blocking: Literal[False] = ...,
    **manager_arguments: Any,
) -> Coroutine[Any, Any, Session]: ...


def create_simple_session(
    user_id: str = "user",
    provider: str = "mock",
    model: str = "mock-model",
    *,
    blocking: bool = False,
    **manager_arguments: Any,
) -> Coroutine[Any, Any, Session] | BlockingSession:
    """Make a manager and one session of it in one call; closing the session closes both.

    Args:
        user_id: Whose conversation it is.
        provider: The provider's name.
        model: The model's name.
        blocking: Return the session without await.
        **manager_arguments: Passed to `create_session_manager`.
    """
    manager = cast("SessionManager", create_session_manager(**manager_arguments))
    opened = _open_with_its_manager(manager, user_id, provider, model)
    if not blocking:
        return opened
    try:
        return BlockingSession(manager.bridge.call(lambda: opened), manager.bridge, closes_bridge=True)
    except BaseException:
        manager.bridge.close()
        raise


async def _open_with_its_manager(manager: SessionManager, user_id: str, provider: str, model: str) -> Session:
    try:
        session = await manager.create_session(user_id, provider, model)
    except BaseException:
        await manager.close()
        raise
    session.close_with(manager.close)
    return session


class session_context:
    """Create a session for a block; it stays in the storage afterwards.

    With a manager: `async with session_context(manager, ...) as session`. With a blocking one: `with ...`.

    Args:
        manager: The manager to create it with.
        user_id: Whose conversation it is.
        provider: The provider's name.
        model: The model's name.
        **session_arguments: Passed to `manager.create_session`.
    """

    def __init__(
        self,
        manager: SessionManager | BlockingSessionManager,
        user_id: str,
        provider: str,
        model: str,
        **session_arguments: Any,
    ) -> None:
        self._manager = manager
        self._awaited = _awaited(manager, field="session_context: manager")
        self._arguments = (user_id, provider, model)
        self._options = session_arguments

    async def __aenter__(self) -> Session:
        """Create the session."""
        return await self._awaited.create_session(*self._arguments, **self._options)

    async def __aexit__(self, *_: object) -> None:
        """Leave the session as it is."""

    def __enter__(self) -> BlockingSession:
        """Create the session, without await."""
        if not isinstance(self._manager, BlockingSessionManager):
            raise ConfigurationError("'with session_context(...)' needs a blocking manager; use 'async with' here.")
        return self._manager.create_session(*self._arguments, **self._options)

    def __exit__(self, *_: object) -> None:
        """Leave the session as it is."""


_lock = fork_safe_lock()
_process_wide: SessionManager | None = None
_was_set = False


def get_session_manager() -> SessionManager:
    """Return the process-wide manager; made with all defaults when none was set."""
    global _process_wide
    with _lock:
        if _process_wide is None:
            _process_wide = create_session_manager()
        return _process_wide


def set_session_manager(manager: SessionManager | BlockingSessionManager | None) -> None:
    """Set the process-wide manager; None forgets it (it is not closed)."""
    global _process_wide, _was_set
    found = None if manager is None else _awaited(manager, field="manager")
    with _lock:
        _process_wide = found
        _was_set = found is not None


def session_manager_is_set() -> bool:
    """Whether `set_session_manager` named the process-wide manager; one made with all defaults was not set."""
    with _lock:
        return _was_set


def _preset(name: str | None) -> Preset:
    if name is None:
        return Preset()
    if not isinstance(cast("object", name), str) or name not in PRESETS:
        raise ConfigurationError(f"preset must be one of {', '.join(PRESETS)} (or None).")
    return PRESETS[name]


def _awaited(manager: object, *, field: str) -> SessionManager:
    """Return a manager, or the one behind a blocking face."""
    found = manager.manager if isinstance(manager, BlockingSessionManager) else manager
    if not isinstance(found, SessionManager):
        raise ConfigurationError(f"{field} must be a manager; make one with create_session_manager().")
    return found
