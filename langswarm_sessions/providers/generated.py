"""Clients of the SDKs that one generator makes, OpenAI's and Anthropic's: alike down to their private names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from langswarm_sessions.errors import ConfigurationError
from langswarm_sessions.providers.clients import MadeClient

__all__ = ["EndpointClients", "check_has_twin", "keep_requests_from_log", "loop_clients", "settings_of_twin"]

_SDK_OWN_HTTP_CLIENTS = frozenset({"AsyncHttpxClientWrapper", "SyncHttpxClientWrapper"})
_LOGGED_OPTIONS = frozenset({"method", "url", "max_retries", "timeout"})

C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class EndpointClients(Generic[C]):
    """The clients of one event loop: one for each address in use, with one pool of connections.

    Args:
        client: The one that goes where the credential says.
        own: The settings of a session that make it go elsewhere.
    """

    client: C = field(repr=False)
    own: tuple[str, ...]
    _others: dict[tuple[object, ...], C] = field(default_factory=dict[tuple[object, ...], C], repr=False)

    def for_config(self, config: Mapping[str, Any]) -> C:
        """Return the client for a session's settings."""
        options = {name: config[name] for name in self.own if config.get(name) is not None}
        if not options:
            return self.client
        key = tuple(options.items())
        if key not in self._others:
            client: Any = self.client
            self._others[key] = client.with_options(**options)
        return self._others[key]


def loop_clients(
    given: Any,
    *,
    own: tuple[str, ...],
    is_blocking: bool,
    twin: Callable[[], C],
    pool: Callable[[], object],
) -> MadeClient[EndpointClients[C]]:
    """Return the clients of a new loop made of a ready-made one; a pool of the user's own is used as it is.

    Args:
        given: The ready-made client.
        own: See `EndpointClients`.
        is_blocking: Whether it is a blocking client.
        twin: Makes the async client of a blocking one.
        pool: Makes a pool of connections.
    """
    made: Any
    if is_blocking:
        made = twin()
    elif not _has_sdk_http_client(given):
        return MadeClient(EndpointClients(given.with_options(max_retries=0), own), None)
    else:
        made = given.with_options(max_retries=0, http_client=pool())
    return MadeClient(EndpointClients(made, own), made.close)


def check_has_twin(given: object, kind: type, *, provider: str) -> None:
    """Refuse a blocking client whose settings cannot all be carried over to an async one.

    Args:
        given: The client.
        kind: The SDK's own class of blocking clients.
        provider: Named in the error.

    Raises:
        ConfigurationError: It has a pool or credentials of its own kind.
    """
    if type(given) is not kind or not _has_sdk_http_client(given):
        raise ConfigurationError(
            f"providers={{'{provider}': ...}}: this {type(given).__name__} has an http_client or a way to sign in of "
            "its own, which async requests cannot use. Pass the async client of the same kind instead.",
            provider=provider,
        )


def settings_of_twin(given: Any) -> dict[str, Any]:
    """Return the settings that every blocking client has, for its async twin."""
    return {
        "base_url": given.base_url,
        "timeout": given.timeout,
        "default_headers": getattr(given, "_custom_headers", {}),
        "default_query": getattr(given, "_custom_query", {}),
        "max_retries": 0,
    }


def _has_sdk_http_client(client: object) -> bool:
    """Whether a client uses the SDK's own default pool, so that another loop may have a pool of its own."""
    return type(getattr(client, "_client", None)).__name__ in _SDK_OWN_HTTP_CLIENTS


def keep_requests_from_log(sdk: str) -> None:
    """Take what is asked out of the lines an SDK logs at DEBUG: some versions log the options of a request whole.

    Args:
        sdk: The SDK's package.
    """
    logging.getLogger(f"{sdk}._base_client").addFilter(_without_request)  # the same one again changes nothing


def _without_request(record: logging.LogRecord) -> bool:
    if isinstance(record.args, Mapping):  # a line with the options as its one argument
        record.args = {name: value for name, value in record.args.items() if name in _LOGGED_OPTIONS}
    return True
