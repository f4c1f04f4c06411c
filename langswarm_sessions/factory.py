"""Making managers: presets, the process-wide one, and one-line starts."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, cast, overload

from langswarm_sessions.blocking import BlockingSessionManager
from langswarm_sessions.config import CleanupConfig, RetryPolicy, Strategy
from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.manager import SessionManager
from langswarm_sessions.presets import PRESETS, Preset
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
    telemetry: bool | Telemetry = True,
    blocking: bool = False,
) -> SessionManager | BlockingSessionManager:
    """Make a manager. Nothing is opened, and no event loop is needed, until it is used.

    Args:
        storage: "sqlite" (default: ./langswarm_sessions.db), "memory", a SQLAlchemy URL, or a storage object.
        storage_config: Arguments for a storage given by name, such as `db_path`.
        providers: Provider names to a key, a configuration, a ready-made client, a factory, or None.
        preset: "development" (memory, debug logging) or "production" (SQLite with WAL, cleanup, logging of what
            happens). An explicit argument beats it.
        strategy: "hybrid", "native" or "client".
        middleware: Wraps every turn, outermost first.
        hooks: Told of what happened.
        cleanup_config: archive_after_days, delete_after_days, max_messages_per_session.
        retry: How provider failures are retried.
        turn_wait: Seconds a turn waits for another one of its session.
        fallback: "provider" or "provider/model" that answers when a session's own provider cannot.
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
    chosen = _preset(preset)
    manager = SessionManager(
        storage if storage is not None else chosen.storage,
        storage_config={**(chosen.storage_config if storage is None else {}), **(storage_config or {})},
        providers=providers,
        strategy=strategy,
        middleware=chosen.middleware() if middleware is None else middleware,
        hooks=chosen.hooks() if hooks is None else hooks,
        cleanup_config=cleanup_config if cleanup_config is not None else chosen.cleanup,
        retry=retry,
        turn_wait=turn_wait,
        fallback=fallback,
        telemetry=telemetry,
    )
    return BlockingSessionManager(manager) if blocking else manager


async def create_simple_session(
    user_id: str = "user", provider: str = "mock", model: str = "mock-model", **manager_arguments: Any
) -> Session:
    """Make a manager and one session of it in one call; `await session.close()` closes both.

    Args:
        user_id: Whose conversation it is.
        provider: The provider's name.
        model: The model's name.
        **manager_arguments: Passed to `create_session_manager`.
    """
    if manager_arguments.get("blocking"):
        raise ConfigurationError("create_simple_session is async; use create_session_manager(blocking=True) instead.")
    manager = cast("SessionManager", create_session_manager(**manager_arguments))
    session = await manager.create_session(user_id, provider, model)
    session.close_with(manager.close)
    return session


@asynccontextmanager
async def session_context(
    manager: SessionManager, user_id: str, provider: str, model: str, **session_arguments: Any
) -> AsyncGenerator[Session]:
    """Create a session for a block; it stays in the storage afterwards.

    Args:
        manager: The manager to create it with.
        user_id: Whose conversation it is.
        provider: The provider's name.
        model: The model's name.
        **session_arguments: Passed to `manager.create_session`.
    """
    yield await manager.create_session(user_id, provider, model, **session_arguments)


_lock = threading.Lock()
_process_wide: SessionManager | None = None


def get_session_manager() -> SessionManager:
    """Return the process-wide manager; made with all defaults when none was set."""
    global _process_wide
    with _lock:
        if _process_wide is None:
            _process_wide = create_session_manager()
        return _process_wide


def set_session_manager(manager: SessionManager | BlockingSessionManager | None) -> None:
    """Set the process-wide manager; None forgets it (it is not closed)."""
    global _process_wide
    with _lock:
        _process_wide = manager.manager if isinstance(manager, BlockingSessionManager) else manager


def _preset(name: str | None) -> Preset:
    if name is not None and name not in PRESETS:
        raise ConfigurationError(f"preset must be one of {', '.join(PRESETS)} (or None).")
    return PRESETS[name] if name is not None else Preset()
