"""Storages: SQLite, memory, and a user's own."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage
    from langswarm_sessions.interfaces.storage import SessionStorage as ISessionStorage
    from langswarm_sessions.storage.factory import StorageFactory, open_storage
    from langswarm_sessions.storage.simple import SimpleStorageAdapter
    from langswarm_sessions.storage.sqlite import InMemorySessionStorage, SQLiteSessionStorage

__all__ = [
    "EngineStorage",
    "ISessionStorage",
    "InMemorySessionStorage",
    "SQLiteSessionStorage",
    "SessionStorage",
    "SimpleStorageAdapter",
    "StorageFactory",
    "open_storage",
]

_HOMES = {
    "EngineStorage": "langswarm_sessions.interfaces.storage:EngineStorage",
    "ISessionStorage": "langswarm_sessions.interfaces.storage:SessionStorage",
    "InMemorySessionStorage": "langswarm_sessions.storage.sqlite:InMemorySessionStorage",
    "SQLiteSessionStorage": "langswarm_sessions.storage.sqlite:SQLiteSessionStorage",
    "SessionStorage": "langswarm_sessions.interfaces.storage:SessionStorage",
    "SimpleStorageAdapter": "langswarm_sessions.storage.simple:SimpleStorageAdapter",
    "StorageFactory": "langswarm_sessions.storage.factory:StorageFactory",
    "open_storage": "langswarm_sessions.storage.factory:open_storage",
}


def __getattr__(name: str) -> Any:
    """Import a storage when it is first used: none of them is loaded by importing this package."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(module), attribute)
