"""SDK clients: one per event loop, closed with their loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.mistral.credential import MistralCredential
from langswarm_sessions.providers.mistral.profile import MISTRAL_PROFILE, check_native, profile_of
from langswarm_sessions.providers.mistral.request import wire_format
from langswarm_sessions.providers.remote import RemoteConnection
from langswarm_sessions.providers.settings import Forms
from langswarm_sessions.providers.tools import normal_tool_choice

if TYPE_CHECKING:
    from mistralai.client import Mistral

    from langswarm_sessions.providers.mistral.adapter import MistralProviderSession

__all__ = ["MistralConnection", "connect_mistral", "server_address"]

_SDK_SECONDS = 300
"""The SDK's own limit, for clients made here as well."""


class MistralConnection(RemoteConnection["Mistral"]):
    """Mistral, or a server that speaks its API, for one manager."""

    name = "mistral"
    profile = MISTRAL_PROFILE
    forms: ClassVar[Forms] = {"response_format": wire_format, "tool_choice": normal_tool_choice}
    sdk = "langswarm_sessions.providers.mistral.sdk"
    credential: MistralCredential

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings, and a kind of conversation Mistral does not keep."""
        super().check_config(config)
        check_native(config)

    def profile_for(self, config: Mapping[str, Any]) -> ProviderProfile:
        """Return what Mistral can do under a provider_config."""
        return profile_of(config)

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> MistralProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.mistral.adapter import MistralProviderSession

        return MistralProviderSession(session_id, model, config, connection=self)

    def make_client(self) -> MadeClient[Mistral]:
        """Return a client for a new loop; a ready-made one with an async_client of the user's own is used as it is."""
        given = self.credential.client
        if given is not None and given.sdk_configuration.async_client_supplied:
            return MadeClient(given, None)
        return _from_credential(self.credential) if given is None else _twin(given)


def connect_mistral(credential: object) -> MistralConnection:
    """Return a connection to Mistral.

    Args:
        credential: None, a key, a dict, or a ready-made Mistral client.

    Raises:
        ConfigurationError: It is something else.
    """
    return MistralConnection(MistralCredential.of(credential))


def server_address(address: str) -> str:
    """Return an address as the SDK takes it: it adds the version to the path itself.

    Example:
        >>> server_address("http://127.0.0.1:8000/v1/")
        'http://127.0.0.1:8000'
    """
    return address.rstrip("/").removesuffix("/v1")


def _from_credential(credential: MistralCredential) -> MadeClient[Mistral]:
    import httpx2
    from mistralai.client import Mistral
    from mistralai.client.utils.logger import NoOpLogger

    http = httpx2.AsyncClient(headers=credential.default_headers)
    seconds = _SDK_SECONDS if credential.timeout is None else credential.timeout
    key = credential.key
    client = Mistral(
        api_key=key if isinstance(key, str) else None,
        server_url=server_address(credential.address(None)),
        async_client=http,
        timeout_ms=max(1, round(seconds * 1000)),
        debug_logger=NoOpLogger(),  # the SDK's own writes bodies and keys into the log
    )
    return MadeClient(client, http.aclose)


def _twin(given: Mistral) -> MadeClient[Mistral]:
    """Return a client with the settings of a ready-made one and a pool of its own: a pool belongs to one loop."""
    import httpx2
    from mistralai.client import Mistral

    settings = given.sdk_configuration
    http = httpx2.AsyncClient()
    client = Mistral(
        server_url=settings.get_server_details()[0],
        async_client=http,
        timeout_ms=settings.timeout_ms,
        debug_logger=settings.debug_logger,
    )
    client.sdk_configuration.security = settings.security
    return MadeClient(client, http.aclose)
