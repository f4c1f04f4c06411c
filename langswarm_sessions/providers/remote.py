"""What the providers reached over HTTP share: connections with SDK clients, and live sessions that translate errors."""

from __future__ import annotations

import asyncio
import sys
from abc import abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Hashable, Mapping
from contextlib import aclosing
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

from langswarm_sessions.errors import NativeStateLostError, ProviderError
from langswarm_sessions.interfaces.provider import ProviderEvent, ProviderRequest
from langswarm_sessions.providers.base import BuiltInConnection, BuiltInProviderSession
from langswarm_sessions.providers.clients import LoopClients, MadeClient, silent_seconds
from langswarm_sessions.providers.credentials import KeyCredential
from langswarm_sessions.providers.traffic import fingerprint
from langswarm_sessions.providers.usable import UsableEvents

__all__ = ["RemoteConnection", "RemoteProviderSession"]

C = TypeVar("C")
T = TypeVar("T")


class RemoteConnection(BuiltInConnection, Generic[C]):
    """A provider let in by a key, for one manager: one SDK client per event loop, its own retries off.

    Args:
        credential: What `providers={...}` was given.
    """

    sdk: ClassVar[str]
    """The module that takes long to load; it is loaded in a thread before the first request."""

    def __init__(self, credential: KeyCredential) -> None:
        super().__init__()
        self.credential = self.traffic_settings = credential
        self._clients = LoopClients[C](self.make_client)

    @abstractmethod
    def make_client(self) -> MadeClient[C]:
        """Return a client for a new loop. No I/O."""

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse a missing SDK, a missing key, an empty model, and unknown or ill-typed settings."""
        self.credential.check()
        super().check(model, config)

    def endpoint(self, base_url: str | None) -> tuple[str | None, int | None]:
        """Return host and port of the address a session's requests go to; (None, None) when it cannot be read."""
        try:
            parts = urlsplit(self.credential.address(base_url))
            port = parts.port or (80 if parts.scheme == "http" else 443)
        except ValueError:
            return None, None
        return (parts.hostname, port) if parts.hostname else (None, None)

    def _shared_with(self, base_url: str | None) -> tuple[str, Hashable]:
        """Return where requests go, for people, and who shares their count: all with the same address and key."""
        host, _ = self.endpoint(base_url)
        where = self.name if host is None else f"{self.name} ({host})"
        key = self.credential.told_key
        if key is None:
            return where, (self.name, base_url, self._alone)
        return where, (self.name, self.credential.address(base_url), fingerprint(key))

    async def loop_client(self) -> C:
        """Return the running loop's client.

        Raises:
            MissingDependencyError: The SDK is not installed.
            ConfigurationError: A ready-made client cannot be used here, or there is no key that can be sent.
        """
        if (client := self._clients.get()) is not None:
            return client
        self.credential.check()  # a session of another process was checked there, not here
        if self.sdk not in sys.modules:  # loading it takes most of a second
            await asyncio.to_thread(import_module, self.sdk)
        return await self._clients.open()

    async def aclose(self) -> None:
        """Close the clients made here. Those of other loops are closed on their own loops."""
        await self._clients.aclose()


K = TypeVar("K", bound=RemoteConnection[Any])


class RemoteProviderSession(BuiltInProviderSession[K]):
    """A live session with a provider reached over HTTP.

    Args:
        session_id: The session it belongs to.
        model: The model's name, as the provider writes it.
        config: provider_config.
        connection: What it shares with the manager's other sessions of the provider.
        credential: Without a connection: a key, a dict (api_key, base_url, ...), a ready-made client, or None for
            the environment.

    Raises:
        ConfigurationError: Built by hand: there is no key, or a setting is unknown.
        MissingDependencyError: Built by hand: the SDK is not installed.
    """

    __slots__ = ()

    @classmethod
    @abstractmethod
    def connect(cls, credential: object) -> K:
        """Return a connection of a credential."""

    def __init__(
        self,
        session_id: str,
        model: str,
        config: Mapping[str, Any] | None = None,
        *,
        connection: K | None = None,
        credential: object = None,
    ) -> None:
        super().__init__(
            session_id,
            model,
            config,
            connection=connection or self.connect(credential),
            owns_connection=connection is None,
        )

    def endpoint(self) -> tuple[str | None, int | None]:
        """Return host and port requests go to."""
        return self._connection.endpoint(self._config.get("base_url"))

    async def stream_turn(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Send one request and yield its events as they come, ending with `Completed`."""
        is_streaming, usable = False, UsableEvents(self.name, request)
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    is_streaming = True
                    for passed_on in usable.take(event):
                        yield passed_on
            return
        except ProviderError as error:
            error.was_begun |= is_streaming
            raise
        except self._foreign_errors() as error:
            failure = self._translated(error, continued=request.native is not None, streaming=is_streaming)
        if isinstance(failure, ProviderError):
            failure.was_begun |= is_streaming
        raise failure  # outside: an error kept as another's context still holds the request, and so the key

    def translate(self, error: Exception) -> Exception:
        """Return this library's error for one of the SDK's; any other unchanged."""
        return self._translated(error, continued=False, streaming=False)

    @abstractmethod
    def _events(self, request: ProviderRequest) -> AsyncGenerator[ProviderEvent, None]:
        """Send one request and yield its events; foreign errors are raised as they are."""

    @abstractmethod
    def _foreign_errors(self) -> tuple[type[Exception], ...]:
        """Return the exceptions the SDK and what it stands on may raise."""

    @abstractmethod
    def _translated(self, error: Exception, *, continued: bool, streaming: bool) -> Exception:
        """Return this library's error for a foreign one.

        Args:
            error: What was raised.
            continued: Whether the request continued a conversation the provider keeps.
            streaming: Whether the answer had begun.
        """

    def _seconds(self, request: ProviderRequest | None, *, client: object) -> float | None:
        """Return how long a request may take: the turn's time, or the session's setting, whichever is less.

        Args:
            request: The request (None: one outside any turn).
            client: The timeout of the SDK's client; it stands where the session says nothing.
        """
        setting: float | None = self._config.get("timeout")
        left = None if request is None else request.timeout
        limits = (left, silent_seconds(client) if setting is None else setting)
        return min((limit for limit in limits if limit is not None), default=None)

    async def _asked(self, work: Awaitable[T]) -> T:
        """Await a request; a foreign error is raised as ours, with nothing of the request kept."""
        try:
            return await work
        except self._foreign_errors() as error:
            failure = self._translated(error, continued=True, streaming=False)
        raise failure

    async def _told(self, work: Awaitable[T]) -> T:
        """Await an answer about a model or a request; a foreign error is raised as ours, as in `_asked`."""
        try:
            return await work
        except self._foreign_errors() as error:
            failure = self._translated(error, continued=False, streaming=False)
        raise failure

    async def _deleted(self, work: Awaitable[object]) -> None:
        """Await a deletion; what is gone already is deleted."""
        try:
            await self._asked(work)
        except NativeStateLostError:
            pass
        except ProviderError as error:
            if error.status_code != 404:
                raise
