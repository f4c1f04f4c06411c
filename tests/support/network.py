"""A guard that refuses every connection and look-up that leaves this machine."""

from __future__ import annotations

import ipaddress
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
