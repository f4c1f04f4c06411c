"""The interfaces users implement, and the data their methods are given.

The I-prefixed names are aliases of the same classes.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langswarm_sessions.config import SessionConfig
from langswarm_sessions.interfaces.hooks import SessionLifecycleHook, SessionMiddleware
from langswarm_sessions.interfaces.provider import (
    Completed,
    EngineProvider,
    EngineSession,
    ModelLimits,
    ProviderConnection,
    ProviderEvent,
    ProviderProfile,
    ProviderRequest,
    ProviderSession,
    Started,
    TextDelta,
    TurnRecorder,
)
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
from langswarm_sessions.interfaces.traffic import TrafficRules
from langswarm_sessions.messages import Role, SessionMessage
from langswarm_sessions.records import (
    NativeKind,
    NativeState,
    SessionContext,
    SessionMetrics,
    SessionStatus,
    TurnOptions,
    Usage,
)

if TYPE_CHECKING:
    from langswarm_sessions.manager import SessionManager as ISessionManager
    from langswarm_sessions.session import Session as ISession

ISessionStorage = SessionStorage
IProviderSession = ProviderSession
ISessionMiddleware = SessionMiddleware
ISessionLifecycleHook = SessionLifecycleHook

__all__ = [
    "Completed",
    "EngineProvider",
    "EngineSession",
    "EngineStorage",
    "IProviderSession",
    "ISession",
    "ISessionLifecycleHook",
    "ISessionManager",
    "ISessionMiddleware",
    "ISessionStorage",
    "ModelLimits",
    "NativeKind",
    "NativeState",
    "ProviderConnection",
    "ProviderEvent",
    "ProviderProfile",
    "ProviderRequest",
    "ProviderSession",
    "Role",
    "SessionConfig",
    "SessionContext",
    "SessionLifecycleHook",
    "SessionMessage",
    "SessionMetrics",
    "SessionMiddleware",
    "SessionStatus",
    "SessionStorage",
    "Started",
    "TextDelta",
    "TrafficRules",
    "TurnOptions",
    "TurnRecorder",
    "Usage",
]

_ABOVE = {
    "ISession": "langswarm_sessions.session:Session",
    "ISessionManager": "langswarm_sessions.manager:SessionManager",
}


def __getattr__(name: str) -> Any:
    """Resolve the two aliases of classes that live in higher layers."""
    if name in _ABOVE:
        module, _, attribute = _ABOVE[name].partition(":")
        return getattr(import_module(module), attribute)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
