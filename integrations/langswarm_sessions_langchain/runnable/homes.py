"""Where chat models send their requests: what an answer cost is known at a provider's own address."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel

__all__ = ["endpoint_of", "may_be"]

_CLIENTS = ("root_async_client", "_async_client", "async_client", "root_client", "_client", "client")
_NAMES = ("model_name", "model", "model_id", "azure_deployment", "deployment_name")
_VERSION = re.compile(r"[-@](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{4}|\d{3})(?:-v\d+)?(?::\d+)?")
_NEITHER = (None, None)


def may_be(told: str, model: BaseChatModel) -> bool:
    """Whether the model that an answer tells may be the one that a chat model asks for, or a dated version of it.

    Args:
        told: What the answer says.
        model: A chat model of any package.
    """
    values = (getattr(model, name, None) for name in _NAMES)
    names = {value.removeprefix("models/") for value in values if isinstance(value, str) and value}
    stems = {name.removesuffix("-latest") for name in names}
    told = told.removeprefix("models/")
    return told in names or any(told.startswith(stem) and _VERSION.fullmatch(told, len(stem)) for stem in stems)


def endpoint_of(model: BaseChatModel) -> tuple[str | None, int | None]:
    """Return host and port that a chat model's requests go to; (None, None) when it does not tell.

    Args:
        model: A chat model of any package; its client knows.
    """
    for name in _CLIENTS:
        try:
            url = _url_of(getattr(model, name, None))
            parts = urlsplit(url) if url else None
            if parts is not None and parts.hostname:
                return parts.hostname, parts.port or (80 if parts.scheme == "http" else 443)
        except Exception:  # noqa: BLE001 - clients of others: whatever they raise, nothing is known
            continue
    return _NEITHER


def _url_of(client: object) -> str | None:
    """Return the address in a client of one of the SDKs that chat models are made with."""
    for holder in (client, getattr(client, "_client", None), getattr(client, "meta", None)):
        for name in ("base_url", "_base_url", "endpoint_url"):
            found = getattr(holder, name, None)
            if found is not None and "://" in str(found):
                return str(found)
    options: object = getattr(getattr(client, "_api_client", None), "_http_options", None)
    found = getattr(options, "base_url", None)
    return str(found) if found else None
