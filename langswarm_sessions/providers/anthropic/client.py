"""SDK clients: one per event loop, retries off, closed with their loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.anthropic.credential import AnthropicCredential
from langswarm_sessions.providers.anthropic.profile import ANTHROPIC_PROFILE, profile_of
from langswarm_sessions.providers.anthropic.request import Dialect, wire_tool_choice
from langswarm_sessions.providers.anthropic.settings import check_values
from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.generated import (
    EndpointClients,
    check_has_twin,
    keep_requests_from_log,
    loop_clients,
    settings_of_twin,
)
from langswarm_sessions.providers.remote import RemoteConnection
from langswarm_sessions.providers.settings import Forms

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

    from langswarm_sessions.providers.anthropic.adapter import AnthropicProviderSession

__all__ = ["AnthropicConnection", "connect_anthropic"]

_OWN = ("base_url",)  # settings of a session that need a client of their own


class AnthropicConnection(RemoteConnection[EndpointClients["AsyncAnthropic"]]):
    """Anthropic, or a server that speaks its Messages API, for one manager."""

    name = "anthropic"
    profile = ANTHROPIC_PROFILE
    forms: ClassVar[Forms] = {"tool_choice": wire_tool_choice}
    sdk = "anthropic.resources.beta.messages"
    credential: AnthropicCredential

    def __init__(self, credential: AnthropicCredential) -> None:
        super().__init__(credential)
        self.dialects: dict[tuple[str, str], Dialect] = {}
        """What models at addresses turned out to take, learned from their refusals."""

    def profile_for(self, config: Mapping[str, Any]) -> ProviderProfile:
        """Return what Anthropic can do under a provider_config."""
        return profile_of(config)

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings, and values the Messages API has no word for."""
        super().check_config(config)
        check_values(config)

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> AnthropicProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.anthropic.adapter import AnthropicProviderSession

        return AnthropicProviderSession(session_id, model, config, connection=self)

    async def client(self, config: Mapping[str, Any]) -> AsyncAnthropic:
        """Return the running loop's client for a session's settings."""
        return (await self.loop_client()).for_config(config)

    def make_client(self) -> MadeClient[EndpointClients[AsyncAnthropic]]:
        """Return the clients of a new loop."""
        import anthropic

        keep_requests_from_log("anthropic")
        given = self.credential.client
        if given is None:
            made = _from_credential(self.credential)
            return MadeClient(EndpointClients(made, _OWN), made.close)
        return loop_clients(
            given,
            own=_OWN,
            is_blocking=isinstance(given, anthropic.Anthropic),
            twin=lambda: _async_twin(given),
            pool=_pool,
        )


def connect_anthropic(credential: object) -> AnthropicConnection:
    """Return a connection to Anthropic.

    Args:
        credential: None, a key, a dict, or a ready-made Anthropic or AsyncAnthropic client.

    Raises:
        ConfigurationError: It is something else.
    """
    return AnthropicConnection(AnthropicCredential.of(credential))


def _from_credential(credential: AnthropicCredential) -> AsyncAnthropic:
    from anthropic import AsyncAnthropic, not_given

    return AsyncAnthropic(
        api_key=cast("str | None", credential.key),
        base_url=credential.address(None),
        timeout=not_given if credential.timeout is None else credential.timeout,
        default_headers=credential.default_headers,
        max_retries=0,
        http_client=_pool(),
        # A turn's own span tells of the call; the SDK's would tell it twice, and send the trace's id away.
        open_telemetry={"traces": False, "propagation": False},
    )


def _pool() -> httpx2.AsyncClient:
    """Return a pool of connections that follows no redirect: key and conversation would go along, wherever it leads."""
    from anthropic import DefaultAsyncHttpxClient

    return DefaultAsyncHttpxClient(follow_redirects=False)


def _async_twin(given: Any) -> AsyncAnthropic:
    """Return an async client with the settings of a blocking one."""
    import anthropic

    check_has_twin(given, anthropic.Anthropic, provider="anthropic")
    return anthropic.AsyncAnthropic(
        api_key=given.api_key,
        auth_token=given.auth_token if given.api_key is None else None,
        credentials=given.credentials if given.api_key is None and given.auth_token is None else None,
        http_client=_pool(),
        **settings_of_twin(given),
        open_telemetry={"traces": False, "propagation": False},
    )
