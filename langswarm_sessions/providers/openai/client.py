"""SDK clients: one per event loop, retries off, closed with their loop."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.providers.base import BuiltInConnection
from langswarm_sessions.providers.openai.credential import OpenAICredential, checked_key
from langswarm_sessions.providers.openai.profile import OPENAI_PROFILE

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from langswarm_sessions.providers.openai.adapter import OpenAIProviderSession

__all__ = ["OpenAIConnection", "connect_openai"]

_SDK_OWN_HTTP_CLIENTS = frozenset({"AsyncHttpxClientWrapper", "SyncHttpxClientWrapper"})
_Endpoint = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _LoopClients:
    """The clients of one event loop: they share one pool of connections.

    `keeper` is an async generator that waits for its end. The loop ends it before it closes, and with it the client,
    so that no connection outlives its loop.
    """

    client: AsyncOpenAI
    keeper: AsyncGenerator[None, None] | None
    variants: dict[_Endpoint, AsyncOpenAI] = field(default_factory=dict["_Endpoint", "AsyncOpenAI"])

    def for_config(self, config: Mapping[str, Any]) -> AsyncOpenAI:
        """Return the client for a session's own base_url, organization and project."""
        endpoint = (config.get("base_url"), config.get("organization"), config.get("project"))
        if endpoint == (None, None, None):
            return self.client
        if endpoint not in self.variants:
            base_url, organization, project = endpoint
            self.variants[endpoint] = self.client.with_options(
                base_url=base_url, organization=organization, project=project
            )
        return self.variants[endpoint]


class OpenAIConnection(BuiltInConnection):
    """OpenAI, or a server that speaks its Responses API, for one manager.

    Args:
        credential: What `providers={"openai": ...}` was given.
    """

    name = "openai"
    profile = OPENAI_PROFILE

    def __init__(self, credential: OpenAICredential) -> None:
        super().__init__()
        self.credential = credential
        self.unencrypted: set[tuple[str, str]] = set()
        """Addresses and models that refuse to encrypt reasoning, learned from their answers."""
        self._per_loop: dict[asyncio.AbstractEventLoop, _LoopClients] = {}
        self._lock = threading.Lock()

    def check(self, model: str, config: Mapping[str, Any]) -> None:
        """Refuse a missing SDK, a missing key, an empty model, and unknown or ill-typed settings."""
        self.credential.check()
        super().check(model, config)

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings."""
        super().check_config(config)
        check_metadata(config)

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> OpenAIProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.openai.adapter import OpenAIProviderSession

        return OpenAIProviderSession(session_id, model, config, connection=self)

    def endpoint(self, base_url: str | None) -> tuple[str | None, int | None]:
        """Return host and port of the address a session's requests go to; (None, None) when it cannot be read."""
        try:
            parts = urlsplit(self.credential.address(base_url))
            port = parts.port or (80 if parts.scheme == "http" else 443)
        except ValueError:
            return None, None
        return (parts.hostname, port) if parts.hostname else (None, None)

    async def client(self, config: Mapping[str, Any]) -> AsyncOpenAI:
        """Return the running loop's client for a session's settings.

        Raises:
            MissingDependencyError: The SDK is not installed.
            ConfigurationError: A ready-made client cannot be used here, or there is no key that can be sent.
        """
        loop = asyncio.get_running_loop()
        clients = self._per_loop.get(loop)
        if clients is None:
            self.credential.check()  # a session of another process was checked there, not here
            if "openai" not in sys.modules:  # loading it takes most of a second
                await asyncio.to_thread(import_module, "openai.resources.responses")
            clients = self._per_loop.get(loop) or await self._open(loop)
        return clients.for_config(config)

    async def aclose(self) -> None:
        """Close the clients made here. Those of other loops are closed on their own loops."""
        with self._lock:
            per_loop, self._per_loop = self._per_loop, {}
        mine = per_loop.pop(asyncio.get_running_loop(), None)
        if mine is not None and mine.keeper is not None:
            await mine.keeper.aclose()
        # Dropping the last reference to a keeper makes its own loop end it.

    async def _open(self, loop: asyncio.AbstractEventLoop) -> _LoopClients:
        client, is_ours = self._made()
        keeper = _close_at_end(client) if is_ours else None
        clients = _LoopClients(client, keeper)
        with self._lock:
            self._per_loop = {known: kept for known, kept in self._per_loop.items() if not known.is_closed()}
            self._per_loop[loop] = clients
        if keeper is not None:
            await anext(keeper)  # from now on the loop knows it
        return clients

    def _made(self) -> tuple[AsyncOpenAI, bool]:
        """Return a client for a new loop, and whether it is ours to close."""
        import openai

        credential = self.credential
        given = credential.client
        if given is None:
            return _from_credential(credential), True
        if isinstance(given, openai.OpenAI):
            return _async_twin(given), True
        if not _has_sdk_http_client(given):  # the user's own pool: used as it is, on whatever loop
            return given.with_options(max_retries=0), False
        return given.with_options(max_retries=0, http_client=openai.DefaultAsyncHttpxClient()), True


