"""SDK clients: one per event loop, retries off, closed with their loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.generated import (
    EndpointClients,
    check_has_twin,
    keep_requests_from_log,
    loop_clients,
    settings_of_twin,
)
from langswarm_sessions.providers.openai.credential import OpenAICredential, checked_key
from langswarm_sessions.providers.openai.profile import OPENAI_PROFILE, OPENAI_SETTINGS, check_native, profile_of
from langswarm_sessions.providers.openai.settings import check_metadata, text_format
from langswarm_sessions.providers.remote import RemoteConnection
from langswarm_sessions.providers.settings import Forms

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI

    from langswarm_sessions.providers.openai.adapter import OpenAIProviderSession
    from langswarm_sessions.providers.openai.chat_request import ChatDialect
    from langswarm_sessions.providers.openai.conversations import OpenTurn

__all__ = ["OpenAIConnection", "connect_openai"]

_OWN = ("base_url", "organization", "project")  # settings of a session that need a client of their own


class OpenAIConnection(RemoteConnection[EndpointClients["AsyncOpenAI"]]):
    """OpenAI, or a server that speaks its Responses API, for one manager."""

    name = "openai"
    profile = OPENAI_PROFILE
    settings = OPENAI_SETTINGS
    forms: ClassVar[Forms] = {"response_format": text_format}
    sdk = "openai.resources.responses"
    credential: OpenAICredential

    def __init__(self, credential: OpenAICredential) -> None:
        super().__init__(credential)
        self.unencrypted: set[tuple[str, str]] = set()
        """Addresses and models that refuse to encrypt reasoning, learned from their answers."""
        self.chat_dialects: dict[tuple[str, str], ChatDialect] = {}
        """What addresses and models take of Chat Completions, where it is not what they were first asked."""
        self.open_turns: dict[str, OpenTurn] = {}
        """Turns on conversations whose end is not known, by session."""

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings."""
        super().check_config(config)
        check_native(config)
        check_metadata(config)

    def profile_for(self, config: Mapping[str, Any]) -> ProviderProfile:
        """Return what the provider can do under a provider_config."""
        return profile_of(config, address=self.credential.address(config.get("base_url")))

    def forget(self, session_id: str) -> None:
        """Drop what is kept here of a conversation that was deleted."""
        self.open_turns.pop(session_id, None)

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> OpenAIProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.openai.adapter import OpenAIProviderSession

        return OpenAIProviderSession(session_id, model, config, connection=self)

    async def client(self, config: Mapping[str, Any]) -> AsyncOpenAI:
        """Return the running loop's client for a session's settings."""
        return (await self.loop_client()).for_config(config)

    def make_client(self) -> MadeClient[EndpointClients[AsyncOpenAI]]:
        """Return the clients of a new loop."""
        import openai

        keep_requests_from_log("openai")
        given = self.credential.client
        if given is None:
            made = _from_credential(self.credential)
            return MadeClient(EndpointClients(made, _OWN), made.close)
        return loop_clients(
            given,
            own=_OWN,
            is_blocking=isinstance(given, openai.OpenAI),
            twin=lambda: _async_twin(given),
            pool=_pool,
        )


def connect_openai(credential: object) -> OpenAIConnection:
    """Return a connection to OpenAI.

    Args:
        credential: None, a key, a dict, or a ready-made OpenAI or AsyncOpenAI client.

    Raises:
        ConfigurationError: It is something else.
    """
    return OpenAIConnection(OpenAICredential.of(credential))


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
        http_client=_pool(),
    )


def _pool() -> httpx2.AsyncClient:
    """Return a pool of connections that follows no redirect: the conversation would go along, wherever it leads."""
    from openai import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient(follow_redirects=False)


def _checking(provide: Callable[[], Awaitable[str]]) -> Callable[[], Awaitable[str]]:
    """Return a key function that refuses what cannot be sent, in words that do not show it."""

    async def key() -> str:
        return checked_key(await provide())

    return key


def _async_twin(given: Any) -> AsyncOpenAI:
    """Return an async client with the settings of a blocking one."""
    import openai

    check_has_twin(given, openai.OpenAI, provider="openai")
    return openai.AsyncOpenAI(
        api_key=_key_of(given),
        admin_api_key=given.admin_api_key,
        organization=given.organization,
        project=given.project,
        http_client=_pool(),
        **settings_of_twin(given),
    )


def _key_of(given: Any) -> str | Callable[[], Awaitable[str]]:
    provide: Callable[[], str] | None = getattr(given, "_api_key_provider", None)
    if provide is None:
        return str(given.api_key)

    async def key() -> str:
        return await asyncio.to_thread(provide)

    return key
