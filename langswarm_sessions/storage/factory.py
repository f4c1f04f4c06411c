"""From a name, a URL or a storage of a user's own to the storage the engine works on."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, cast

from langswarm_sessions.checks import check_dict
from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, SessionError
from langswarm_sessions.interfaces.storage import EngineStorage, SessionStorage

__all__ = ["StorageFactory", "open_storage"]

AnyStorage = EngineStorage | SessionStorage
Maker = TypeVar("Maker", bound=Callable[..., Any])

_SQLITE_SCHEMES = ("sqlite", "sqlite+pysqlite")
_MEMORY_PATHS = ("", ":memory:")


class StorageFactory:
    """Makes storages by name.

    Example:
        >>> StorageFactory.create(backend="memory")
        InMemorySessionStorage()
    """

    _registered: ClassVar[dict[str, Callable[..., Any]]] = {}

    @classmethod
    def create(cls, backend: str = "sqlite", config: Mapping[str, Any] | None = None) -> AnyStorage:
        """Make a storage; nothing is opened yet.

        Args:
            backend: "memory", "sqlite", a SQLite URL (`sqlite:///path`), or a name that was registered.
            config: The storage's arguments by name, such as {"db_path": "sessions.db"}.

        Returns:
            The storage.

        Raises:
            ConfigurationError: The backend or an argument is unknown, or an argument's value is wrong.
        """
        arguments = dict(check_dict(config, field="config"))
        if not isinstance(backend, str):
            raise ConfigurationError(f"storage: must be a name or a URL, not {type(backend).__name__}.")
        if backend in cls._registered:
            return _registered(backend, cls._registered[backend], arguments)
        scheme, is_url, path = backend.partition("://")
        if scheme in _SQLITE_SCHEMES and is_url:
            return _from_sqlite_url(path, arguments)
        if backend in ("memory", "sqlite"):
            return _built_in(backend, arguments)
        names = ", ".join(repr(name) for name in sorted({"memory", "sqlite", *cls._registered}))
        raise ConfigurationError(
            f"storage: {scheme!r} is not available in this version. Use one of {names}, a sqlite:/// URL, "
            "or pass a SessionStorage of your own."
        )

    @classmethod
    def register(cls, name: str, factory: Maker) -> Maker:
        """Make a storage available by name.

        Args:
            name: The name for `create_session_manager(storage=name)`.
            factory: Called with the storage_config as keyword arguments; returns a SessionStorage (or EngineStorage).
                A class will do.

        Returns:
            `factory`, so that it can be used as a decorator with a name.

        Raises:
            ConfigurationError: The name is empty or looks like a URL, or the factory cannot be called.
        """
        if not isinstance(name, str) or not name or "://" in name:
            raise ConfigurationError("StorageFactory.register: name must be a non-empty string without '://'.")
        if not callable(factory):
            raise ConfigurationError("StorageFactory.register: factory must be callable.")
        cls._registered[name] = factory
        return factory


def open_storage(spec: str | EngineStorage | SessionStorage, config: Mapping[str, Any] | None = None) -> EngineStorage:
    """Return the storage the engine works on; nothing is opened yet.

    Args:
        spec: A backend's name, a SQLite URL, an EngineStorage, or a storage with the six methods of SessionStorage
            (a subclass or not), which is wrapped.
        config: The arguments of a storage named by a string.

    Raises:
        ConfigurationError: The storage or an argument is unknown or unusable.
    """
    arguments = check_dict(config, field="storage_config")
    if isinstance(spec, str):
        return _wrapped(StorageFactory.create(spec, arguments), is_ours=True)
    if arguments:
        raise ConfigurationError("storage_config is for storages named by a string; configure this one yourself.")
    return _wrapped(spec, is_ours=False)


def _wrapped(storage: object, *, is_ours: bool) -> EngineStorage:
    if isinstance(storage, EngineStorage):
        return storage
    if inspect.isclass(storage):
        raise ConfigurationError(f"storage: pass an instance, {storage.__name__}(...), not the class.")
    from langswarm_sessions.storage.simple import SimpleStorageAdapter

    return SimpleStorageAdapter(cast("SessionStorage", storage), closes_storage=is_ours)


def _registered(name: str, factory: Callable[..., Any], arguments: Mapping[str, Any]) -> AnyStorage:
    """Call the user's factory; what goes wrong in it is told as its own failure, with the cause."""
    try:
        inspect.signature(factory).bind(**arguments)
    except TypeError as error:
        raise ConfigurationError(f"storage_config: storage {name!r} cannot be made with it: {error}.") from error
    try:
        return cast("AnyStorage", factory(**arguments))
    except SessionError:
        raise
    except Exception as error:
        raise ConfigurationError(
            f"storage: the factory of {name!r} failed with {type(error).__name__}; see the cause of this error."
        ) from error


def _built_in(name: str, arguments: dict[str, Any]) -> AnyStorage:
    from langswarm_sessions.storage.sqlite import InMemorySessionStorage, SQLiteSessionStorage

    kind = SQLiteSessionStorage if name == "sqlite" else InMemorySessionStorage
    check_keys(arguments, inspect.signature(kind).parameters, where="storage_config")
    return kind(**arguments)


def _from_sqlite_url(path: str, arguments: dict[str, Any]) -> AnyStorage:
    if path and not path.startswith("/"):
        raise ConfigurationError("storage: a SQLite URL has three slashes before its path: sqlite:///sessions.db.")
    if "?" in path:
        raise ConfigurationError("storage: a SQLite URL takes no parameters; pass them as storage_config.")
    if "db_path" in arguments:
        raise ConfigurationError("storage_config: db_path is given by the URL already; leave one of them out.")
    if path.removeprefix("/") in _MEMORY_PATHS:
        return _built_in("memory", arguments)
    return _built_in("sqlite", {"db_path": path.removeprefix("/"), **arguments})
