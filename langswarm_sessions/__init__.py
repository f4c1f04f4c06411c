"""Durable conversations over any LLM provider.

Example:
    >>> import asyncio
    >>> from langswarm_sessions import create_session_manager
    >>> async def main():
    ...     async with create_session_manager(storage="memory") as manager:
    ...         session = await manager.create_session("user", "mock", "mock-model")
    ...         return (await session.send_message("hi")).content
    >>> asyncio.run(main())
    'Mock response to: hi'

Every name is loaded when it is first used: importing this package loads no provider SDK and no database driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions.blocking import (
        BlockingSession,
        BlockingSessionManager,
        BlockingStream,
    )
    from langswarm_sessions.config import (
        CleanupConfig,
        RetryPolicy,
        SessionConfig,
        Strategy,
    )
    from langswarm_sessions.errors import (
        AuthenticationError,
        ConfigurationError,
        ContentRefusedError,
        ContextOverflowError,
        ImportFormatError,
        IncompleteStreamError,
        InvalidInputError,
        InvalidRequestError,
        MessageNotFoundError,
        MiddlewareError,
        MissingDependencyError,
        NativeStateLostError,
        ProviderError,
        ProviderTimeoutError,
        ProviderUnavailableError,
        QuotaExceededError,
        RateLimitError,
        SchemaError,
        SessionAccessError,
        SessionArchivedError,
        SessionBusyError,
        SessionError,
        SessionExistsError,
        SessionNotFoundError,
        StorageError,
        TurnConflictError,
    )
    from langswarm_sessions.events import (
        EventType,
        SessionEvent,
    )
    from langswarm_sessions.factory import (
        create_session_manager,
        create_simple_session,
        get_session_manager,
        session_context,
        set_session_manager,
    )
    from langswarm_sessions.handoff import (
        HandoffReport,
    )
    from langswarm_sessions.hooks import (
        LoggingHook,
        add_global_lifecycle_hook,
    )
    from langswarm_sessions.interfaces import (
        IProviderSession,
        ISession,
        ISessionLifecycleHook,
        ISessionManager,
        ISessionMiddleware,
        ISessionStorage,
        ProviderSession,
        SessionLifecycleHook,
        SessionMiddleware,
        SessionStorage,
    )
    from langswarm_sessions.manager import (
        SessionManager,
    )
    from langswarm_sessions.messages import (
        AudioPart,
        FilePart,
        ImagePart,
        ReasoningPart,
        RefusalPart,
        Role,
        SessionMessage,
        TextPart,
        ToolCall,
        ToolResult,
        TurnState,
    )
    from langswarm_sessions.middleware import (
        LoggingMiddleware,
        RedactionMiddleware,
        add_global_middleware,
    )
    from langswarm_sessions.prices import (
        ModelPrice,
    )
    from langswarm_sessions.providers import (
        AnthropicProviderSession,
        MockProviderSession,
        OpenAIProviderSession,
        ProviderSessionFactory,
    )
    from langswarm_sessions.records import (
        Analytics,
        Page,
        SessionContext,
        SessionMetrics,
        SessionStatus,
    )
    from langswarm_sessions.session import (
        Session,
    )
    from langswarm_sessions.storage import (
        InMemorySessionStorage,
        SQLiteSessionStorage,
        StorageFactory,
    )
    from langswarm_sessions.strategies import (
        TurnExplanation,
    )
    from langswarm_sessions.tools import ToolContext
    from langswarm_sessions.turns import (
        MessageStream,
        RunningTurn,
    )

_HOMES = {
    "blocking": (
        "BlockingSession",
        "BlockingSessionManager",
        "BlockingStream",
    ),
    "config": (
        "CleanupConfig",
        "RetryPolicy",
        "SessionConfig",
        "Strategy",
    ),
    "errors": (
        "AuthenticationError",
        "ConfigurationError",
        "ContentRefusedError",
        "ContextOverflowError",
        "ImportFormatError",
        "IncompleteStreamError",
        "InvalidInputError",
        "InvalidRequestError",
        "MessageNotFoundError",
        "MiddlewareError",
        "MissingDependencyError",
        "NativeStateLostError",
        "ProviderError",
        "ProviderTimeoutError",
        "ProviderUnavailableError",
        "QuotaExceededError",
        "RateLimitError",
        "SchemaError",
        "SessionAccessError",
        "SessionArchivedError",
        "SessionBusyError",
        "SessionError",
        "SessionExistsError",
        "SessionNotFoundError",
        "StorageError",
        "TurnConflictError",
    ),
    "events": (
        "EventType",
        "SessionEvent",
    ),
    "factory": (
        "create_session_manager",
        "create_simple_session",
        "get_session_manager",
        "session_context",
        "set_session_manager",
    ),
    "handoff": ("HandoffReport",),
    "hooks": (
        "LoggingHook",
        "add_global_lifecycle_hook",
    ),
    "interfaces": (
        "IProviderSession",
        "ISession",
        "ISessionLifecycleHook",
        "ISessionManager",
        "ISessionMiddleware",
        "ISessionStorage",
        "ProviderSession",
        "SessionLifecycleHook",
        "SessionMiddleware",
        "SessionStorage",
    ),
    "manager": ("SessionManager",),
    "messages": (
        "AudioPart",
        "FilePart",
        "ImagePart",
        "ReasoningPart",
        "RefusalPart",
        "Role",
        "SessionMessage",
        "TextPart",
        "ToolCall",
        "ToolResult",
        "TurnState",
    ),
    "middleware": (
        "LoggingMiddleware",
        "RedactionMiddleware",
        "add_global_middleware",
    ),
    "prices": ("ModelPrice",),
    "providers": (
        "MockProviderSession",
        "AnthropicProviderSession",
        "OpenAIProviderSession",
        "ProviderSessionFactory",
    ),
    "records": (
        "Analytics",
        "Page",
        "SessionContext",
        "SessionMetrics",
        "SessionStatus",
    ),
    "session": ("Session",),
    "storage": (
        "InMemorySessionStorage",
        "SQLiteSessionStorage",
        "StorageFactory",
    ),
    "strategies": ("TurnExplanation",),
    "tools": ("ToolContext",),
    "turns": (
        "MessageStream",
        "RunningTurn",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Analytics",
    "AnthropicProviderSession",
    "AudioPart",
    "AuthenticationError",
    "BlockingSession",
    "BlockingSessionManager",
    "BlockingStream",
    "CleanupConfig",
    "ConfigurationError",
    "ContentRefusedError",
    "ContextOverflowError",
    "EventType",
    "FilePart",
    "HandoffReport",
    "IProviderSession",
    "ISession",
    "ISessionLifecycleHook",
    "ISessionManager",
    "ISessionMiddleware",
    "ISessionStorage",
    "ImagePart",
    "ImportFormatError",
    "InMemorySessionStorage",
    "IncompleteStreamError",
    "InvalidInputError",
    "InvalidRequestError",
    "LoggingHook",
    "LoggingMiddleware",
    "MessageNotFoundError",
    "MessageStream",
    "MiddlewareError",
    "MissingDependencyError",
    "MockProviderSession",
    "ModelPrice",
    "NativeStateLostError",
    "OpenAIProviderSession",
    "Page",
    "ProviderError",
    "ProviderSession",
    "ProviderSessionFactory",
    "ProviderTimeoutError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "RateLimitError",
    "ReasoningPart",
    "RedactionMiddleware",
    "RefusalPart",
    "RetryPolicy",
    "Role",
    "RunningTurn",
    "SQLiteSessionStorage",
    "SchemaError",
    "Session",
    "SessionAccessError",
    "SessionArchivedError",
    "SessionBusyError",
    "SessionConfig",
    "SessionContext",
    "SessionError",
    "SessionEvent",
    "SessionExistsError",
    "SessionLifecycleHook",
    "SessionManager",
    "SessionMessage",
    "SessionMetrics",
    "SessionMiddleware",
    "SessionNotFoundError",
    "SessionStatus",
    "SessionStorage",
    "StorageError",
    "StorageFactory",
    "Strategy",
    "TextPart",
    "ToolCall",
    "ToolContext",
    "ToolResult",
    "TurnConflictError",
    "TurnExplanation",
    "TurnState",
    "add_global_lifecycle_hook",
    "add_global_middleware",
    "create_session_manager",
    "create_simple_session",
    "get_session_manager",
    "session_context",
    "set_session_manager",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
