"""What `providers={"openai": ...}` may be, brought into one form. The SDK is not imported for it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from langswarm_sessions.config import check_keys
from langswarm_sessions.errors import ConfigurationError, MissingDependencyError
from langswarm_sessions.providers.openai.profile import DEFAULT_BASE_URL
from langswarm_sessions.providers.settings import DOCUMENTED_SETTINGS, Setting, given_settings

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

__all__ = ["OpenAICredential", "checked_key"]

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
            return cls._of_mapping({"api_key": value})
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
        for name, value in given_settings(data).items():
            _check(_FIELDS[name], value, named=f"{_WHERE}: {name}")
        return cls(**data)

    def check(self) -> None:
        """Refuse to go on without the SDK, without a key, or with an environment that cannot work.

        Raises:
            MissingDependencyError: The SDK is not installed.
            ConfigurationError: There is no key, or a variable that counts is wrong.
        """
        _require_sdk()
        if self.client is not None:
            return
        counting = {name: variable for name, variable in _VARIABLES.items() if getattr(self, name) is None}
        for name, variable in counting.items():
            if value := os.environ.get(variable):
                _check(_FIELDS[name], value, named=f"openai: {variable}")
        if self.api_key is None and not os.environ.get("OPENAI_API_KEY"):
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


def _require_sdk() -> None:
    """Refuse to go on without the SDK.

    Raises:
        MissingDependencyError: The message names the extra to install.
    """
    if "openai" not in sys.modules and find_spec("openai") is None:
        raise MissingDependencyError(
            "The openai provider needs the openai package: pip install 'langswarm-sessions[openai]'.", provider="openai"
        )


def _is_sdk_client(value: object) -> bool:
    sdk = sys.modules.get("openai")  # a ready-made client means that it is loaded
    return sdk is not None and isinstance(value, sdk.OpenAI | sdk.AsyncOpenAI)


def _is_header_text(value: object) -> bool:
    """Whether a text can be sent as a header: HTTP takes no line ends, and clients write ASCII."""
    return isinstance(value, str) and value.isascii() and value.isprintable() and value == value.strip()


def _is_key(value: object) -> bool:
    return bool(value) and _is_header_text(value)


def _are_headers(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    headers = cast(Mapping[object, object], value)
    return all(
        isinstance(name, str) and _HEADER_NAME.fullmatch(name) and _is_header_text(text)
        for name, text in headers.items()
    )


_HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_ASCII = "printable ASCII, without spaces around it"
_KEY = Setting(f"a key ({_ASCII}, not empty)", _is_key)
_HEADER = Setting(f"a string ({_ASCII})", _is_header_text)

_FIELDS: Mapping[str, Setting] = {
    "api_key": Setting(
        f"{_KEY.expects}, or an async function that returns one", lambda value: callable(value) or _is_key(value)
    ),
    "base_url": DOCUMENTED_SETTINGS["base_url"],
    "organization": _HEADER,
    "project": _HEADER,
    "timeout": DOCUMENTED_SETTINGS["timeout"],
    "default_headers": Setting(f"a dict of header names and values ({_ASCII})", _are_headers),
    "client": Setting("an OpenAI or AsyncOpenAI client", _is_sdk_client),
}
"""What each field takes; None means that it is not given."""

_VARIABLES: Mapping[str, str] = {
    "api_key": "OPENAI_API_KEY",
    "base_url": "OPENAI_BASE_URL",
    "organization": "OPENAI_ORG_ID",
    "project": "OPENAI_PROJECT_ID",
}
"""The variables of the environment that stand in for fields that are not given."""


def checked_key(key: object) -> str:
    """Return what a key function returned, if it can be sent.

    Raises:
        ConfigurationError: It is no key.
    """
    _check(_KEY, key, named=f"{_WHERE}: what api_key returns")
    return str(key)


def _check(setting: Setting, value: object, *, named: str) -> None:
    """Refuse a value that is not taken. It is not shown: it may be a key."""
    if not setting.accepts(value):
        raise ConfigurationError(f"{named} must be {setting.expects}.", provider="openai")
