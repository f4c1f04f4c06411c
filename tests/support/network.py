"""Loopback only: what leaves this machine is refused, and who might vouch for it is not asked."""

from __future__ import annotations

import ipaddress
import ssl
import sys
from typing import cast

LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"})

refused: list[str] = []
_installed: list[bool] = []


class ForeignHostError(RuntimeError):
    """A test, or the code under it, tried to reach another machine."""


def is_local(host: object) -> bool:
    """Tell whether a host, as given to the socket module, is this machine."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)
    if name.lower() in LOCAL_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def forbid_foreign_hosts() -> None:
    """Install the guard for the rest of this process; a second call changes nothing."""
    if not _installed:
        _installed.append(True)
        sys.addaudithook(_audit)


def trust_no_authority() -> None:
    """Load no certificates for the rest of this process.

    Nothing here speaks TLS, yet each client of a provider would read some 140 of them, which takes most of its test.
    """
    ssl.SSLContext.load_verify_locations = _load_nothing  # type: ignore[assignment, method-assign]


def _load_nothing(context: ssl.SSLContext, cafile: object = None, capath: object = None, cadata: object = None) -> None:
    pass


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in {"socket.connect", "socket.sendto"}:
        if not isinstance(arguments[1], tuple):
            return  # a path of a Unix socket
        address = cast("tuple[object, ...]", arguments[1])
        host = address[0]
    else:
        return
    if not is_local(host):
        refused.append(str(host))
        raise ForeignHostError(f"{event} to {host!r}: tests use loopback only")
