"""What `providers={"openai": ...}` may be, brought into one form. The SDK is not imported for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, MissingDependencyError
from langswarm_sessions.providers.openai.profile import DEFAULT_BASE_URL

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAICredential", "require_sdk"]

ApiKey = str | Callable[[], Awaitable[str]]

_WHERE = "providers={'openai': ...}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAICredential:
    """How requests are let in.

    Args:
        api_key: A key, or an async function that returns one; None takes `OPENAI_API_KEY`.
        base_url: The API's address; None takes `OPENAI_BASE_URL`, else OpenAI's.
        organization: None takes `OPENAI_ORG_ID`.
        project: None takes `OPENAI_PROJECT_ID`.
        timeout: Seconds without a byte after which a request is given up; None takes the SDK's default.
        default_headers: Sent with every request.
        client: A ready-made SDK client, which says all of the above.
    """

    api_key: ApiKey | None = field(default=None, repr=False)
    base_url: str | None = None
    organization: str | None = None
    project: str | None = None
    timeout: float | None = None
    default_headers: Mapping[str, str] | None = field(default=None, repr=False)
    client: AsyncOpenAI | OpenAI | None = field(default=None, repr=False)

    @classmethod
    def of(cls, value: object) -> OpenAICredential:
        """Return a credential from None, a key, a dict of the fields above, or an SDK client.

        Raises:
            ConfigurationError: It is something else, or a field is unknown or wrong.
        """
        if value is None:
            return cls()
        if isinstance(value, OpenAICredential):
            return value
        if isinstance(value, str):
            return cls(api_key=_checked_key(value))
        if isinstance(value, Mapping):
            return cls._of_mapping(cast(Mapping[str, Any], value))
        if _is_sdk_client(value):
            return cls(client=cast("AsyncOpenAI | OpenAI", value))
        raise ConfigurationError(
            f"{_WHERE}: give a key, a dict (api_key, base_url, ...), an OpenAI or AsyncOpenAI client, or None.",
            provider="openai",
        )

    @classmethod
    def _of_mapping(cls, data: Mapping[str, Any]) -> OpenAICredential:
        check_keys(data, cls.__slots__, where=_WHERE)
        if data.get("client") is not None and not _is_sdk_client(data["client"]):
            raise ConfigurationError(f"{_WHERE}: client must be an OpenAI or AsyncOpenAI client.", provider="openai")
        for name in ("base_url", "organization", "project"):
            if not isinstance(data.get(name), str | None):
                raise ConfigurationError(f"{_WHERE}: {name} must be a string (or None).", provider="openai")
        if isinstance(data.get("api_key"), str):
            _checked_key(data["api_key"])
        return cls(**data)

    def check(self) -> None:
        """Refuse to go on without the SDK or without a key.

        Raises:
            MissingDependencyError: The SDK is not installed.
            ConfigurationError: There is no key.
        """
        require_sdk()
        if self.client is None and self.api_key is None and not os.environ.get("OPENAI_API_KEY"):
            raise ConfigurationError(
                f"openai: no API key. Set OPENAI_API_KEY, or pass {_WHERE} with a key. (A server that needs none takes "
                "any text.)",
                provider="openai",
            )

    def address(self, base_url: str | None) -> str:
        """Return where requests go.

        Args:
            base_url: The session's own choice.
        """
        if base_url is not None:
            return base_url
        if self.base_url is not None:
            return self.base_url
        if self.client is not None:
            return str(self.client.base_url)
        return os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL


def require_sdk() -> None:
    """Refuse to go on without the SDK.

    Raises:
        MissingDependencyError: The message names the extra to install.
    """
    if "openai" not in sys.modules and find_spec("openai") is None:
        raise MissingDependencyError(
            "The openai provider needs the openai package: pip install 'langswarm-sessions[openai]'.", provider="openai"
        )


def _checked_key(key: str) -> str:
    if not key.strip():
        raise ConfigurationError(f"{_WHERE}: the key is empty. Pass a key or None.", provider="openai")
    return key


def _is_sdk_client(value: object) -> bool:
    sdk = sys.modules.get("openai")  # a ready-made client means that it is loaded
    return sdk is not None and isinstance(value, sdk.OpenAI | sdk.AsyncOpenAI)
