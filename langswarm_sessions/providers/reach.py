"""Whether a request that failed had left at all. Pure; no transport is imported: its errors are known by name."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["never_left"]

_NOT_CONNECTED = frozenset(
    {
        "ClientConnectorError",
        "ConnectError",
        "ConnectTimeout",
        "ConnectTimeoutError",
        "ConnectionRefusedError",
        "ConnectionTimeoutError",
        "EndpointConnectionError",
        "NameResolutionError",
        "NewConnectionError",
        "PoolTimeout",
        "ProxyError",
        "UnsupportedProtocol",
        "gaierror",
    }
)
"""As httpx, aiohttp, urllib3, botocore and the sockets call it: no address, nobody there, no TLS, none free."""


def never_left(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that no connection was made: nothing was sent.

    What else happened while the error was handled (`__context__`) says nothing of this request.

    Args:
        error: What a request ended with (None: it was answered).

    Example:
        >>> never_left(ConnectionRefusedError()), never_left(ConnectionResetError())
        (True, False)
    """
    return any(kind.__name__ in _NOT_CONNECTED for cause in _causes(error) for kind in type(cause).__mro__)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
