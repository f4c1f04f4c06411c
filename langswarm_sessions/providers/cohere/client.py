"""SDK clients: one per event loop, closed with their loop. What streams, the SDK never retries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.cohere.credential import CohereCredential, wrapper_of
from langswarm_sessions.providers.cohere.profile import COHERE_PROFILE, COHERE_SETTINGS
from langswarm_sessions.providers.cohere.request import wire_format
from langswarm_sessions.providers.remote import RemoteConnection
from langswarm_sessions.providers.settings import Forms
from langswarm_sessions.providers.tools import normal_tool_choice

if TYPE_CHECKING:
    import httpx
    from cohere import AsyncClientV2

    from langswarm_sessions.providers.cohere.adapter import CohereProviderSession

__all__ = ["CohereConnection", "connect_cohere"]


@dataclass(frozen=True, slots=True)
class _Clients:
    """The clients of one event loop: they share one pool of connections."""

    client: AsyncClientV2
    variants: dict[str, AsyncClientV2] = field(default_factory=dict[str, "AsyncClientV2"])

    def at(self, base_url: str | None) -> AsyncClientV2:
        """Return the client for a session's own base_url."""
        if base_url is None:
            return self.client
        if base_url not in self.variants:
            self.variants[base_url] = _moved(self.client, base_url)
        return self.variants[base_url]


class CohereConnection(RemoteConnection[_Clients]):
    """Cohere, or a server that speaks its v2 Chat API, for one manager."""

    name = "cohere"
    profile = COHERE_PROFILE
    settings = COHERE_SETTINGS
    forms: ClassVar[Forms] = {"response_format": wire_format, "tool_choice": normal_tool_choice}
    sdk = "cohere.client_v2"
    credential: CohereCredential

    def __init__(self, credential: CohereCredential) -> None:
        super().__init__(credential)
        self.sightless: set[tuple[str, str]] = set()
        """Addresses and models that take no images, learned from their answers."""

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> CohereProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.cohere.adapter import CohereProviderSession

        return CohereProviderSession(session_id, model, config, connection=self)

    async def client(self, config: Mapping[str, Any]) -> AsyncClientV2:
        """Return the running loop's client for a session's settings."""
        return (await self.loop_client()).at(config.get("base_url"))

    def make_client(self) -> MadeClient[_Clients]:
        """Return a client for a new loop; a ready-made one is used as it is, and not closed."""
        given: AsyncClientV2 | None = self.credential.client
        if given is not None:
            return MadeClient(_Clients(given), None)
        made = _from_credential(self.credential)
        return MadeClient(_Clients(made), _pool(made).aclose)


def connect_cohere(credential: object) -> CohereConnection:
    """Return a connection to Cohere.

    Args:
        credential: None, a key, a dict, or a ready-made AsyncClientV2.

    Raises:
        ConfigurationError: It is something else.
    """
    return CohereConnection(CohereCredential.of(credential))


def _from_credential(credential: CohereCredential) -> AsyncClientV2:
    from cohere import AsyncClientV2

    made = AsyncClientV2(
        api_key=credential.key,
        base_url=credential.address(None),
        timeout=credential.timeout,
        log_warning_experimental_features=False,
    )
    # What is sent is a conversation: it goes where it was sent to, and to no place that place names.
    _pool(made).follow_redirects = False
    return made


def _moved(client: AsyncClientV2, base_url: str) -> AsyncClientV2:
    """Return a client like another one, with its key and its pool, for another address."""
    from cohere import AsyncClientV2

    wrapper = wrapper_of(client)
    return AsyncClientV2(
        api_key=getattr(wrapper, "_token"),  # noqa: B009
        base_url=base_url,
        client_name=getattr(wrapper, "_client_name", None),
        timeout=wrapper.get_timeout(),
        httpx_client=_pool(client),
        log_warning_experimental_features=False,
    )


def _pool(client: AsyncClientV2) -> httpx.AsyncClient:
    pool: httpx.AsyncClient = wrapper_of(client).httpx_client.httpx_client
    return pool
