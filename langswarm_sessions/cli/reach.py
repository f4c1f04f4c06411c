"""Whether a provider answers, told by one small request that costs nothing."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from enum import Enum, auto
from urllib.parse import urlsplit

__all__ = ["Reached", "host_of", "reach"]

_SECONDS = 5.0


class Reached(Enum):
    """What came of it."""

    YES = auto()
    REFUSED = auto()
    ODD = auto()
    NO = auto()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows nothing: the key must not travel to another host."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow nothing."""


def host_of(address: str) -> str | None:
    """Return host and port of an HTTP address: what of it may be shown. None where it is no such address."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # a bracket that is not closed, a port that is no number
        return None
    return f"{parts.hostname}{port}" if parts.scheme in {"http", "https"} and parts.hostname else None


def reach(address: str, *, key: str) -> Reached:
    """Ask a provider for its list of models.

    Args:
        address: Base address of an API like OpenAI's.
        key: The key to ask with.
    """
    if host_of(address) is None:
        return Reached.NO
    opener = urllib.request.build_opener(_NoRedirects)
    try:
        request = urllib.request.Request(f"{address.rstrip('/')}/models", headers={"Authorization": f"Bearer {key}"})
        with opener.open(request, timeout=_SECONDS):
            return Reached.YES
    except urllib.error.HTTPError as error:
        with error:
            return Reached.REFUSED if error.code in {401, 403} else Reached.ODD
    except (OSError, ValueError, http.client.HTTPException):
        return Reached.NO
