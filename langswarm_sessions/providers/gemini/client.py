"""SDK clients: one per event loop, retries and redirects off, closed with their loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from langswarm_sessions.interfaces.provider import ProviderProfile
from langswarm_sessions.providers.clients import MadeClient
from langswarm_sessions.providers.gemini.credential import GeminiCredential
from langswarm_sessions.providers.gemini.profile import GEMINI_PROFILE, check_choices, profile_of
from langswarm_sessions.providers.gemini.request import wire_choice
from langswarm_sessions.providers.remote import RemoteConnection
from langswarm_sessions.providers.settings import Forms

if TYPE_CHECKING:
    import httpx2
    from google.genai import Client
    from google.genai.types import HttpOptions

    from langswarm_sessions.providers.gemini.adapter import GeminiProviderSession

__all__ = ["DEFAULT_SECONDS", "GeminiConnection", "connect_gemini", "first_of"]

T = TypeVar("T")

DEFAULT_SECONDS = 600.0
"""How long a silent request may take unless anything says otherwise: the SDK would wait for ever."""

_Endpoint = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class GeminiClients:
    """The clients of one event loop: they share one pool of connections.

    They are kept for as long as the loop: an SDK client that is let go closes its transport under a running request.
    """

    client: Client
    variants: dict[_Endpoint, Client] = field(default_factory=dict["_Endpoint", "Client"])

    def for_config(self, config: Mapping[str, Any]) -> Client:
        """Return the client for a session's own base_url and api_version."""
        endpoint = (config.get("base_url"), config.get("api_version"))
        if endpoint == (None, None):
            return self.client
        if endpoint not in self.variants:
            base_url, api_version = endpoint
            given = {"base_url": base_url, "api_version": api_version}
            changed = {name: value for name, value in given.items() if value is not None}
            self.variants[endpoint] = _like(self.client, changed)
        return self.variants[endpoint]

    @property
    def seconds(self) -> float:
        """How long a silent request may take."""
        return (_options(self.client).timeout or 0) / 1000 or DEFAULT_SECONDS


class GeminiConnection(RemoteConnection[GeminiClients]):
    """The Gemini API, or a server that speaks it, for one manager."""

    name = "gemini"
    profile = GEMINI_PROFILE
    forms: ClassVar[Forms] = {"tool_choice": wire_choice}
    sdk = "google.genai.interactions"
    credential: GeminiCredential

    def profile_for(self, config: Mapping[str, Any]) -> ProviderProfile:
        """Return what the provider can do under a provider_config."""
        return profile_of(config)

    def check_config(self, config: Mapping[str, Any]) -> None:
        """Refuse unknown or ill-typed settings, and kinds of conversation Gemini has not."""
        super().check_config(config)
        check_choices(config)

    def open(self, session_id: str, model: str, config: Mapping[str, Any]) -> GeminiProviderSession:
        """Return the live session of one conversation. Nothing is sent or loaded yet."""
        from langswarm_sessions.providers.gemini.adapter import GeminiProviderSession

        return GeminiProviderSession(session_id, model, config, connection=self)

    def make_client(self) -> MadeClient[GeminiClients]:
        """Return a client for a new loop; a ready-made one with a pool of the user's own keeps it."""
        given = self.credential.client
        if given is not None and _has_own_pool(_options(given)):
            return MadeClient(GeminiClients(_like(given, {})), None)
        pool = _pool({} if given is None else _options(given).async_client_args or {})
        made = _from_credential(self.credential, pool) if given is None else _like(given, {"httpx_async_client": pool})
        return MadeClient(GeminiClients(made), pool.aclose)


_NOTED: ContextVar[list[Any] | None] = ContextVar("langswarm_sessions.gemini.responses", default=None)


async def _note(response: Any) -> None:
    if (noted := _NOTED.get()) is not None:
        noted.append(response)


async def first_of(stream: AsyncIterator[T], responses: list[Any]) -> T:
    """Return the first item of a stream of the SDK, and note the HTTP responses that answered for it.

    `generate_content_stream` gives no way to end its request: its generators are nested and closed one by one, by the
    garbage collector. Whoever leaves early closes the response instead.

    Args:
        stream: Not begun yet.
        responses: Extended.
    """
    token = _NOTED.set(responses)
    try:
        return await anext(stream)
    finally:
        _NOTED.reset(token)


def connect_gemini(credential: object) -> GeminiConnection:
    """Return a connection to Gemini.

    Args:
        credential: None, a key, a dict, or a ready-made google.genai Client.

    Raises:
        ConfigurationError: It is something else.
    """
    return GeminiConnection(GeminiCredential.of(credential))


def _pool(arguments: Mapping[str, Any]) -> httpx2.AsyncClient:
    """Return a pool of connections; of a client's `async_client_args` it takes what the SDK would give its own."""
    import httpx2

    known = signature(httpx2.AsyncClient).parameters
    # A redirect would carry the key to wherever it leads.
    settings: dict[str, Any] = {"follow_redirects": False}
    settings |= {name: value for name, value in arguments.items() if name in known}
    pool = httpx2.AsyncClient(**settings)
    pool.event_hooks["response"].append(_note)
    return pool


def _from_credential(credential: GeminiCredential, pool: Any) -> Client:
    from google.genai import Client
    from google.genai.types import HttpOptions, HttpRetryOptions

    key = credential.key
    return Client(
        vertexai=False,
        api_key=key if isinstance(key, str) else None,
        http_options=HttpOptions(
            base_url=credential.address(None),
            headers=dict(credential.default_headers or {}),
            timeout=round(credential.timeout * 1000) or 1 if credential.timeout is not None else None,
            retry_options=HttpRetryOptions(attempts=1),
            httpx_async_client=pool,
        ),
    )


def _like(given: Client, changed: Mapping[str, Any]) -> Client:
    """Return a client with the settings of another, but for retries and what is changed."""
    from google.genai import Client
    from google.genai.types import HttpRetryOptions

    inner: Any = given._api_client  # pyright: ignore[reportPrivateUsage]
    options = _options(given).model_copy(update={**changed, "retry_options": HttpRetryOptions(attempts=1)})
    is_keyed = inner.api_key is not None
    return Client(
        vertexai=bool(inner.vertexai),
        api_key=inner.api_key,
        credentials=None if is_keyed else inner._credentials,
        project=inner.project if inner.vertexai and not is_keyed else None,
        location=inner.location if inner.vertexai and not is_keyed else None,
        http_options=options,
    )


def _options(client: Client) -> HttpOptions:
    options: HttpOptions = client._api_client._http_options  # pyright: ignore[reportPrivateUsage]
    return options


def _has_own_pool(options: HttpOptions) -> bool:
    return any(getattr(options, name) is not None for name in ("httpx_async_client", "aiohttp_client"))
