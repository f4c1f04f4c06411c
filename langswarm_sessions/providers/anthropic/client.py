"""SDK clients: one per event loop, retries off, closed with their loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.anthropic.credential import AnthropicCredential
from langswarm_sessions.providers.anthropic.profile import ANTHROPIC_PROFILE, profile_of
from langswarm_sessions.providers.anthropic.request import Dialect
from langswarm_sessions.providers.anthropic.settings import check_values
from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.remote import RemoteConnection

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic

    from langswarm_sessions.providers.anthropic.adapter import AnthropicProviderSession

__all__ = ["AnthropicConnection", "connect_anthropic"]

_SDK_OWN_HTTP_CLIENTS = frozenset({"AsyncHttpxClientWrapper", "SyncHttpxClientWrapper"})


@dataclass(frozen=True, slots=True)
class _Clients:
    """The clients of one event loop: they share one pool of connections."""

    client: AsyncAnthropic
    variants: dict[str, AsyncAnthropic] = field(default_factory=dict[str, "AsyncAnthropic"])

    def for_config(self, config: Mapping[str, Any]) -> AsyncAnthropic:
        """Return the client for a session's own base_url."""
        base_url = config.get("base_url")
        if base_url is None:
            return self.client
        if base_url not in self.variants:
            self.variants[base_url] = self.client.with_options(base_url=base_url)
        return self.variants[base_url]


class AnthropicConnection(RemoteConnection[_Clients]):
    """Anthropic, or a server that speaks its Messages API, for one manager."""

    name = "anthropic"
    profile = ANTHROPIC_PROFILE
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

    def make_client(self) -> MadeClient[_Clients]:
        """Return a client for a new loop; a ready-made one with a pool of the user's own is used as it is."""
        import anthropic

        given = self.credential.client
        if given is None:
            made = _from_credential(self.credential)
        elif isinstance(given, anthropic.Anthropic):
            made = _async_twin(given)
        elif not _has_sdk_http_client(given):
            return MadeClient(_Clients(given.with_options(max_retries=0)), None)
        else:
            made = given.with_options(max_retries=0, http_client=_pool())
        return MadeClient(_Clients(made), made.close)


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


def _async_twin(given: object) -> AsyncAnthropic:
    """Return an async client with the settings of a blocking one."""
    import anthropic

    if type(given) is not anthropic.Anthropic or not _has_sdk_http_client(given):
        raise ConfigurationError(
            f"providers={{'anthropic': ...}}: this {type(given).__name__} has an http_client or a way to sign in of "
            "its own, which async requests cannot use. Pass the async client of the same kind instead.",
            provider="anthropic",
        )
    return anthropic.AsyncAnthropic(
        api_key=given.api_key,
        auth_token=given.auth_token if given.api_key is None else None,
        credentials=given.credentials if given.api_key is None and given.auth_token is None else None,
        base_url=given.base_url,
        timeout=given.timeout,
        default_headers=cast(Mapping[str, str], getattr(given, "_custom_headers", {})),
        default_query=cast(Mapping[str, object], getattr(given, "_custom_query", {})),
        max_retries=0,
        http_client=_pool(),
        open_telemetry={"traces": False, "propagation": False},
    )


def _has_sdk_http_client(client: object) -> bool:
    """Whether a client uses the SDK's own default pool, so that another loop may have a pool of its own."""
    return type(getattr(client, "_client", None)).__name__ in _SDK_OWN_HTTP_CLIENTS