def connect_openai(credential: object) -> OpenAIConnection:
    """Return a connection to OpenAI.

    Args:
        credential: None, a key, a dict, or a ready-made OpenAI or AsyncOpenAI client.

    Raises:
        ConfigurationError: It is something else.
    """
    return OpenAIConnection(OpenAICredential.of(credential))


async def _close_at_end(client: AsyncOpenAI) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await client.close()


def _from_credential(credential: OpenAICredential) -> AsyncOpenAI:
    from openai import AsyncOpenAI, not_given

    return AsyncOpenAI(
        api_key=_checking(credential.api_key) if callable(credential.api_key) else credential.api_key,
        base_url=credential.address(None),
        organization=credential.organization,
        project=credential.project,
        timeout=not_given if credential.timeout is None else credential.timeout,
        default_headers=credential.default_headers,
        max_retries=0,
    )


def _checking(provide: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """Return a key function that refuses what cannot be sent, in words that do not show it."""

    async def key() -> str:
        return checked_key(await provide())

    return key


def _async_twin(given: object) -> AsyncOpenAI:
    """Return an async client with the settings of a blocking one."""
    import openai

    if type(given) is not openai.OpenAI or not _has_sdk_http_client(given):
        raise ConfigurationError(
            f"providers={{'openai': ...}}: this {type(given).__name__} has an http_client or a way to sign in of its "
            "own, which async requests cannot use. Pass the async client of the same kind instead.",
            provider="openai",
        )
    return openai.AsyncOpenAI(
        api_key=_key_of(given),
        admin_api_key=given.admin_api_key,
        organization=given.organization,
        project=given.project,
        base_url=given.base_url,
        timeout=given.timeout,
        default_headers=cast(Mapping[str, str], getattr(given, "_custom_headers", {})),
        default_query=cast(Mapping[str, object], getattr(given, "_custom_query", {})),
        max_retries=0,
    )


def _key_of(given: Any) -> str | Callable[[], Awaitable[str]]:
    provide: Callable[[], str] | None = getattr(given, "_api_key_provider", None)
    if provide is None:
        return str(given.api_key)

    async def key() -> str:
        return await asyncio.to_thread(provide)

    return key


def _has_sdk_http_client(client: object) -> bool:
    """Whether a client uses the SDK's own default pool, so that another loop may have a pool of its own."""
    return type(getattr(client, "_client", None)).__name__ in _SDK_OWN_HTTP_CLIENTS


_METADATA_KEYS = ("thread_metadata", "conversation_metadata", "metadata")


def check_metadata(config: Mapping[str, Any]) -> None:
    """Refuse metadata the API would refuse: at most 16 pairs, keys of 64 and values of 512 characters.

    Raises:
        ConfigurationError: The message names the limit.
    """
    pairs = merged_metadata(config)
    too_long = any(len(key) > 64 or len(value) > 512 for key, value in pairs.items())
    if len(pairs) > 16 or too_long:
        raise ConfigurationError(
            "provider_config of openai: metadata takes at most 16 pairs, keys of 64 and values of 512 characters.",
            provider="openai",
        )


def merged_metadata(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata to attach to each response: thread's and conversation's and the plain one, as text."""
    merged: dict[str, Any] = {}
    for name in _METADATA_KEYS:
        merged.update(config.get(name) or {})
    return {str(key): value if isinstance(value, str) else str(value) for key, value in merged.items()}
